/**
 * Snappy's tags, decoded and checked in one pass. Hot: half of the bytes of a push come from copies of about 13 bytes,
 * so both kinds of tag move 16 bytes at once, and may write a little beyond their end where room is left: what follows
 * overwrites it. `snappyjs` moves single bytes.
 *
 * What a tag is cannot be foreseen, and a wrong guess of the processor costs as much as moving 50 bytes: the two usual
 * kinds of copies share one path, with a table for what differs. Of a bigint that goes from one DataView to another
 * V8's compiler makes a move of eight bytes, and no object.
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
/** Bytes behind the tag, by kind. */
const COPY_BYTES = [0, 1, 2, 4];
/** Of tags of kind 1 and 2: bits 0 to 7 the size, 8 to 15 of the offset, from 16 a mask for the two bytes behind the tag. */
const COPIES = Uint32Array.from({ length: 256 }, (_, tag) =>
  (tag & 3) === 1 ? 0xff_0000 + (((tag >>> 5) << 8) | (((tag >>> 2) & 7) + 4)) : 0xffff_0000 + (tag >>> 2) + 1,
);

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
          to.setBigInt64(out, from.getBigInt64(at, true), true);
          to.setBigInt64(out + 8, from.getBigInt64(at + 8, true), true);
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
      if (kind !== 3 && at <= fastInput) {
        const copy = COPIES[tag]!;
        size = copy & 0xff;
        offset = (copy & 0xff00) | (from.getUint16(at, true) & (copy >>> 16));
        at += kind;
      } else {
        if (at + COPY_BYTES[kind]! > end) return false;
        if (kind === 1) {
          size = ((tag >>> 2) & 7) + 4;
          offset = ((tag >>> 5) << 8) | input[at]!;
        } else offset = kind === 2 ? from.getUint16(at, true) : from.getUint32(at, true);
        at += COPY_BYTES[kind]!;
      }
      const stop = out + size;
      if (offset === 0 || offset > out || stop > length) return false;
      let source = out - offset;
      if (offset >= 8 && stop <= fastOutput) {
        // Also where source and target overlap: the source is always eight bytes behind.
        to.setBigInt64(out, to.getBigInt64(source, true), true);
        to.setBigInt64(out + 8, to.getBigInt64(source + 8, true), true);
        for (out += 16, source += 16; out < stop; out += 8, source += 8) {
          to.setBigInt64(out, to.getBigInt64(source, true), true);
        }
        out = stop;
      } else while (out < stop) output[out++] = output[source++]!;
    }
    this.#at = at;
    this.#produced = out;
    return at < end || out === length;
  }
}
