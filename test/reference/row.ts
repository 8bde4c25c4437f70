import type { Labels } from '../../logql/labels.ts';

/** A stored row as the reference reads it. */
export interface ReferenceRow {
  readonly stream: Labels;
  readonly timestampNs: bigint;
  readonly line: string;
  readonly metadata: Labels;
}

/** A row on its way through the stages: labels in three categories, a line, an error. */
export class WorkingRow {
  readonly stored: ReferenceRow;
  readonly stream: ReadonlyMap<string, string>;
  readonly metadata: ReadonlyMap<string, string>;
  /** Labels set by stages. */
  readonly parsed = new Map<string, string>();
  /** Names whose stored label (stream or metadata) is not seen any more. */
  readonly hidden = new Set<string>();
  /** Names that parsers have set: the first one wins. */
  readonly firstParsed = new Set<string>();
  line: string;
  /** The line as filters see it, which Loki moves in front of `decolorize`. */
  filteredLine: string;
  error = '';
  errorDetails = '';

  constructor(stored: ReferenceRow) {
    this.stored = stored;
    this.stream = new Map(stored.stream);
    this.metadata = new Map(
      stored.metadata.map(([name, value]) => [this.stream.has(name) ? `${name}_extracted` : name, value]),
    );
    this.line = stored.line;
    this.filteredLine = stored.line;
  }

  get(name: string): string | undefined {
    if (this.parsed.has(name)) return this.parsed.get(name);
    if (this.hidden.has(name)) return undefined;
    return this.metadata.get(name) ?? this.stream.get(name);
  }

  /** As filters and groupings see it: the error is a label. */
  getVisible(name: string): string | undefined {
    if (name === '__error__') return this.error === '' ? undefined : this.error;
    return this.get(name);
  }

  set(name: string, value: string): void {
    this.hidden.add(name);
    this.parsed.set(name, value);
  }

  drop(name: string): void {
    if (this.get(name) === undefined) return;
    this.hidden.add(name);
    this.parsed.delete(name);
  }

  /** The name under which a parser may set a label. */
  parserName(name: string): string {
    if (this.stream.has(name)) return `${name}_extracted`;
    return this.metadata.has(name) && !this.hidden.has(name) ? `${name}_extracted` : name;
  }

  setLine(line: string): void {
    this.line = line;
    this.filteredLine = line;
  }

  fail(error: string, details: string): void {
    this.error = error;
    this.errorDetails = details;
  }

  categories(): { stream: Labels; structuredMetadata: Labels; parsed: Labels } {
    const seen = (labels: ReadonlyMap<string, string>) => [...labels].filter(([name]) => !this.hidden.has(name));
    const stream = seen(this.stream).filter(([name]) => !this.metadata.has(name));
    const parsed: [string, string][] = [...this.parsed];
    if (this.error !== '') parsed.push(['__error__', this.error]);
    if (this.errorDetails !== '') parsed.push(['__error_details__', this.errorDetails]);
    return { stream: sorted(stream), structuredMetadata: sorted(seen(this.metadata)), parsed: sorted(parsed) };
  }

  /** All labels together, errors included. */
  labels(): Labels {
    const { stream, structuredMetadata, parsed } = this.categories();
    return sorted([...stream, ...structuredMetadata, ...parsed]);
  }
}

export function sorted(labels: Iterable<readonly [string, string]>): Labels {
  return [...labels].sort(([a], [b]) => (a < b ? -1 : 1));
}
