/**
 * Snappy's tags, decoded and checked in one pass. Hot: half of the bytes of a push come from copies of about 13 bytes,
 * so both kinds of tag move four bytes at a time, and may write a little beyond their end where room is left: what
 * follows overwrites it. `snappyjs` moves single bytes.
 *
 *     tag      := low two bits 0: literal of (tag >>> 2) + 1 bytes; above 60, 1 to 4 bytes with length - 1 follow
 *                              1: copy of ((tag >>> 2) & 7) + 4 bytes, offset of 11 bits: tag >>> 5, then a byte
 *                              2: copy of (tag >>> 2) + 1 bytes, offset of 16 bits
 *                              3: the same, offset of 32 bits
 */

/** Most that a fast path writes beyond what it was asked for. */
const SLOP_BYTES = 16;
/** A literal from here on is moved by `set`, whose call costs as much as 50 bytes in a loop. */
const LONG_LITERAL_BYTES = 48;

export class SnappyDecoder {
  readonly #input: Uint8Array;
  readonly #inputView: DataView;
  readonly #output: Uint8Array;
  readonly #outputView: DataView;
  #at: number;
  #produced = 0;

  /** `at`: behind the header. `output`: exactly as long as the header says. */
  constructor(input: Uint8Array, at: number, output: Uint8Array) {
    this.#input = input;
    this.#inputView = new DataView(input.buffer, input.byteOffset, input.length);
    this.#output = output;
    this.#outputView = new DataView(output.buffer, output.byteOffset, output.length);
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
    const input = this.#input;
    const from = this.#inputView;
    const output = this.#output;
    const to = this.#outputView;
    const end = input.length;
    const length = output.length;
    const fastInput = end - SLOP_BYTES;
    const fastOutput = length - SLOP_BYTES;
    let at = this.#at;
    let out = this.#produced;
    while (at < end && out < until) {
      const tag = input[at++]!;
      const kind = tag & 3;
      let size = (tag >>> 2) + 1;
      if (kind === 0) {
        if (size <= 16 && at <= fastInput && out <= fastOutput) {
          to.setInt32(out, from.getInt32(at, true), true);
          to.setInt32(out + 4, from.getInt32(at + 4, true), true);
          if (size > 8) {
            to.setInt32(out + 8, from.getInt32(at + 8, true), true);
            to.setInt32(out + 12, from.getInt32(at + 12, true), true);
          }
          at += size;
          out += size;
          continue;
        }
        if (size > 60) {
          const bytes = size - 60;
          if (at + bytes > end) return false;
          size = 1;
          for (let i = 0, factor = 1; i < bytes; i++, factor *= 256) size += input[at + i]! * factor;
          at += bytes;
        }
        if (at + size > end || out + size > length) return false;
        if (size >= LONG_LITERAL_BYTES) output.set(input.subarray(at, at + size), out);
        else for (let i = 0; i < size; i++) output[out + i] = input[at + i]!;
        at += size;
        out += size;
        continue;
      }
      let offset: number;
      if (kind === 1) {
        if (at >= end) return false;
        size = ((tag >>> 2) & 7) + 4;
        offset = ((tag >>> 5) << 8) | input[at]!;
        at += 1;
      } else if (kind === 2) {
        if (at + 2 > end) return false;
        offset = from.getUint16(at, true);
        at += 2;
      } else {
        if (at + 4 > end) return false;
        offset = from.getUint32(at, true);
        at += 4;
      }
      const stop = out + size;
      if (offset === 0 || offset > out || stop > length) return false;
      let source = out - offset;
      if (offset >= 4 && stop <= fastOutput) {
        // Four bytes at a time also where source and target overlap: the source is always four behind.
        for (; out < stop; out += 8, source += 8) {
          to.setInt32(out, to.getInt32(source, true), true);
          to.setInt32(out + 4, to.getInt32(source + 4, true), true);
        }
        out = stop;
      } else while (out < stop) output[out++] = output[source++]!;
    }
    this.#at = at;
    this.#produced = out;
    return at < end || out === length;
  }
}
