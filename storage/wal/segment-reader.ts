import type { WalFile } from './files.ts';
import {
  decodeSegmentHeader,
  isRecordIntact,
  MAX_RECORD_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_PROBE,
  recordBytes,
  SEGMENT_HEADER_BYTES,
} from './format.ts';

export interface WalRecord {
  readonly segmentId: number;
  readonly type: number;
  readonly sequence: number;
  /** A view that starts at a multiple of 8 and is overwritten after the handler's promise resolves. */
  readonly payload: Buffer;
}

/** What of a segment could not be read: everything from `offset` on. */
export interface WalCorruption {
  readonly segmentId: number;
  readonly offset: number;
  readonly lostBytes: number;
}

export interface SegmentScan {
  readonly lastSequence: number;
  readonly records: number;
  readonly corruption: WalCorruption | null;
}

/** Bytes read at once; a longer record gets a buffer of its own size. */
const WINDOW_BYTES = 1 << 20;

/** Reads records in order until the end or the first damaged one. Memory: a window, or the longest record. */
export async function scanSegment(
  file: WalFile,
  segmentId: number,
  onRecord: (record: WalRecord) => void | Promise<void>,
): Promise<SegmentScan> {
  const size = await file.size();
  let lastSequence = 0;
  let records = 0;
  const end = (offset: number): SegmentScan => ({
    lastSequence,
    records,
    corruption: offset < size ? { segmentId, offset, lostBytes: size - offset } : null,
  });
  const window = new Window(file, size);
  const header = await window.at(0, SEGMENT_HEADER_BYTES);
  const firstSequence = header === null ? null : decodeSegmentHeader(header, segmentId);
  if (firstSequence === null) return end(0);
  lastSequence = firstSequence - 1;
  let at = SEGMENT_HEADER_BYTES;
  while (at < size) {
    const head = await window.at(at, RECORD_HEADER_BYTES);
    if (head === null) return end(at);
    const length = head.readUInt32LE(0);
    if (length > MAX_RECORD_BYTES) return end(at);
    const total = recordBytes(length);
    const record = await window.at(at, total);
    if (record === null) return end(at);
    const payload = record.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + length);
    if (!isRecordIntact(record.subarray(0, RECORD_HEADER_BYTES), payload)) return end(at);
    const type = record.readUInt8(16);
    if (type !== RECORD_PROBE) {
      const sequence = Number(record.readBigUInt64LE(8));
      lastSequence = Math.max(lastSequence, sequence);
      records++;
      await onRecord({ segmentId, type, sequence, payload });
    }
    at += total;
  }
  return end(at);
}

/** A sliding buffer over a file whose start is always at a multiple of 8 in the file and in memory. */
class Window {
  readonly #file: WalFile;
  readonly #size: number;
  #buffer: Buffer<ArrayBuffer>;
  #start = 0;
  #length = 0;

  constructor(file: WalFile, size: number) {
    this.#file = file;
    this.#size = size;
    this.#buffer = Buffer.from(new ArrayBuffer(Math.min(WINDOW_BYTES, size)));
  }

  /** `length` bytes from `position`, or null when the file ends before. Valid until the next call. */
  async at(position: number, length: number): Promise<Buffer | null> {
    if (position + length > this.#size) return null;
    if (position < this.#start || position + length > this.#start + this.#length) {
      if (!(await this.#load(position, length))) return null;
    }
    return this.#buffer.subarray(position - this.#start, position - this.#start + length);
  }

  async #load(position: number, length: number): Promise<boolean> {
    if (length > this.#buffer.length) this.#buffer = Buffer.from(new ArrayBuffer(length));
    else if (length <= WINDOW_BYTES && this.#buffer.length > WINDOW_BYTES) {
      this.#buffer = Buffer.from(new ArrayBuffer(WINDOW_BYTES));
    }
    this.#start = position;
    this.#length = 0;
    while (this.#length < this.#buffer.length) {
      const read = await this.#file.read(this.#buffer.subarray(this.#length), position + this.#length);
      if (read === 0) break;
      this.#length += read;
    }
    return this.#length >= length;
  }
}
