import { quoteGo } from '../../logql/units/go-quote.ts';
import { normaliseMetadataName } from './metadata-name.ts';
import type { OtlpAction, OtlpRules } from './otlp-rules.ts';
import {
  type OtlpAttribute,
  type OtlpRecord,
  type OtlpScope,
  type OtlpSink,
  type OtlpValue,
  type Span,
  spanText,
  valueText,
} from './otlp-value.ts';
import { PushError } from './push-error.ts';
import { PushRows } from './push-rows.ts';
import { TextArena } from './text-arena.ts';

const SECOND_NS = 1_000_000_000n;
/** Offsets are 32 bits wide. */
const MAX_SOURCE_BYTES = 2 ** 32 - 1;
/** Metadata of a resource is repeated with every record; a small request must not make an endless one of it. 256 MB. */
const MAX_PAIRS = 16 * 1024 * 1024;

/** Pieces of metadata that several rows share: name start, name length, value start, value length. */
type Pairs = number[];

/** Where attributes stand. */
type Place = 'resource' | 'scope' | 'log';

/** What an attribute's name means in one of the places. */
interface KnownKey {
  readonly raw: Uint8Array;
  readonly action: OtlpAction;
  readonly name: string;
  readonly span: Span;
}

/**
 * Makes rows of OpenTelemetry's records: attributes of the resource (and of records, where configured) become labels of
 * the stream, all else metadata of the row, and the body the line. Texts of the request stay where they are; what is made
 * new, names above all, goes into an arena behind them.
 */
export class OtlpRows implements OtlpSink {
  readonly #rows: PushRows;
  readonly #source: Buffer;
  readonly #arena: TextArena;
  readonly #rules: OtlpRules;
  readonly #discover: readonly string[];
  readonly #nowNs: bigint;
  readonly #keys: Readonly<Record<Place, Map<string, KnownKey>>> = {
    resource: new Map(),
    scope: new Map(),
    log: new Map(),
  };
  /** Keys of a record by their place in it: the next record mostly has the same ones there. */
  readonly #expected: KnownKey[] = [];
  readonly #numbers = new Map<number, Span>();
  readonly #names = new Map<string, Span>();
  readonly #streams = new Map<string, number>();
  /** Stream of each row. */
  readonly #streamOf: number[] = [];
  #isContiguous = true;

  #labels = new Map<string, string>();
  #stream = -1;
  #resourcePairs: Pairs = [];
  #scopePairs: Pairs = [];
  /** Their bytes, once a record has them. */
  #resourceBytes = 0;
  #scopeBytes = 0;
  /** By stream. */
  readonly #repeatedBytes: number[] = [];

  /** `discover`: `discover_service_name`. `nowNs` is the time of records that have none. */
  constructor(source: Buffer, rules: OtlpRules, discover: readonly string[], nowNs: bigint) {
    this.#source = source;
    this.#rows = new PushRows(source);
    this.#arena = new TextArena(source.length);
    this.#rules = rules;
    this.#discover = discover;
    this.#nowNs = nowNs;
  }

  resource(attributes: readonly OtlpAttribute[]): void {
    this.#labels = new Map();
    this.#stream = -1;
    this.#resourcePairs = [];
    this.#scopePairs = [];
    this.#resourceBytes = 0;
    this.#scopeBytes = 0;
    const discovers = this.#discover.length > 0;
    let isNamed = attributes.some(
      ({ key, value }) => spanText(this.#source, key) === 'service.name' && valueText(value, this.#source) !== '',
    );
    for (const { key, value } of attributes) {
      const known = this.#key('resource', key);
      if (known.action === 'structured_metadata') this.#addPairs(this.#resourcePairs, known, value);
      if (known.action !== 'index_label') continue;
      this.#eachLeaf(known.name, value, (name, leaf) => {
        const text = valueText(leaf, this.#source);
        this.#labels.set(name, text);
        if (isNamed || !discovers || !this.#discover.includes(name)) return;
        this.#labels.set('service_name', text);
        isNamed = true;
      });
    }
    if (!isNamed && discovers) this.#labels.set('service_name', 'unknown_service');
  }

  scope({ name, version, attributes, droppedAttributes }: OtlpScope): void {
    const pairs: Pairs = [];
    for (const { key, value } of attributes) {
      const known = this.#key('scope', key);
      if (known.action === 'structured_metadata') this.#addPairs(pairs, known, value);
    }
    if (name.length > 0) this.#addPair(pairs, 'scope_name', name);
    if (version.length > 0) this.#addPair(pairs, 'scope_version', version);
    if (droppedAttributes > 0) {
      this.#addPair(pairs, 'scope_dropped_attributes_count', this.#numberSpan(droppedAttributes));
    }
    this.#scopePairs = pairs;
    this.#scopeBytes = 0;
  }

  record(record: OtlpRecord): void {
    const rows = this.#rows;
    const pairs: Pairs = [];
    const labels = this.#recordPairs(record, pairs);
    const row = rows.addRow();
    const timeNs = BigInt.asIntN(64, record.timeNs || record.observedNs || this.#nowNs);
    const rest = ((timeNs % SECOND_NS) + SECOND_NS) % SECOND_NS;
    rows.seconds[row] = Number((timeNs - rest) / SECOND_NS);
    rows.nanos[row] = Number(rest);
    const line = this.#textSpan(record.body);
    rows.lineStarts[row] = line.start;
    rows.lineLengths[row] = line.length;
    if (rows.pairCount > MAX_PAIRS) throw tooLarge();
    for (const list of [pairs, this.#resourcePairs, this.#scopePairs]) {
      for (let i = 0; i < list.length; i += 4) rows.addPair(list[i]!, list[i + 1]!, list[i + 2]!, list[i + 3]!);
    }
    let stream = this.#stream;
    if (labels !== null) stream = this.#streamFor(new Map([...this.#labels, ...labels]));
    else if (stream < 0) stream = this.#stream = this.#streamFor(this.#labels);
    const previous = this.#streamOf.at(-1) ?? -1;
    if (stream < previous || stream > previous + 1) this.#isContiguous = false;
    this.#streamOf.push(stream);
    this.#repeatedBytes[stream] = (this.#repeatedBytes[stream] ?? 0) + this.#resourceBytes + this.#scopeBytes;
    if (this.#resourceBytes === 0) this.#resourceBytes = bytesOf(this.#resourcePairs);
    if (this.#scopeBytes === 0) this.#scopeBytes = bytesOf(this.#scopePairs);
  }

  /** The rows of all records, grouped by stream. */
  finish(): PushRows {
    const rows = this.#rows;
    if (!this.#isContiguous) rows.permute(orderByStream(this.#streamOf, this.#streams.size));
    const counts = new Uint32Array(this.#streams.size);
    for (const stream of this.#streamOf) counts[stream]!++;
    let firstRow = 0;
    for (const [labels, stream] of this.#streams) {
      const { start, length } = this.#arena.add(labels);
      const rowCount = counts[stream]!;
      rows.streams.push({
        labelsForm: 'whole-selector',
        labelsStart: start,
        labelsEnd: start + length,
        firstRow,
        rowCount,
        repeatedBytes: this.#repeatedBytes[stream]!,
      });
      firstRow += rowCount;
    }
    const { bytes } = this.#arena;
    if (this.#source.length + bytes.length > MAX_SOURCE_BYTES) throw tooLarge();
    rows.source = Buffer.concat([this.#source, bytes]);
    return rows;
  }

  /** Collects the metadata of a record, and returns the labels that it adds to its stream. */
  #recordPairs(record: OtlpRecord, pairs: Pairs): Map<string, string> | null {
    const source = this.#source;
    let labels: Map<string, string> | null = null;
    for (let i = 0; i < record.attributes.length; i++) {
      const { key, value } = record.attributes[i]!;
      const known = this.#recordKey(i, key);
      if (known.action === 'structured_metadata') this.#addPairs(pairs, known, value);
      if (known.action !== 'index_label') continue;
      const found: Map<string, string> = (labels ??= new Map());
      this.#eachLeaf(known.name, value, (name, leaf) => found.set(name, valueText(leaf, source)));
    }
    const arena = this.#arena;
    if (record.timeNs !== 0n && record.observedNs !== 0n) {
      this.#addPair(pairs, 'observed_timestamp', arena.add(String(BigInt.asIntN(64, record.observedNs))));
    }
    if (record.severityNumber !== 0) {
      this.#addPair(pairs, 'severity_number', this.#numberSpan(record.severityNumber));
    }
    if (record.severityText.length > 0) {
      this.#addPair(pairs, 'severity_text', record.severityText);
      if (this.#rules.severityTextAsLabel) {
        labels ??= new Map();
        labels.set('severity_text', spanText(source, record.severityText));
      }
    }
    if (record.droppedAttributes > 0) {
      this.#addPair(pairs, 'dropped_attributes_count', this.#numberSpan(record.droppedAttributes));
    }
    if (record.flags !== 0) this.#addPair(pairs, 'flags', this.#numberSpan(record.flags));
    if (record.traceId !== '') this.#addPair(pairs, 'trace_id', arena.add(record.traceId));
    if (record.spanId !== '') this.#addPair(pairs, 'span_id', arena.add(record.spanId));
    return labels;
  }

  #addPairs(pairs: Pairs, known: KnownKey, value: OtlpValue): void {
    if (value.kind !== 'map') {
      const { start, length } = this.#textSpan(value);
      pairs.push(known.span.start, known.span.length, start, length);
      return;
    }
    this.#eachLeaf(known.name, value, (name, leaf) => this.#addPair(pairs, name, this.#textSpan(leaf)));
  }

  #addPair(pairs: Pairs, name: string, { start, length }: Span): void {
    const span = this.#nameSpan(name);
    pairs.push(span.start, span.length, start, length);
  }

  /** Calls `visit` for a value, or for those in it when it is a map, under names joined by `_`. */
  #eachLeaf(name: string, value: OtlpValue, visit: (name: string, leaf: OtlpValue) => void, depth = 1): void {
    if (value.kind !== 'map') {
      visit(name, value);
      return;
    }
    for (const entry of value.entries) {
      const key = spanText(this.#source, entry.key);
      this.#eachLeaf(normalise(`${name}_${key}`, depth + 1), entry.value, visit, depth + 1);
    }
  }

  #textSpan(value: OtlpValue): Span {
    return value.kind === 'string' ? value.span : this.#arena.add(valueText(value, this.#source));
  }

  #nameSpan(name: string): Span {
    let span = this.#names.get(name);
    if (span === undefined) {
      span = this.#arena.add(name);
      this.#names.set(name, span);
    }
    return span;
  }

  #recordKey(index: number, key: Span): KnownKey {
    const expected = this.#expected[index];
    if (expected !== undefined && isAt(this.#source, key, expected.raw)) return expected;
    const known = this.#key('log', key);
    if (index < MAX_EXPECTED) this.#expected[index] = known;
    return known;
  }

  #numberSpan(value: number): Span {
    let span = this.#numbers.get(value);
    if (span === undefined) {
      span = this.#arena.add(String(value));
      if (this.#numbers.size < MAX_NUMBERS) this.#numbers.set(value, span);
    }
    return span;
  }

  #key(place: Place, { start, length }: Span): KnownKey {
    const keys = this.#keys[place];
    const raw = this.#source.toString('latin1', start, start + length);
    let known = keys.get(raw);
    if (known === undefined) {
      const bytes = this.#source.subarray(start, start + length);
      const key = bytes.toString('utf8');
      const action = this.#rules[place](key);
      const name = action === 'drop' ? '' : normalise(key, 1);
      known = {
        raw: bytes,
        action,
        name,
        span: action === 'structured_metadata' ? this.#nameSpan(name) : { start: 0, length: 0 },
      };
      keys.set(raw, known);
    }
    return known;
  }

  #streamFor(labels: ReadonlyMap<string, string>): number {
    const names = [...labels.keys()].sort();
    const text = `{${names.map((name) => `${name}=${quoteGo(labels.get(name)!)}`).join(', ')}}`;
    let stream = this.#streams.get(text);
    if (stream === undefined) {
      stream = this.#streams.size;
      this.#streams.set(text, stream);
    }
    return stream;
  }
}

/** Bytes of names and values. */
function bytesOf(pairs: Pairs): number {
  let bytes = 0;
  for (let i = 0; i < pairs.length; i += 4) bytes += pairs[i + 1]! + pairs[i + 3]!;
  return bytes;
}

/** Attributes of a record beyond these are looked up by name. */
const MAX_EXPECTED = 64;
/** Different small numbers of which the text is kept. */
const MAX_NUMBERS = 1000;

function isAt(source: Buffer, { start, length }: Span, raw: Uint8Array): boolean {
  if (length !== raw.length) return false;
  for (let i = 0; i < length; i++) if (source[start + i] !== raw[i]) return false;
  return true;
}

/** A name as a label; `depth` is that of the map in which it stands, as Loki's error text shows it. */
function normalise(name: string, depth: number): string {
  try {
    return normaliseMetadataName(name);
  } catch (error: unknown) {
    if (!(error instanceof PushError)) throw error;
    throw new PushError(400, `${'symbolizer lookup: '.repeat(depth)}${error.message}`, { cause: error });
  }
}

/** Rows by stream, each stream's in the order in which they came: `order[i]` is the row that comes to place `i`. */
function orderByStream(streamOf: readonly number[], streamCount: number): Uint32Array {
  const next = new Uint32Array(streamCount + 1);
  for (const stream of streamOf) next[stream + 1]!++;
  for (let stream = 1; stream <= streamCount; stream++) next[stream]! += next[stream - 1]!;
  const order = new Uint32Array(streamOf.length);
  streamOf.forEach((stream, row) => {
    order[next[stream]!++] = row;
  });
  return order;
}

const tooLarge = (): PushError => new PushError(413, 'request body too large: too much metadata for one request');
