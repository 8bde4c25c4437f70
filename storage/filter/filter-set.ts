/** Offsets into a set's bytes are kept in 32 bits. */
const MAX_BYTES = 2 ** 32 - 1;
const HEADER_BYTES = 8;

/** The filters of many blocks, as they lie one after the other, and where the parts of each are. */
export class FilterSet {
  readonly bytes: Uint8Array;
  /** By number of the block, the ends of its parts one after the other; all 0 where a filter proves nothing. */
  readonly textStarts: Uint32Array;
  readonly textEnds: Uint32Array;
  readonly valuesEnds: Uint32Array;
  /** Of the letters, and so of the filter. */
  readonly ends: Uint32Array;

  /** Block b has the filter `[starts[b], starts[b + 1])`, of no bytes when it has none. */
  constructor(bytes: Uint8Array, starts: ArrayLike<number>) {
    const count = starts.length - 1;
    this.bytes = bytes;
    this.textStarts = new Uint32Array(count);
    this.textEnds = new Uint32Array(count);
    this.valuesEnds = new Uint32Array(count);
    this.ends = new Uint32Array(count);
    for (let b = 0; b < count; b++) this.#place(b, starts[b]!, starts[b + 1]!);
  }

  /** Memory that the set takes. */
  get sizeBytes(): number {
    return this.bytes.length + 4 * this.textStarts.byteLength;
  }

  #place(block: number, start: number, end: number): void {
    if (end - start < HEADER_BYTES || end > this.bytes.length || end > MAX_BYTES) return;
    const textStart = start + HEADER_BYTES;
    const textEnd = textStart + readUint32(this.bytes, start);
    const valuesEnd = textEnd + readUint32(this.bytes, start + 4);
    // A filter that does not add up proves nothing.
    if (textEnd === textStart || valuesEnd > end) return;
    this.textStarts[block] = textStart;
    this.textEnds[block] = textEnd;
    this.valuesEnds[block] = valuesEnd;
    this.ends[block] = end;
  }
}

function readUint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
