/**
 * Which four-byte pieces ("grams") stand in a block's lines, as a bit array with one hash. Only grams at even offsets of
 * the joined lines are kept, which halves size and work; a needle is then looked for at either parity. Case is folded
 * by setting bit 5 of each byte, in lines and needles alike, so that one array serves `|=` and `(?i)`; what else this
 * runs together (`@` and `` ` ``, `[` and `{`) costs a little precision and no truth.
 *
 * Lines touch each other in a block, so grams across their ends are kept too: they can only make a needle seem there.
 */
import type { FilterSet } from './filter-set.ts';

const GRAM_BYTES = 4;
/** A shorter needle may have no gram at one of the two parities. */
const MIN_NEEDLE_BYTES = GRAM_BYTES + 1;

/** Hashes before they are scaled down to the array's size. */
const HASH_BITS = 16;
const HASHES = 1 << HASH_BITS;
const MULTIPLIER = 0x9e3779b1 | 0; // 2^32 / golden ratio: neighbouring grams go far apart
const FOLD = 0x20202020;

/**
 * One hash, 63 % of the bits set: a needle of 24 bytes is then let through by one block in a hundred that lacks it. 1.44
 * (half of the bits set) would let through one in a thousand, for 1.5 % more of the stored bytes.
 */
const BITS_PER_GRAM = 1;
const MIN_BITS = 64;

const CHUNK_WORDS = 4096;
const CHUNK_BYTES = CHUNK_WORDS * 4;
/** The first bytes of the next chunk stand behind a chunk, for the grams that reach into it. */
const words = new Uint32Array(CHUNK_WORDS + 1);
const chunk = new Uint8Array(words.buffer);
/** One byte a hash: setting a byte needs no reading of what was there. */
const seen = new Uint8Array(HASHES);
const seenWords = new Uint32Array(seen.buffer);

/** The array's size is a multiple of 8 bits. 0.4 s a GB of lines, and 0.1 ms a block. */
export function encodeTextBits(lines: Uint8Array): Uint8Array {
  seen.fill(0);
  for (let at = 0; at < lines.length; at += CHUNK_BYTES) markChunk(lines, at);
  const count = countMarks(seenWords);
  // Distinct grams behind so many hashes.
  const grams = -HASHES * Math.log1p(-Math.min(count, HASHES - 1) / HASHES);
  const bits = Math.min(HASHES, Math.max(MIN_BITS, 8 * Math.ceil((grams * BITS_PER_GRAM) / 8)));
  const out = new Uint8Array(bits / 8);
  setBits(seenWords, out);
  return out;
}

/** `fours`: marks, four a number. */
function countMarks(fours: Uint32Array): number {
  let count = 0;
  for (let from = 0; from < fours.length; from += 64) {
    let sums = 0; // four of 64 marks each, side by side
    for (let i = from; i < from + 64; i++) sums += fours[i]!;
    count += (sums & 0xff) + ((sums >>> 8) & 0xff) + ((sums >>> 16) & 0xff) + (sums >>> 24);
  }
  return count;
}

/** Without branches: which hashes are marked cannot be foreseen. */
function setBits(fours: Uint32Array, out: Uint8Array): void {
  const bits = 8 * out.length;
  for (let i = 0; i < fours.length; i++) {
    const four = fours[i]!;
    if (four === 0) continue;
    let bit = scale(4 * i, bits);
    out[bit >>> 3]! |= (four & 1) << (bit & 7);
    bit = scale(4 * i + 1, bits);
    out[bit >>> 3]! |= ((four >>> 8) & 1) << (bit & 7);
    bit = scale(4 * i + 2, bits);
    out[bit >>> 3]! |= ((four >>> 16) & 1) << (bit & 7);
    bit = scale(4 * i + 3, bits);
    out[bit >>> 3]! |= (four >>> 24) << (bit & 7);
  }
}

function markChunk(lines: Uint8Array, at: number): void {
  const length = Math.min(CHUNK_BYTES + 2, lines.length - at);
  chunk.set(lines.subarray(at, at + length));
  // Whole words at first; what is left is looked at gram by gram.
  const whole = Math.min(CHUNK_WORDS, Math.max(0, (length - 2) >>> 2));
  markWords(words, whole, seen);
  for (let start = 4 * whole; start + GRAM_BYTES <= length && start < CHUNK_BYTES; start += 2) {
    seen[hashAt(chunk, start)] = 1;
  }
}

/** Both even grams of each word, for all words but the last. */
function markWords(from: Uint32Array, count: number, marks: Uint8Array): void {
  let word = from[0]! | FOLD;
  for (let i = 0; i < count; i++) {
    const next = from[i + 1]! | FOLD;
    marks[Math.imul(word, MULTIPLIER) >>> (32 - HASH_BITS)] = 1;
    marks[Math.imul((word >>> 16) | (next << 16), MULTIPLIER) >>> (32 - HASH_BITS)] = 1;
    word = next;
  }
}

function hashAt(bytes: Uint8Array, at: number): number {
  const gram = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  return Math.imul(gram | FOLD, MULTIPLIER) >>> (32 - HASH_BITS);
}

/** From a hash to a bit of an array of `bits`. */
function scale(hash: number, bits: number): number {
  return Math.imul(hash, bits) >>> HASH_BITS; // the product is below 2^32
}

/** A text to look for in many arrays: whether it may be there, in any case of its ASCII letters. */
export class TextProbe {
  /** By parity of the needle's place: the hashes of its grams that would be kept. */
  readonly #even: Uint16Array;
  readonly #odd: Uint16Array;

  private constructor(even: Uint16Array, odd: Uint16Array) {
    this.#even = even;
    this.#odd = odd;
  }

  /** Null when the needle is too short to tell anything. */
  static of(needle: Uint8Array): TextProbe | null {
    return needle.length < MIN_NEEDLE_BYTES ? null : new TextProbe(hashesFrom(needle, 0), hashesFrom(needle, 1));
  }

  /** As `FilterSieve.keep`. */
  keep(filters: FilterSet, blocks: Uint32Array, count: number): number {
    const some = this.#keepRoughly(filters, blocks, count);
    if (this.#even.length <= ROUGH_HASHES && this.#odd.length <= ROUGH_HASHES) return some;
    const { bytes, textStarts, textEnds } = filters;
    let kept = 0;
    for (let i = 0; i < some; i++) {
      const block = blocks[i]!;
      const start = textStarts[block]!;
      const bits = 8 * (textEnds[block]! - start);
      if (bits === 0 || hasAll(this.#even, bytes, start, bits) || hasAll(this.#odd, bytes, start, bits)) {
        blocks[kept++] = block;
      }
    }
    return kept;
  }

  /**
   * The same by a few hashes of each parity, without branches: which bits are set cannot be foreseen, and what the
   * processor need not wait for to go on, it fetches from memory for several blocks at a time.
   */
  #keepRoughly({ bytes, textStarts, textEnds }: FilterSet, blocks: Uint32Array, count: number): number {
    const [e0, e1, e2] = firstThree(this.#even);
    const [o0, o1, o2] = firstThree(this.#odd);
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const block = blocks[i]!;
      const start = textStarts[block]!;
      const bits = 8 * (textEnds[block]! - start);
      const even = bitAt(bytes, start, scale(e0, bits)) & bitAt(bytes, start, scale(e1, bits));
      const odd = bitAt(bytes, start, scale(o0, bits)) & bitAt(bytes, start, scale(o1, bits));
      const either =
        (even & bitAt(bytes, start, scale(e2, bits))) | (odd & bitAt(bytes, start, scale(o2, bits))) | +(bits === 0);
      blocks[kept] = block;
      kept += either;
    }
    return kept;
  }
}

function hashesFrom(needle: Uint8Array, first: number): Uint16Array {
  const hashes = new Set<number>();
  for (let at = first; at + GRAM_BYTES <= needle.length; at += 2) hashes.add(hashAt(needle, at));
  return Uint16Array.from(hashes);
}

const ROUGH_HASHES = 3;

/** With fewer than three, some of them again. */
function firstThree(hashes: Uint16Array): [number, number, number] {
  const last = hashes.length - 1;
  return [hashes[0]!, hashes[Math.min(1, last)]!, hashes[Math.min(2, last)]!];
}

function bitAt(bytes: Uint8Array, start: number, bit: number): number {
  return (bytes[start + (bit >>> 3)]! >>> (bit & 7)) & 1;
}

function hasAll(hashes: Uint16Array, bytes: Uint8Array, start: number, bits: number): boolean {
  for (let i = 0; i < hashes.length; i++) if (bitAt(bytes, start, scale(hashes[i]!, bits)) === 0) return false;
  return true;
}
