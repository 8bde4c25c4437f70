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
import { BYTES, FIXED32, FIXED64, malformed, ProtoReader, VARINT } from './proto-reader.ts';
import { SLICE_BYTES, type Sliced } from './sliced.ts';

/**
 * Reads `ExportLogsServiceRequest` (`proto/otlp-logs.proto`) from the wire format. A resource and a scope are handed over
 * before the records below them, wherever they stand in their message.
 */
export function* decodeOtlpWire(body: Buffer, sink: OtlpSink): Sliced<void> {
  const reader = new OtlpReader(body);
  const record = newRecord();
  for (const resourceLogs of reader.messages(body.length, 1, 'ResourceLogs')) {
    const scopes: Range[] = [];
    const deprecated: Range[] = [];
    const attributes: OtlpAttribute[] = [];
    reader.at = resourceLogs.start;
    while (reader.at < resourceLogs.end) {
      const tag = reader.tag(resourceLogs.end);
      switch (tag >>> 3) {
        case 1:
          reader.attributes(reader.message(tag, resourceLogs.end, 'Resource'), 1, attributes);
          break;
        case 2:
          scopes.push(reader.pass(tag, resourceLogs.end, 'ScopeLogs'));
          break;
        case 1000:
          deprecated.push(reader.pass(tag, resourceLogs.end, 'DeprecatedScopeLogs'));
          break;
        default:
          reader.skip(tag, resourceLogs.end);
      }
    }
    sink.resource(attributes);
    for (const scopeLogs of scopes.length > 0 ? scopes : deprecated) {
      const { scope, records } = reader.scopeLogs(scopeLogs);
      sink.scope(scope);
      let pause = scopeLogs.start + SLICE_BYTES;
      for (const { start, end } of records) {
        reader.at = start;
        clearRecord(record);
        reader.record(record, end);
        sink.record(record);
        if (end > pause) {
          pause = end + SLICE_BYTES;
          yield;
        }
      }
    }
  }
}

interface Range {
  readonly start: number;
  readonly end: number;
}

class OtlpReader extends ProtoReader {
  constructor(bytes: Buffer) {
    super(bytes, 'ExportLogsServiceRequest');
  }

  /** Goes into a message; returns where it ends. */
  message(tag: number, end: number, name: string): number {
    this.expect(tag, BYTES, name);
    return this.end(end);
  }

  /** Passes a message over; returns where its content lies. */
  pass(tag: number, end: number, name: string): Range {
    const stop = this.message(tag, end, name);
    const range = { start: this.at, end: stop };
    this.at = stop;
    return range;
  }

  /** Where the messages of a repeated field lie, from the place at hand on. */
  messages(end: number, field: number, name: string): Range[] {
    const found: Range[] = [];
    while (this.at < end) {
      const tag = this.tag(end);
      if (tag >>> 3 === field) found.push(this.pass(tag, end, name));
      else this.skip(tag, end);
    }
    return found;
  }

  /** Reads a message of which only attributes count. */
  attributes(end: number, field: number, into: OtlpAttribute[]): void {
    while (this.at < end) {
      const tag = this.tag(end);
      if (tag >>> 3 === field) into.push(this.#attribute(this.message(tag, end, 'Attributes'), 0));
      else this.skip(tag, end);
    }
  }

  scopeLogs({ start, end }: Range): { readonly scope: OtlpScope; readonly records: readonly Range[] } {
    let scope = EMPTY_SCOPE;
    const records: Range[] = [];
    this.at = start;
    while (this.at < end) {
      const tag = this.tag(end);
      if (tag >>> 3 === 1) scope = this.#scope(this.message(tag, end, 'Scope'));
      else if (tag >>> 3 === 2) records.push(this.pass(tag, end, 'LogRecords'));
      else this.skip(tag, end);
    }
    return { scope, records };
  }

  #scope(end: number): OtlpScope {
    let { name, version, droppedAttributes } = EMPTY_SCOPE;
    const attributes: OtlpAttribute[] = [];
    while (this.at < end) {
      const tag = this.tag(end);
      switch (tag >>> 3) {
        case 1:
          name = this.#span(tag, end, 'Name');
          break;
        case 2:
          version = this.#span(tag, end, 'Version');
          break;
        case 3:
          attributes.push(this.#attribute(this.message(tag, end, 'Attributes'), 0));
          break;
        case 4:
          droppedAttributes = this.#uint32(tag, end, 'DroppedAttributesCount');
          break;
        default:
          this.skip(tag, end);
      }
    }
    return { name, version, attributes, droppedAttributes };
  }

  record(record: OtlpRecord, end: number): void {
    while (this.at < end) {
      const tag = this.tag(end);
      switch (tag >>> 3) {
        case 1:
          this.expect(tag, FIXED64, 'TimeUnixNano');
          record.timeNs = this.fixed64(end);
          break;
        case 2:
          this.expect(tag, VARINT, 'SeverityNumber');
          record.severityNumber = this.int64(end) | 0;
          break;
        case 3:
          record.severityText = this.#span(tag, end, 'SeverityText');
          break;
        case 5:
          record.body = this.#value(this.message(tag, end, 'Body'), 0);
          break;
        case 6:
          record.attributes.push(this.#attribute(this.message(tag, end, 'Attributes'), 0));
          break;
        case 7:
          record.droppedAttributes = this.#uint32(tag, end, 'DroppedAttributesCount');
          break;
        case 8:
          this.expect(tag, FIXED32, 'Flags');
          record.flags = this.fixed32(end);
          break;
        case 9:
          record.traceId = this.#id(tag, end, 16, 'TraceID');
          break;
        case 10:
          record.spanId = this.#id(tag, end, 8, 'SpanID');
          break;
        case 11:
          this.expect(tag, FIXED64, 'ObservedTimeUnixNano');
          record.observedNs = this.fixed64(end);
          break;
        default:
          this.skip(tag, end);
      }
    }
  }

  #attribute(end: number, depth: number): OtlpAttribute {
    let key = NO_SPAN;
    let value = EMPTY_VALUE;
    while (this.at < end) {
      const tag = this.tag(end);
      if (tag >>> 3 === 1) key = this.#span(tag, end, 'Key');
      else if (tag >>> 3 === 2) value = this.#value(this.message(tag, end, 'Value'), depth);
      else this.skip(tag, end);
    }
    return { key, value };
  }

  #value(end: number, depth: number): OtlpValue {
    if (depth > MAX_VALUE_DEPTH) throw malformed('proto: values nested too deeply');
    let value = EMPTY_VALUE;
    while (this.at < end) {
      const tag = this.tag(end);
      switch (tag >>> 3) {
        case 1:
          value = { kind: 'string', span: this.#span(tag, end, 'StringValue') };
          break;
        case 2:
          this.expect(tag, VARINT, 'BoolValue');
          value = { kind: 'bool', value: this.varint(end) !== 0 };
          break;
        case 3:
          this.expect(tag, VARINT, 'IntValue');
          value = { kind: 'int', value: this.exactInt64(end) };
          break;
        case 4:
          this.expect(tag, FIXED64, 'DoubleValue');
          value = { kind: 'double', value: this.double(end) };
          break;
        case 5:
          value = { kind: 'array', values: this.#array(this.message(tag, end, 'ArrayValue'), depth + 1) };
          break;
        case 6:
          value = { kind: 'map', entries: this.#map(this.message(tag, end, 'KvlistValue'), depth + 1) };
          break;
        case 7: {
          const { start, length } = this.#span(tag, end, 'BytesValue');
          value = { kind: 'bytes', base64: this.bytes.toString('base64', start, start + length) };
          break;
        }
        default:
          this.skip(tag, end);
      }
    }
    return value;
  }

  #array(end: number, depth: number): OtlpValue[] {
    const values: OtlpValue[] = [];
    while (this.at < end) {
      const tag = this.tag(end);
      if (tag >>> 3 === 1) values.push(this.#value(this.message(tag, end, 'Values'), depth));
      else this.skip(tag, end);
    }
    return values;
  }

  #map(end: number, depth: number): OtlpAttribute[] {
    const entries: OtlpAttribute[] = [];
    while (this.at < end) {
      const tag = this.tag(end);
      if (tag >>> 3 === 1) entries.push(this.#attribute(this.message(tag, end, 'Values'), depth));
      else this.skip(tag, end);
    }
    return entries;
  }

  #span(tag: number, end: number, name: string): Span {
    const stop = this.message(tag, end, name);
    const span = { start: this.at, length: stop - this.at };
    this.at = stop;
    return span;
  }

  #uint32(tag: number, end: number, name: string): number {
    this.expect(tag, VARINT, name);
    return this.int64(end) >>> 0;
  }

  /** Hexadecimal of an id; one of zeros only is none. */
  #id(tag: number, end: number, size: number, name: string): string {
    const { start, length } = this.#span(tag, end, name);
    if (length === 0) return '';
    if (length !== size) throw malformed(`invalid length for ${name}`);
    const hex = this.bytes.toString('hex', start, start + length);
    return /[^0]/.test(hex) ? hex : '';
  }
}
