import { parseGoFloat } from '../../logql/units/float.ts';
import { JsonBytes } from './json-bytes.ts';
import {
  clearRecord,
  EMPTY_SCOPE,
  EMPTY_VALUE,
  MAX_VALUE_DEPTH,
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
 * the records below them, wherever they stand in their object.
 */
export function* decodeOtlpJson(body: Buffer, sink: OtlpSink): Sliced<void> {
  const json = new OtlpJson(body);
  const record = newRecord();
  const resourceLogs: number[] = [];
  json.object((name) => {
    if (name === 'resourceLogs' || name === 'resource_logs') json.places(resourceLogs);
    else json.skip();
  });
  for (const start of resourceLogs) {
    json.at = start;
    const { attributes, scopes } = json.resourceLogs();
    sink.resource(attributes);
    for (const place of scopes) {
      json.at = place;
      const { scope, records } = json.scopeLogs();
      sink.scope(scope);
      let pause = place + SLICE_BYTES;
      for (const at of records) {
        json.at = at;
        clearRecord(record);
        json.record(record);
        sink.record(record);
        if (json.at > pause) {
          pause = json.at + SLICE_BYTES;
          yield;
        }
      }
    }
  }
}

class OtlpJson extends JsonBytes {
  /** Reads an object, or null; `member` reads or skips each value. */
  object(member: (name: string) => void): void {
    if (this.kind() === 'null') {
      this.skip();
      return;
    }
    if (!this.enterObject()) return;
    do {
      this.key();
      member(this.bytes.toString('utf8', this.textStart, this.textStart + this.textLength));
    } while (this.nextMember());
  }

  /** Reads an array, or null; `element` reads or skips each one. */
  array(element: () => void): void {
    if (this.kind() === 'null') {
      this.skip();
      return;
    }
    if (!this.enterArray()) return;
    do element();
    while (this.nextElement());
  }

  /** Notes where the elements of an array stand, and passes them over. */
  places(into: number[]): void {
    this.array(() => {
      into.push(this.at);
      this.skip();
    });
  }

  resourceLogs(): { readonly attributes: OtlpAttribute[]; readonly scopes: readonly number[] } {
    const attributes: OtlpAttribute[] = [];
    const scopes: number[] = [];
    const deprecated: number[] = [];
    this.object((name) => {
      switch (name) {
        case 'resource':
          this.object((inner) => {
            if (inner === 'attributes') this.#attributes(attributes, 0);
            else this.skip();
          });
          break;
        case 'scopeLogs':
        case 'scope_logs':
          this.places(scopes);
          break;
        case 'deprecatedScopeLogs':
        case 'deprecated_scope_logs':
          this.places(deprecated);
          break;
        default:
          this.skip();
      }
    });
    return { attributes, scopes: scopes.length > 0 ? scopes : deprecated };
  }

  scopeLogs(): { readonly scope: OtlpScope; readonly records: readonly number[] } {
    let scope = EMPTY_SCOPE;
    const records: number[] = [];
    this.object((name) => {
      if (name === 'scope') scope = this.#scope();
      else if (name === 'logRecords' || name === 'log_records') this.places(records);
      else this.skip();
    });
    return { scope, records };
  }

  #scope(): OtlpScope {
    let { name, version, droppedAttributes } = EMPTY_SCOPE;
    const attributes: OtlpAttribute[] = [];
    this.object((member) => {
      switch (member) {
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
    });
    return { name, version, attributes, droppedAttributes };
  }

  record(record: OtlpRecord): void {
    this.object((name) => {
      switch (name) {
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
    });
  }

  #attributes(into: OtlpAttribute[], depth: number): void {
    this.array(() => {
      let { name: key } = EMPTY_SCOPE;
      let value = EMPTY_VALUE;
      this.object((name) => {
        if (name === 'key') key = this.#span();
        else if (name === 'value') value = this.#value(depth);
        else this.skip();
      });
      into.push({ key, value });
    });
  }

  #value(depth: number): OtlpValue {
    if (depth > MAX_VALUE_DEPTH) throw this.fail('values nested too deeply');
    let value = EMPTY_VALUE;
    this.object((name) => {
      switch (name) {
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
        case 'array_value': {
          const values: OtlpValue[] = [];
          this.object((inner) => {
            if (inner === 'values') this.array(() => values.push(this.#value(depth + 1)));
            else this.skip();
          });
          value = { kind: 'array', values };
          break;
        }
        case 'kvlistValue':
        case 'kvlist_value': {
          const entries: OtlpAttribute[] = [];
          this.object((inner) => {
            if (inner === 'values') this.#attributes(entries, depth + 1);
            else this.skip();
          });
          value = { kind: 'map', entries };
          break;
        }
        case 'bytesValue':
        case 'bytes_value':
          value = { kind: 'bytes', base64: this.#base64() };
          break;
        default:
          this.skip();
      }
    });
    return value;
  }

  /** A string, or null for none. */
  #span(): Span {
    if (this.kind() === 'null') {
      this.skip();
      return { start: 0, length: 0 };
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
