/** A piece of the request's bytes. */
export interface Span {
  readonly start: number;
  readonly length: number;
}

/** `AnyValue` of OpenTelemetry. Texts stay where they are in the request. */
export type OtlpValue =
  | { readonly kind: 'empty' }
  | { readonly kind: 'string'; readonly span: Span }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'double'; readonly value: number }
  | { readonly kind: 'bytes'; readonly base64: string }
  | { readonly kind: 'array'; readonly values: readonly OtlpValue[] }
  | { readonly kind: 'map'; readonly entries: readonly OtlpAttribute[] };

export interface OtlpAttribute {
  readonly key: Span;
  readonly value: OtlpValue;
}

export interface OtlpScope {
  readonly name: Span;
  readonly version: Span;
  readonly attributes: readonly OtlpAttribute[];
  readonly droppedAttributes: number;
}

export interface OtlpRecord {
  /** ns since 1970, 0 for none; read as a signed number, as Loki does. */
  timeNs: bigint;
  observedNs: bigint;
  severityNumber: number;
  severityText: Span;
  body: OtlpValue;
  attributes: OtlpAttribute[];
  droppedAttributes: number;
  flags: number;
  /** Lower-case hexadecimal; '' for none. */
  traceId: string;
  spanId: string;
}

/** Takes the parts of a request as they are read: a resource, its scopes, each followed by its records. */
export interface OtlpSink {
  resource(attributes: readonly OtlpAttribute[]): void;
  scope(scope: OtlpScope): void;
  /** The record is used again for the next one. */
  record(record: OtlpRecord): void;
}

export const NO_SPAN: Span = { start: 0, length: 0 };
export const EMPTY_VALUE: OtlpValue = { kind: 'empty' };
export const EMPTY_SCOPE: OtlpScope = { name: NO_SPAN, version: NO_SPAN, attributes: [], droppedAttributes: 0 };
/** Values in values; deeper ones are refused. */
export const MAX_VALUE_DEPTH = 100;

export function clearRecord(record: OtlpRecord): void {
  record.timeNs = 0n;
  record.observedNs = 0n;
  record.severityNumber = 0;
  record.severityText = NO_SPAN;
  record.body = EMPTY_VALUE;
  record.attributes = [];
  record.droppedAttributes = 0;
  record.flags = 0;
  record.traceId = '';
  record.spanId = '';
}

export function newRecord(): OtlpRecord {
  const record = {} as OtlpRecord;
  clearRecord(record);
  return record;
}

export const spanText = (source: Buffer, { start, length }: Span): string =>
  source.toString('utf8', start, start + length);

/** The text that stands for a value as a line or as metadata: that of OpenTelemetry's collector. */
export function valueText(value: OtlpValue, source: Buffer): string {
  switch (value.kind) {
    case 'empty':
      return '';
    case 'string':
      return spanText(source, value.span);
    case 'bool':
    case 'int':
      return String(value.value);
    case 'double':
      return doubleText(value.value);
    case 'bytes':
      return value.base64;
    case 'array':
    case 'map':
      // Go's encoder gives up as a whole on a number that JSON has not.
      return hasUnprintable(value) ? '' : jsonText(value, source);
    default:
      return value satisfies never;
  }
}

function doubleText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function hasUnprintable(value: OtlpValue): boolean {
  if (value.kind === 'double') return !Number.isFinite(value.value);
  if (value.kind === 'array') return value.values.some(hasUnprintable);
  return value.kind === 'map' && value.entries.some((entry) => hasUnprintable(entry.value));
}

/** As Go writes it: keys sorted, of equal ones the last, the characters of HTML as they are. */
function jsonText(value: OtlpValue, source: Buffer): string {
  switch (value.kind) {
    case 'empty':
      return 'null';
    case 'string':
      return quoted(spanText(source, value.span));
    case 'bytes':
      return quoted(value.base64);
    case 'array':
      return `[${value.values.map((item) => jsonText(item, source)).join(',')}]`;
    case 'map': {
      const members = new Map(value.entries.map((entry) => [spanText(source, entry.key), entry.value]));
      const names = [...members.keys()].sort(compareBytes);
      return `{${names.map((name) => `${quoted(name)}:${jsonText(members.get(name)!, source)}`).join(',')}}`;
    }
    default:
      return valueText(value, source);
  }
}

/** JSON.stringify, and the two line separators escaped. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
