import { type LineFields, readLineFields } from '../../logql/stages/index.ts';
import type { GroupLabels } from '../../logql/stages/types.ts';
import { formatBytes, parseBytes } from '../../logql/units/bytes.ts';
import { parseGoFloat } from '../../logql/units/float.ts';
import { parseGoDuration } from '../../logql/units/go-duration.ts';
import type { LogEntry } from './log-response.ts';

export type FieldType = 'string' | 'int' | 'float' | 'boolean' | 'duration' | 'bytes';

/** A name that occurs in lines or beside them. */
export interface DetectedField {
  readonly label: string;
  readonly type: FieldType;
  /** Distinct values. Loki estimates it, which is exact as long as it is small. */
  readonly cardinality: number;
  /** Which parsers found it; empty for structured metadata. */
  readonly parsers: readonly string[];
  /** Where it lies in the last JSON line that has it; null elsewhere. */
  readonly jsonPath: readonly string[] | null;
}

interface Field {
  /** Bounded by the entries, which are in memory anyway: a value is a part of one of them. */
  readonly values: Set<string>;
  readonly parsers: string[];
  jsonPath: readonly string[] | null;
  /** Decides on the type. */
  lastValue: string;
}

/** Names that report errors of the query. */
const NO_FIELDS: ReadonlySet<string> = new Set(['__error__', '__error_details__', '__preserve_error__']);

/**
 * Collects fields: structured metadata, labels that the query has parsed, and what the line itself says. Entries come
 * stream by stream in the order of the answer; the last value that a field has decides on its type.
 */
export class FieldCollector {
  readonly #limit: number;
  readonly #fields = new Map<string, Field>();
  readonly #lines = new LineReader();

  /** `limit`: names that are kept, those that come first. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  add(entry: LogEntry): void {
    for (const [name, value] of entry.group.structuredMetadata) {
      const field = this.#field(name);
      if (field !== null) addValue(field, value);
    }
    const { parser, fields } = this.#lines.read(entry);
    for (const [name, value] of entry.group.parsed) {
      if (NO_FIELDS.has(name)) continue;
      const own = fields.get(name);
      const field = this.#found(name, parser, own?.path ?? null);
      if (field === null) continue;
      if (own !== undefined) addValue(field, own.value);
      addValue(field, value);
    }
    const parsed = this.#lines.parsedNames(entry.group);
    for (const [name, { value, path }] of fields) {
      if (parsed.has(name) || NO_FIELDS.has(name)) continue;
      const field = this.#found(name, parser, path);
      if (field !== null) addValue(field, value);
    }
  }

  get fields(): DetectedField[] {
    return [...this.#fields].map(([label, { values, parsers, jsonPath, lastValue }]) => ({
      label,
      type: typeOf(lastValue),
      cardinality: values.size,
      parsers,
      jsonPath,
    }));
  }

  #found(name: string, parser: LineFields['parser'], path: readonly string[] | null): Field | null {
    const field = this.#field(name);
    if (field === null) return null;
    if (!field.parsers.includes(parser)) field.parsers.push(parser);
    if (parser === 'json') field.jsonPath = path;
    return field;
  }

  #field(name: string): Field | null {
    const known = this.#fields.get(name);
    if (known !== undefined) return known;
    if (this.#fields.size >= this.#limit) return null;
    const field: Field = { values: new Set(), parsers: [], jsonPath: null, lastValue: '' };
    this.#fields.set(name, field);
    return field;
  }
}

function addValue(field: Field, value: string): void {
  field.values.add(value);
  field.lastValue = value;
}

/** Collects the values of one field. */
export class ValueCollector {
  readonly #name: string;
  readonly #limit: number;
  readonly #values = new Set<string>();
  readonly #lines = new LineReader();

  constructor(name: string, limit: number) {
    this.#name = name;
    this.#limit = limit;
  }

  add(entry: LogEntry): void {
    if (this.isFull) return;
    for (const [name, value] of entry.group.structuredMetadata) if (name === this.#name) this.#add(value);
    if (NO_FIELDS.has(this.#name)) return;
    for (const [name, value] of entry.group.parsed) if (name === this.#name) this.#add(compactBytes(value));
    const own = this.#lines.read(entry).fields.get(this.#name);
    if (own !== undefined) this.#add(compactBytes(own.value));
  }

  get isFull(): boolean {
    return this.#values.size >= this.#limit;
  }

  /** In order of their first line. */
  get values(): string[] {
    return [...this.#values];
  }

  #add(value: string): void {
    if (!this.isFull) this.#values.add(value);
  }
}

/** Reads lines beside the labels of their stream: what the query parsed does not count among these. */
class LineReader {
  readonly #taken = new Map<GroupLabels, ReadonlySet<string>>();
  readonly #parsed = new Map<GroupLabels, ReadonlySet<string>>();

  read({ line, group }: LogEntry): LineFields {
    let taken = this.#taken.get(group);
    if (taken === undefined) {
      const parsed = this.parsedNames(group);
      taken = new Set(group.stream.map(([name]) => name).filter((name) => !parsed.has(name)));
      this.#taken.set(group, taken);
    }
    const names = taken;
    return readLineFields(line, (name) => names.has(name));
  }

  parsedNames(group: GroupLabels): ReadonlySet<string> {
    let names = this.#parsed.get(group);
    if (names === undefined) {
      names = new Set(group.parsed.map(([name]) => name));
      this.#parsed.set(group, names);
    }
    return names;
  }
}

const BOOLEANS: ReadonlySet<string> = new Set(
  ['1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False'], // as Go's strconv.ParseBool
);
const INT64_MAX = 2n ** 63n - 1n;

/** The first of the types, in Loki's order, that the value can be read as. */
export function typeOf(value: string): FieldType {
  if (isInt64(value)) return 'int';
  if (canRead(parseGoFloat, value)) return 'float';
  if (BOOLEANS.has(value)) return 'boolean';
  if (canRead(parseGoDuration, value)) return 'duration';
  if (canRead(parseBytes, value)) return 'bytes';
  return 'string';
}

function isInt64(text: string): boolean {
  if (!/^[+-]?[0-9]+$/.test(text)) return false;
  if (text.length < 19) return true;
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  return value <= INT64_MAX && value >= -INT64_MAX - 1n;
}

function canRead(parse: (text: string) => unknown, text: string): boolean {
  try {
    parse(text);
    return true;
  } catch {
    return false; // the question was just that
  }
}

const BYTES_UNIT = /(?:b|[kmgtpe]i?)$/i;

/** `10 MB` as `10MB`, which a query takes; other values as they are. */
export function compactBytes(value: string): string {
  if (!BYTES_UNIT.test(value)) return value;
  let bytes: number;
  try {
    bytes = parseBytes(value);
  } catch {
    return value; // looks like a size, and is none
  }
  return formatBytes(bytes).replace(' ', '');
}
