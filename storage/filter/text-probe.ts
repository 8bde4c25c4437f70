import type { FilterSet } from './filter-set.ts';
import {
  ALL_LETTERS,
  GRAM_BYTES,
  gramAt,
  HASH_BITS,
  hashOf,
  LETTER_HASH_BITS,
  letterHashOf,
  lettersIn,
  scale,
} from './text-bits.ts';

/** What is looked at before the rest, of each of the three lists. */
const ROUGH_HASHES = 3;

/** A text to look for in many arrays (`text-bits.ts`): whether it may be there, in any case of its ASCII letters. */
export class TextProbe {
  /** As in `FilterSieve`: lines are what they are whatever the stream's labels. */
  readonly hiding: readonly string[] = [];
  /** By parity of the needle's place: the hashes of its grams that would be kept. */
  readonly #even: Uint16Array;
  readonly #odd: Uint16Array;
  readonly #letters: Uint16Array;

  private constructor(even: Uint16Array, odd: Uint16Array, letters: Uint16Array) {
    this.#even = even;
    this.#odd = odd;
    this.#letters = letters;
  }

  /** Null when the needle is too short to tell anything. */
  static of(needle: Uint8Array): TextProbe | null {
    const even = new Set<number>();
    const odd = new Set<number>();
    const letters = new Set<number>();
    for (let at = 0; at + GRAM_BYTES <= needle.length; at++) {
      const gram = gramAt(needle, at);
      (at % 2 === 0 ? even : odd).add(hashOf(gram));
      if (lettersIn(gram) === ALL_LETTERS) letters.add(letterHashOf(gram));
    }
    // A needle of four bytes has no gram at one of the parities, and may be there.
    if (odd.size === 0 && letters.size === 0) return null;
    if (odd.size === 0) even.clear();
    return new TextProbe(Uint16Array.from(even), Uint16Array.from(odd), Uint16Array.from(letters));
  }

  /** As `FilterSieve.keep`. */
  keep(filters: FilterSet, blocks: Uint32Array, count: number): number {
    if (this.#letters.length > 0) count = this.#keepWithLetters(filters, blocks, count);
    return this.#odd.length > 0 ? this.#keepWithText(filters, blocks, count) : count;
  }

  #keepWithLetters({ bytes, valuesEnds, ends }: FilterSet, blocks: Uint32Array, count: number): number {
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const block = blocks[i]!;
      const start = valuesEnds[block]!;
      const bits = 8 * (ends[block]! - start);
      // Filters of the first release have none.
      if (bits === 0 || hasAll(this.#letters, bytes, start, bits, LETTER_HASH_BITS)) blocks[kept++] = block;
    }
    return kept;
  }

  #keepWithText(filters: FilterSet, blocks: Uint32Array, count: number): number {
    const some = this.#keepRoughly(filters, blocks, count);
    if (this.#even.length <= ROUGH_HASHES && this.#odd.length <= ROUGH_HASHES) return some;
    const { bytes, textStarts, textEnds } = filters;
    let kept = 0;
    for (let i = 0; i < some; i++) {
      const block = blocks[i]!;
      const start = textStarts[block]!;
      const bits = 8 * (textEnds[block]! - start);
      if (
        bits === 0 ||
        hasAll(this.#even, bytes, start, bits, HASH_BITS) ||
        hasAll(this.#odd, bytes, start, bits, HASH_BITS)
      ) {
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
      const even = bitOf(e0, bytes, start, bits) & bitOf(e1, bytes, start, bits) & bitOf(e2, bytes, start, bits);
      const odd = bitOf(o0, bytes, start, bits) & bitOf(o1, bytes, start, bits) & bitOf(o2, bytes, start, bits);
      blocks[kept] = block;
      kept += even | odd | +(bits === 0);
    }
    return kept;
  }
}

/** With fewer than three, some of them again. */
function firstThree(hashes: Uint16Array): [number, number, number] {
  const last = hashes.length - 1;
  return [hashes[0]!, hashes[Math.min(1, last)]!, hashes[Math.min(2, last)]!];
}

function bitOf(hash: number, bytes: Uint8Array, start: number, bits: number): number {
  return bitAt(bytes, start, scale(hash, bits, HASH_BITS));
}

function bitAt(bytes: Uint8Array, start: number, bit: number): number {
  return (bytes[start + (bit >>> 3)]! >>> (bit & 7)) & 1;
}

function hasAll(hashes: Uint16Array, bytes: Uint8Array, start: number, bits: number, hashBits: number): boolean {
  for (let i = 0; i < hashes.length; i++) {
    if (bitAt(bytes, start, scale(hashes[i]!, bits, hashBits)) === 0) return false;
  }
  return true;
}
