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
}
