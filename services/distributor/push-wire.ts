import { BYTES, malformed, ProtoReader, VARINT } from './proto-reader.ts';
import { PushRows } from './push-rows.ts';
import { SLICE_BYTES, type Sliced } from './sliced.ts';

/**
 * One pass over the protobuf wire format of `logproto.PushRequest` (`proto/logproto.proto`) that hands out offsets.
 * Unknown fields are skipped, every length is checked against its message, and of a repeated single field the last
 * counts, as everywhere in protobuf. `protobufjs` decodes the same bytes in the tests.
 */

/** What `google.protobuf.Timestamp` allows: 0001-01-01 up to, not including, 10000-01-01. */
const MIN_SECONDS = -62135596800;
const MAX_SECONDS = 253402300800;

/** What `#usualRow` looks at, at most: timestamp 15 bytes, tag and length of the line 4. */
const MIN_USUAL_BYTES = 19;
/** Of four bytes those bits which say that another one follows. */
const FOUR_CONTINUED = 0x80808080 | 0;

/** `body`: the uncompressed message, into which `rows`, empty at first, then point. */
export function* decodePushWire(body: Buffer, rows: PushRows = new PushRows(body)): Sliced<PushRows> {
  const reader = new WireReader(body, rows);
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

class WireReader extends ProtoReader {
  readonly rows: PushRows;

  constructor(bytes: Buffer, rows: PushRows) {
    super(bytes, 'PushRequest');
    this.rows = rows;
  }

  entry(end: number): void {
    const rows = this.rows;
    const usual = this.#usualRow(end);
    const row = usual < 0 ? rows.addRow() : usual;
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

  /**
   * Takes an entry as clients write them: a timestamp between 1978 and 3058, then the line; what follows is left. It costs
   * half of what the fields one by one do. Answers the row, or -1 when the entry looks otherwise and nothing was taken.
   */
  #usualRow(end: number): number {
    const bytes = this.bytes;
    let at = this.at;
    if (end - at < MIN_USUAL_BYTES || bytes[at] !== 0x0a || bytes[at + 2] !== 0x08) return -1;
    const timeEnd = at + 2 + bytes[at + 1]!;
    const low = bytes[at + 3]! | (bytes[at + 4]! << 8) | (bytes[at + 5]! << 16) | (bytes[at + 6]! << 24);
    const high = bytes[at + 7]!;
    if ((low & 0x80808080) !== FOUR_CONTINUED || high >= 0x80) return -1;
    const seconds =
      high * 2 ** 28 + ((low & 0x7f) | ((low & 0x7f00) >>> 1) | ((low & 0x7f0000) >>> 2) | ((low & 0x7f000000) >>> 3));
    at += 8;
    let nanos = 0;
    if (at !== timeEnd) {
      if (bytes[at++] !== 0x10) return -1;
      let byte: number;
      let shift = 0;
      do {
        byte = bytes[at++]!;
        nanos |= (byte & 0x7f) << shift;
        shift += 7;
      } while (byte >= 0x80 && shift < 35);
      if (at !== timeEnd || byte >= (shift === 35 ? 4 : 0x80) || nanos >= 1e9) return -1;
    }
    if (bytes[at++] !== 0x12) return -1;
    let length = bytes[at++]!;
    if (length >= 0x80) {
      const byte = bytes[at++]!;
      length += (byte - 1) << 7;
      if (byte >= 0x80) {
        const last = bytes[at++]!;
        if (last >= 0x80) return -1;
        length += (last - 1) << 14;
      }
    }
    if (at + length > end) return -1;
    this.at = at + length;
    return this.rows.addLine(seconds, nanos, at, length);
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
    const { bytes, at } = this;
    // As clients write it: name and value of less than 128 bytes.
    if (end - at >= 4 && bytes[at] === 0x0a && bytes[at + 1]! < 0x80) {
      const length = bytes[at + 1]!;
      const valueAt = at + 4 + length;
      if (
        valueAt <= end &&
        bytes[valueAt - 2] === 0x12 &&
        bytes[valueAt - 1] === end - valueAt &&
        end - valueAt < 0x80
      ) {
        this.rows.addPair(at + 2, length, valueAt, end - valueAt);
        this.at = end;
        return;
      }
    }
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
}
