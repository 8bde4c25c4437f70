import { parseGoFloat } from '../../logql/units/float.ts';
import { JsonBytes } from './json-bytes.ts';
import {
  clearRecord,
  EMPTY_SCOPE,
  EMPTY_VALUE,
  MAX_VALUE_DEPTH,
  NO_SPAN,
  newRecord,
  type OtlpAttribute,
  type OtlpRecord,
  type OtlpScope,
  type OtlpSink,
  type OtlpValue,
  type Span,
} from './otlp-value.ts';
import { PushError } from './push-error.ts';
import { SLICE_BYTES, type Sliced } from './sliced.ts';

/**
 * Reads the JSON form of `ExportLogsServiceRequest`: names in camel or snake case, 64-bit numbers as text or number, ids
 * in hexadecimal. Escapes are undone in `body`, so the caller gives it away. A resource and a scope are handed over before
 * the records below them: what stands before them, unlike in any known exporter, is passed over and read later.
 */
export function* decodeOtlpJson(body: Buffer, sink: OtlpSink): Sliced<void> {
  const json = new OtlpJson(body);
  const record = newRecord();
  if (!json.enterMembers()) return;
  do {
    const name = json.name();
    if (name !== 'resourceLogs' && name !== 'resource_logs') json.skip();
    else if (json.enterElements()) {
      do yield* resourceLogs(json, sink, record);
      while (json.nextElement());
    }
  } while (json.nextMember());
}

function* resourceLogs(json: OtlpJson, sink: OtlpSink, record: OtlpRecord): Sliced<void> {
  const attributes: OtlpAttribute[] = [];
  const later: number[] = [];
  const deprecated: number[] = [];
  let isTold = false;
  let scopes = 0;
  if (json.enterMembers()) {
    do {
      switch (json.name()) {
        case 'resource':
          json.resource(attributes);
          sink.resource(attributes);
          isTold = true;
          break;
        case 'scopeLogs':
        case 'scope_logs':
          if (isTold) scopes += yield* scopeLogsList(json, sink, record);
          else json.passTo(later);
          break;
        case 'deprecatedScopeLogs':
        case 'deprecated_scope_logs':
          json.passTo(deprecated);
          break;
        default:
          json.skip();
      }
    } while (json.nextMember());
  }
  if (!isTold) sink.resource(attributes);
  const end = json.at;
  for (const place of later) {
    json.at = place;
    scopes += yield* scopeLogsList(json, sink, record);
  }
  if (scopes === 0) {
    for (const place of deprecated) {
      json.at = place;
      yield* scopeLogsList(json, sink, record);
    }
  }
  json.at = end;
}

/** Returns how many there are. */
function* scopeLogsList(json: OtlpJson, sink: OtlpSink, record: OtlpRecord): Sliced<number> {
  let count = 0;
  if (!json.enterElements()) return count;
  do {
    yield* scopeLogs(json, sink, record);
    count++;
  } while (json.nextElement());
  return count;
}

function* scopeLogs(json: OtlpJson, sink: OtlpSink, record: OtlpRecord): Sliced<void> {
  const later: number[] = [];
  let isTold = false;
  if (json.enterMembers()) {
    do {
      switch (json.name()) {
        case 'scope':
          sink.scope(json.scope());
          isTold = true;
          break;
        case 'logRecords':
        case 'log_records':
          if (isTold) yield* records(json, sink, record);
          else json.passTo(later);
          break;
        default:
          json.skip();
      }
    } while (json.nextMember());
  }
  if (!isTold) sink.scope(EMPTY_SCOPE);
  const end = json.at;
  for (const place of later) {
    json.at = place;
    yield* records(json, sink, record);
  }
  json.at = end;
}

function* records(json: OtlpJson, sink: OtlpSink, record: OtlpRecord): Sliced<void> {
  if (!json.enterElements()) return;
  let pause = json.at + SLICE_BYTES;
  do {
    clearRecord(record);
    json.record(record);
    sink.record(record);
    if (json.at > pause) {
      pause = json.at + SLICE_BYTES;
      yield;
    }
  } while (json.nextElement());
}

class OtlpJson extends JsonBytes {
  /** Goes into an object; false when it is empty or null (and passed). */
  enterMembers(): boolean {
    if (this.kind() !== 'null') return this.enterObject();
    this.skip();
    return false;
  }

  /** The same for an array. */
  enterElements(): boolean {
    if (this.kind() !== 'null') return this.enterArray();
    this.skip();
    return false;
  }

  /** Reads the name of a member. */
  name(): string {
    this.key();
    return this.bytes.toString('latin1', this.textStart, this.textStart + this.textLength);
  }

  /** Notes where a value stands, and passes it over. */
  passTo(places: number[]): void {
    places.push(this.at);
    this.skip();
  }

  resource(attributes: OtlpAttribute[]): void {
    if (!this.enterMembers()) return;
    do {
      if (this.name() === 'attributes') this.#attributes(attributes, 0);
      else this.skip();
    } while (this.nextMember());
  }

  scope(): OtlpScope {
    let { name, version, droppedAttributes } = EMPTY_SCOPE;
    const attributes: OtlpAttribute[] = [];
    if (this.enterMembers()) {
      do {
        switch (this.name()) {
          case 'name':
            name = this.#span();
            break;
          case 'version':
            version = this.#span();
            break;
          case 'attributes':
            this.#attributes(attributes, 0);
            break;
          case 'droppedAttributesCount':
          case 'dropped_attributes_count':
            droppedAttributes = this.#uint32();
            break;
          default:
            this.skip();
        }
      } while (this.nextMember());
    }
    return { name, version, attributes, droppedAttributes };
  }

  record(record: OtlpRecord): void {
    if (!this.enterMembers()) return;
    do {
      switch (this.name()) {
        case 'timeUnixNano':
        case 'time_unix_nano':
          record.timeNs = this.#integer(0n, UINT64_MAX);
          break;
        case 'observedTimeUnixNano':
        case 'observed_time_unix_nano':
          record.observedNs = this.#integer(0n, UINT64_MAX);
          break;
        case 'severityNumber':
        case 'severity_number':
          record.severityNumber = this.#severity();
          break;
        case 'severityText':
        case 'severity_text':
          record.severityText = this.#span();
          break;
        case 'body':
          record.body = this.#value(0);
          break;
        case 'attributes':
          this.#attributes(record.attributes, 0);
          break;
        case 'droppedAttributesCount':
        case 'dropped_attributes_count':
          record.droppedAttributes = this.#uint32();
          break;
        case 'flags':
          record.flags = this.#uint32();
          break;
        case 'traceId':
        case 'trace_id':
          record.traceId = this.#id(16);
          break;
        case 'spanId':
        case 'span_id':
          record.spanId = this.#id(8);
          break;
        default:
          this.skip();
      }
    } while (this.nextMember());
  }

  #attributes(into: OtlpAttribute[], depth: number): void {
    if (!this.enterElements()) return;
    do {
      let key = NO_SPAN;
      let value = EMPTY_VALUE;
      if (this.enterMembers()) {
        do {
          const name = this.name();
          if (name === 'key') key = this.#span();
          else if (name === 'value') value = this.#value(depth);
          else this.skip();
        } while (this.nextMember());
      }
      into.push({ key, value });
    } while (this.nextElement());
  }

  #value(depth: number): OtlpValue {
    if (depth > MAX_VALUE_DEPTH) throw this.fail('values nested too deeply');
    let value = EMPTY_VALUE;
    if (!this.enterMembers()) return value;
    do {
      switch (this.name()) {
        case 'stringValue':
        case 'string_value':
          value = { kind: 'string', span: this.#span() };
          break;
        case 'boolValue':
        case 'bool_value':
          value = { kind: 'bool', value: this.#bool() };
          break;
        case 'intValue':
        case 'int_value':
          value = { kind: 'int', value: this.#integer(-INT64_MAX - 1n, INT64_MAX) };
          break;
        case 'doubleValue':
        case 'double_value':
          value = { kind: 'double', value: this.#double() };
          break;
        case 'arrayValue':
        case 'array_value':
          value = { kind: 'array', values: this.#array(depth + 1) };
          break;
        case 'kvlistValue':
        case 'kvlist_value':
          value = { kind: 'map', entries: this.#map(depth + 1) };
          break;
        case 'bytesValue':
        case 'bytes_value':
          value = { kind: 'bytes', base64: this.#base64() };
          break;
        default:
          this.skip();
      }
    } while (this.nextMember());
    return value;
  }

  #array(depth: number): OtlpValue[] {
    const values: OtlpValue[] = [];
    if (!this.enterMembers()) return values;
    do {
      if (this.name() !== 'values') this.skip();
      else if (this.enterElements()) {
        do values.push(this.#value(depth));
        while (this.nextElement());
      }
    } while (this.nextMember());
    return values;
  }

  #map(depth: number): OtlpAttribute[] {
    const entries: OtlpAttribute[] = [];
    if (!this.enterMembers()) return entries;
    do {
      if (this.name() === 'values') this.#attributes(entries, depth);
      else this.skip();
    } while (this.nextMember());
    return entries;
  }

  /** A string, or null for none. */
  #span(): Span {
    if (this.kind() === 'null') {
      this.skip();
      return NO_SPAN;
    }
    this.string();
    return { start: this.textStart, length: this.textLength };
  }

  #text(): string {
    const { start, length } = this.#span();
    return this.bytes.toString('utf8', start, start + length);
  }

  /** The text of a number, be it a string or not. */
  #numberText(): string {
    if (this.kind() === 'string') return this.#text();
    const start = this.at;
    this.skip();
    return this.bytes.toString('latin1', start, this.at);
  }

  #integer(min: bigint, max: bigint): bigint {
    const text = this.#numberText();
    if (!/^[+-]?[0-9]{1,20}$/.test(text)) throw this.fail('expect an integer');
    const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
    if (value < min || value > max) throw this.fail('integer out of range');
    return value;
  }

  #uint32(): number {
    return Number(this.#integer(0n, 0xffffffffn));
  }

  #double(): number {
    const text = this.#numberText();
    try {
      return parseGoFloat(text);
    } catch (error: unknown) {
      throw new PushError(400, this.fail('expect a number').message, { cause: error });
    }
  }

  #bool(): boolean {
    const start = this.at;
    this.skip();
    const text = this.bytes.toString('latin1', start, this.at).trim();
    if (text !== 'true' && text !== 'false') throw this.fail('expect true or false');
    return text === 'true';
  }

  /** The number of a severity, or its name. */
  #severity(): number {
    if (this.kind() !== 'string') return Number(this.#integer(-(2n ** 31n), 2n ** 31n - 1n));
    const number = SEVERITIES.indexOf(this.#text());
    if (number < 0) throw this.fail('unknown severity');
    return number;
  }

  /** Hexadecimal in lower case; an id of zeros only is none. */
  #id(size: number): string {
    const text = this.#text().toLowerCase();
    if (text === '') return '';
    if (text.length !== 2 * size) throw this.fail('an id of a wrong length');
    if (!/^[0-9a-f]*$/.test(text)) throw this.fail('an id that is not hexadecimal');
    return /[^0]/.test(text) ? text : '';
  }

  #base64(): string {
    const text = this.#text();
    if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
      throw this.fail('illegal base64 data');
    }
    return Buffer.from(text, 'base64').toString('base64');
  }
}

const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;

/** Names of severities by number. */
const SEVERITIES: readonly string[] = [
  'SEVERITY_NUMBER_UNSPECIFIED',
  ...['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'].flatMap((level) =>
    ['', '2', '3', '4'].map((step) => `SEVERITY_NUMBER_${level}${step}`),
  ),
];
