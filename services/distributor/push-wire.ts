import { PushError } from './push-error.ts';
import { PushRows } from './push-rows.ts';
import { SLICE_BYTES, type Sliced } from './sliced.ts';

/**
 * One pass over the protobuf wire format of `logproto.PushRequest` (`proto/logproto.proto`) that hands out offsets.
 * Unknown fields are skipped, every length is checked against its message, and of a repeated single field the last
 * counts, as everywhere in protobuf. `protobufjs` decodes the same bytes in the tests.
 */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const START_GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;

/** Groups in groups, of unknown fields. */
const MAX_GROUP_DEPTH = 100;

/** What `google.protobuf.Timestamp` allows: 0001-01-01 up to, not including, 10000-01-01. */
const MIN_SECONDS = -62135596800;
const MAX_SECONDS = 253402300800;

/** `body`: the uncompressed message. The rows point into it. */
export function* decodePushWire(body: Buffer): Sliced<PushRows> {
  const reader = new WireReader(body);
  while (reader.at < body.length) {
    const tag = reader.tag(body.length);
    if (tag >>> 3 !== 1) {
      reader.skip(tag, body.length);
      continue;
    }
    reader.expect(tag, BYTES, 'Streams');
    const end = reader.end(body.length);
    const stream = reader.rows.addStream();
    let pause = reader.at + SLICE_BYTES;
    while (reader.at < end) {
      const field = reader.tag(end);
      switch (field >>> 3) {
        case 1: {
          reader.expect(field, BYTES, 'Labels');
          const labelsEnd = reader.end(end);
          stream.labelsForm = 'selector';
          stream.labelsStart = reader.at;
          stream.labelsEnd = labelsEnd;
          reader.at = labelsEnd;
          break;
        }
        case 2:
          reader.expect(field, BYTES, 'Entries');
          reader.entry(reader.end(end));
          stream.rowCount++;
          break;
        default:
          reader.skip(field, end);
      }
      if (reader.at > pause) {
        pause = reader.at + SLICE_BYTES;
        yield;
      }
    }
    if (stream.labelsForm === 'none') stream.labelsForm = 'selector'; // an absent string is the empty string
    yield;
  }
  return reader.rows;
}

class WireReader {
  readonly rows: PushRows;
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.rows = new PushRows(bytes);
  }

  /** A field's key: its number shifted by three, and the wire type. */
  tag(end: number): number {
    const byte = this.#bytes[this.at]!;
    let tag = byte;
    if (byte < 0x80) this.at++;
    else tag = this.varint(end);
    if (tag >>> 3 === 0 || tag > 0xffffffff) throw malformed(`proto: PushRequest: illegal tag ${Math.floor(tag / 8)}`);
    return tag;
  }

  expect(tag: number, type: number, name: string): void {
    if ((tag & 7) !== type) throw malformed(`proto: wrong wireType = ${tag & 7} for field ${name}`);
  }

  /** Reads a length and returns where the field ends, which is at most `end`. */
  end(end: number): number {
    const byte = this.#bytes[this.at];
    let length: number;
    if (this.at < end && byte! < 0x80) {
      length = byte!;
      this.at++;
    } else length = this.varint(end);
    const stop = this.at + length;
    if (stop > end) throw malformed('unexpected EOF');
    return stop;
  }

  /** Exact below 2^53; above only good for comparing. */
  varint(end: number): number {
    const bytes = this.#bytes;
    let at = this.at;
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 10; i++) {
      if (at >= end) throw malformed('unexpected EOF');
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        this.at = at;
        return value;
      }
      factor *= 128;
    }
    throw malformed('proto: integer overflow');
  }

  /** A varint as a signed 64-bit number, exact for what a timestamp can hold; anything larger stays too large. */
  int64(end: number): number {
    const start = this.at;
    const value = this.varint(end);
    if (value < Number.MAX_SAFE_INTEGER) return value;
    let exact = 0n;
    for (let at = start, shift = 0n; at < this.at; at++, shift += 7n) exact |= BigInt(this.#bytes[at]! & 0x7f) << shift;
    return Number(BigInt.asIntN(64, exact));
  }

  entry(end: number): void {
    const rows = this.rows;
    const row = rows.addRow();
    while (this.at < end) {
      const tag = this.tag(end);
      switch (tag >>> 3) {
        case 1:
          this.expect(tag, BYTES, 'Timestamp');
          this.#timestamp(row, this.end(end));
          break;
        case 2: {
          this.expect(tag, BYTES, 'Line');
          const lineEnd = this.end(end);
          rows.lineStarts[row] = this.at;
          rows.lineLengths[row] = lineEnd - this.at;
          this.at = lineEnd;
          break;
        }
        case 3:
          this.expect(tag, BYTES, 'StructuredMetadata');
          this.#pair(this.end(end));
          break;
        default:
          this.skip(tag, end);
      }
    }
  }

  #timestamp(row: number, end: number): void {
    let seconds = 0;
    let nanos = 0;
    while (this.at < end) {
      const tag = this.tag(end);
      switch (tag >>> 3) {
        case 1:
          this.expect(tag, VARINT, 'Seconds');
          seconds = this.int64(end);
          break;
        case 2:
          this.expect(tag, VARINT, 'Nanos');
          nanos = this.int64(end);
          break;
        default:
          this.skip(tag, end);
      }
    }
    if (seconds < MIN_SECONDS) throw malformed(`timestamp: seconds:${seconds} nanos:${nanos} before 0001-01-01`);
    if (seconds >= MAX_SECONDS) throw malformed(`timestamp: seconds:${seconds} nanos:${nanos} after 10000-01-01`);
    if (nanos < 0 || nanos >= 1e9) {
      throw malformed(`timestamp: seconds:${seconds} nanos:${nanos}: nanos not in range [0, 1e9)`);
    }
    this.rows.seconds[row] = seconds;
    this.rows.nanos[row] = nanos;
  }

  #pair(end: number): void {
    let nameStart = 0;
    let nameLength = 0;
    let valueStart = 0;
    let valueLength = 0;
    while (this.at < end) {
      const tag = this.tag(end);
      if (tag >>> 3 === 1) {
        this.expect(tag, BYTES, 'Name');
        const stop = this.end(end);
        nameStart = this.at;
        nameLength = stop - this.at;
        this.at = stop;
      } else if (tag >>> 3 === 2) {
        this.expect(tag, BYTES, 'Value');
        const stop = this.end(end);
        valueStart = this.at;
        valueLength = stop - this.at;
        this.at = stop;
      } else this.skip(tag, end);
    }
    this.rows.addPair(nameStart, nameLength, valueStart, valueLength);
  }

  /** Passes over the value of a field that nobody asked for. */
  skip(tag: number, end: number): void {
    let depth = 0;
    for (;;) {
      switch (tag & 7) {
        case VARINT:
          this.varint(end);
          break;
        case FIXED64:
          this.at += 8;
          break;
        case BYTES:
          this.at = this.end(end);
          break;
        case START_GROUP:
          if (++depth > MAX_GROUP_DEPTH) throw malformed('proto: groups nested too deeply');
          break;
        case END_GROUP:
          if (depth === 0) throw malformed('proto: PushRequest: wiretype end group for non-group');
          depth--;
          break;
        case FIXED32:
          this.at += 4;
          break;
        default:
          throw malformed(`proto: illegal wireType ${tag & 7}`);
      }
      if (this.at > end) throw malformed('unexpected EOF');
      if (depth === 0) return;
      if (this.at === end) throw malformed('unexpected EOF');
      tag = this.tag(end);
    }
  }
}

const malformed = (message: string): PushError => new PushError(400, message);
