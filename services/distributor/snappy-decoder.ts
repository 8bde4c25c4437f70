/**
 * Snappy's tags, decoded and checked in one pass. Hot: half of the bytes of a push come from copies of about 13 bytes.
 *
 * What a tag is cannot be foreseen, and a wrong guess of the processor costs as much as moving 50 bytes: the usual tags
 * share one path. A window of the input lies behind the output, in the same memory, so that whether a tag is a literal or
 * a copy only decides about the number of a place. 32 bytes are moved at least; what follows overwrites what is too much.
 * Of a bigint that goes from one place of a DataView to another V8's compiler makes a move of eight bytes, and no object.
 *
 *     memory   := output[length]  window of the input
 *     tag      := low two bits 0: literal of (tag >>> 2) + 1 bytes; above 60, 1 to 4 bytes with length - 1 follow
 *                              1: copy of ((tag >>> 2) & 7) + 4 bytes, offset of 11 bits: tag >>> 5, then a byte
 *                              2: copy of (tag >>> 2) + 1 bytes, offset of 16 bits
 *                              3: the same, offset of 32 bits
 */

/** Most that a usual tag makes, or the fast path writes. */
const MOST_BYTES = 64;
/** Most that the fast path reads from a tag on. */
const MOST_READ_BYTES = 1 + MOST_BYTES;
/** Of the input, unless there is less. */
const WINDOW_BYTES = 32 * 1024;
/** Places in more memory do not fit the fast path's arithmetic. */
const MAX_FAST_BYTES = 2 ** 31 - 1;
/** The fast path leaves copies of bytes that are closer, which may make what they copy, to the other one. */
const MIN_FAST_OFFSET = 8;
/** The longest literal whose tag says how long it is. */
const MAX_SHORT_LITERAL = 60;
/** Bytes behind the tag, by kind. */
const COPY_BYTES = [0, 1, 2, 4];

/** By tag the bytes up to the next one; 0 for those that are not usual. */
const ADVANCES = Uint8Array.from({ length: 256 }, (_, tag) => {
  const kind = tag & 3;
  if (kind === 0) return (tag >>> 2) + 1 <= MAX_SHORT_LITERAL ? (tag >>> 2) + 2 : 0;
  return kind === 3 ? 0 : 1 + COPY_BYTES[kind]!;
});
/**
 * By tag: bits 0 to 7 the size, 8 to 15 of the offset, from 16 a mask for the two bytes behind the tag. Literals have an
 * offset that is not small and means nothing.
 */
const TAGS = Uint32Array.from({ length: 256 }, (_, tag) => {
  const size = (tag >>> 2) + 1;
  if ((tag & 3) === 0) return 0x8000 | size;
  return (tag & 3) === 1 ? 0xff_0000 + (((tag >>> 5) << 8) | (((tag >>> 2) & 7) + 4)) : 0xffff_0000 + size;
});

export class SnappyDecoder {
  /** What an output of `length` bytes is decoded in, from `inputBytes` behind the header. */
  static memoryBytes(length: number, inputBytes: number): number {
    return length + Math.min(WINDOW_BYTES, inputBytes);
  }

  readonly #input: Uint8Array;
  readonly #memory: Uint8Array;
  readonly #view: DataView;
  readonly #length: number;
  #at: number;
  #produced = 0;
  /** Which part of the input the window holds. */
  #windowStart = 0;
  #windowEnd = 0;

  /** `at`: behind the header. `memory`: as large as `memoryBytes` says; the output comes to its front. */
  constructor(input: Uint8Array, at: number, memory: Uint8Array) {
    this.#input = input;
    this.#memory = memory;
    this.#view = new DataView(memory.buffer, memory.byteOffset, memory.length);
    this.#length = memory.length - Math.min(WINDOW_BYTES, input.length - at);
    this.#at = at;
  }

  get produced(): number {
    return this.#produced;
  }

  get isDone(): boolean {
    return this.#at === this.#input.length;
  }

  /** Decodes until `until` bytes of output are there or the input ends. False when the block is corrupt. */
  run(until: number): boolean {
    const end = this.#input.length;
    while (this.#at < end && this.#produced < until) {
      this.#moveWindow();
      this.#runFast(until);
      if (this.#at < end && this.#produced < until && !this.#step()) return false;
    }
    return this.#at < end || this.#produced === this.#length;
  }

  #moveWindow(): void {
    const at = this.#at;
    const end = this.#input.length;
    if (at + MOST_READ_BYTES <= this.#windowEnd || this.#windowEnd === end) return;
    this.#windowStart = at;
    this.#windowEnd = Math.min(at + WINDOW_BYTES, end);
    this.#memory.set(this.#input.subarray(at, this.#windowEnd), this.#length);
  }

  /** Decodes usual tags, as far as none can pass the end of the window or of the output. */
  #runFast(until: number): void {
    const view = this.#view;
    const shift = this.#length - this.#windowStart;
    const lastAt = view.byteLength > MAX_FAST_BYTES ? -1 : this.#windowEnd + shift - MOST_READ_BYTES;
    const lastOut = Math.min(until - 1, this.#length - MOST_BYTES);
    let at = this.#at + shift;
    let out = this.#produced;
    while (at <= lastAt && out <= lastOut) {
      const bytes = view.getInt32(at, true);
      const advance = ADVANCES[bytes & 0xff]!;
      if (advance === 0) break;
      const tag = TAGS[bytes & 0xff]!;
      const size = tag & 0xff;
      const offset = (tag & 0xff00) | ((bytes >>> 8) & (tag >>> 16));
      const literal = ((bytes & 3) - 1) >> 31; // all bits or none
      const source = ((at + 1) & literal) | ((out - offset) & ~literal);
      if (((offset - MIN_FAST_OFFSET) | source) < 0) break;
      // Also where source and target overlap: the source is always eight bytes behind.
      view.setBigInt64(out, view.getBigInt64(source, true), true);
      view.setBigInt64(out + 8, view.getBigInt64(source + 8, true), true);
      view.setBigInt64(out + 16, view.getBigInt64(source + 16, true), true);
      view.setBigInt64(out + 24, view.getBigInt64(source + 24, true), true);
      if (size > 32) {
        view.setBigInt64(out + 32, view.getBigInt64(source + 32, true), true);
        view.setBigInt64(out + 40, view.getBigInt64(source + 40, true), true);
        view.setBigInt64(out + 48, view.getBigInt64(source + 48, true), true);
        view.setBigInt64(out + 56, view.getBigInt64(source + 56, true), true);
      }
      at += advance;
      out += size;
    }
    this.#at = at - shift;
    this.#produced = out;
  }

  /** Decodes one tag of any kind. False when it is corrupt. */
  #step(): boolean {
    const input = this.#input;
    const output = this.#memory;
    const end = input.length;
    let at = this.#at;
    let out = this.#produced;
    const tag = input[at++]!;
    const kind = tag & 3;
    let size = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
    // What follows the tag: a literal's length, or a copy's offset.
    const isLongLiteral = kind === 0 && size > MAX_SHORT_LITERAL;
    const width = isLongLiteral ? size - MAX_SHORT_LITERAL : COPY_BYTES[kind]!;
    if (at + width > end) return false;
    let operand = 0;
    for (let i = 0, factor = 1; i < width; i++, factor *= 256) operand += input[at + i]! * factor;
    at += width;
    if (kind === 0) {
      if (isLongLiteral) size = operand + 1;
      if (at + size > end || out + size > this.#length) return false;
      output.set(input.subarray(at, at + size), out);
      at += size;
      out += size;
    } else {
      const offset = kind === 1 ? ((tag >>> 5) << 8) | operand : operand;
      if (offset === 0 || offset > out || out + size > this.#length) return false;
      for (const stop = out + size; out < stop; out++) output[out] = output[out - offset]!;
    }
    this.#at = at;
    this.#produced = out;
    return true;
  }
}
