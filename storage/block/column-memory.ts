/** Where decoded columns are put. What it gives is not cleared. */
export interface ColumnMemory {
  bytes(length: number): Buffer;
  words(length: number): Uint32Array;
  floats(length: number): Float64Array;
}

/** Fresh memory for each column, for those who keep it. */
export const freshMemory: ColumnMemory = {
  bytes: (length) => Buffer.allocUnsafeSlow(length),
  words: (length) => new Uint32Array(length),
  floats: (length) => new Float64Array(length),
};

/** Columns of about a dozen blocks. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
const FIRST_BYTES = 1024 * 1024;

/**
 * Memory for columns that are looked at and forgotten: what one block was read into serves for the next one. The kernel
 * takes as long to hand out and clear fresh pages as the decoder to fill them.
 */
export class ReusedMemory implements ColumnMemory {
  readonly #allocate: (bytes: number) => ArrayBuffer;
  #buffer: ArrayBuffer;
  /** Of the buffer, what is given out: it may be larger. */
  #size = FIRST_BYTES;
  #used = 0;

  /** `allocate` makes memory of at least so many bytes. */
  constructor(allocate: (bytes: number) => ArrayBuffer = (bytes) => new ArrayBuffer(bytes)) {
    this.#allocate = allocate;
    this.#buffer = allocate(FIRST_BYTES);
  }

  /** Takes back all that was given: what is still read from it changes under the reader. */
  reset(): void {
    this.#used = 0;
  }

  bytes(length: number): Buffer {
    const at = this.#take(length);
    return at < 0 ? freshMemory.bytes(length) : Buffer.from(this.#buffer, at, length);
  }

  words(length: number): Uint32Array {
    const at = this.#take(4 * length);
    return at < 0 ? freshMemory.words(length) : new Uint32Array(this.#buffer, at, length);
  }

  floats(length: number): Float64Array {
    const at = this.#take(8 * length);
    return at < 0 ? freshMemory.floats(length) : new Float64Array(this.#buffer, at, length);
  }

  /** Where `length` bytes are free, aligned for all kinds of columns; -1 when that much is not kept. */
  #take(length: number): number {
    const size = Math.ceil(length / 8) * 8;
    if (this.#used + size > this.#size) {
      // What was given out of the old buffer lives on there; the new one has room for as much again.
      const needed = Math.max(2 * this.#size, size);
      if (needed > MAX_KEPT_BYTES) return -1;
      this.#buffer = this.#allocate(needed);
      this.#size = needed;
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += size;
    return at;
  }
}
