/** Marks which grams (`text-bits.ts`) stand in lines: one byte a hash, since setting a byte needs no reading of what was there. */
import { type GramKernel, KERNEL_STRIDE, newGramKernel } from './gram-kernel.ts';
import {
  ALL_LETTERS,
  FOLD,
  GRAM_BYTES,
  gramAt,
  HASH_BITS,
  hashOf,
  LETTER_HASH_BITS,
  letterHashOf,
  lettersIn,
  MULTIPLIER,
  scale,
} from './text-bits.ts';

export interface GramMarker {
  /** By hash, 1 for grams at even offsets that were there since somebody last cleared it. */
  readonly text: Uint8Array;
  /** The same of grams of letters, at all offsets. */
  readonly letters: Uint8Array;
  mark(lines: Uint8Array): void;
  /** Clears one of the two, and returns its hashes as an array of `bitsFor(how many there were)` bits. */
  take(marks: Uint8Array, hashBits: number, bitsFor: (marked: number) => number): Uint8Array;
}

const CHUNK_WORDS = 4096;
/** Lines are copied so far at a time, into memory of the marker's own that stays in the processor's cache. */
export const CHUNK_BYTES = CHUNK_WORDS * 4;
/** How far grams of a chunk reach beyond it. */
const OVERHANG = GRAM_BYTES - 1;

/** The fastest that there is here. */
export function newGramMarker(): GramMarker {
  return newVectorMarker() ?? new WordMarker();
}

/** Null where there is no kernel. */
export function newVectorMarker(): GramMarker | null {
  const hashes = { fold: FOLD, multiplier: MULTIPLIER, textBits: HASH_BITS, letterBits: LETTER_HASH_BITS };
  const kernel = newGramKernel(hashes, CHUNK_BYTES);
  return kernel === null ? null : new VectorMarker(kernel);
}

class VectorMarker implements GramMarker {
  readonly text: Uint8Array;
  readonly letters: Uint8Array;
  readonly #kernel: GramKernel;

  constructor(kernel: GramKernel) {
    this.#kernel = kernel;
    this.text = kernel.text;
    this.letters = kernel.letters;
  }

  mark(lines: Uint8Array): void {
    const { chunk } = this.#kernel;
    for (let at = 0; at < lines.length; at += CHUNK_BYTES) {
      const length = Math.min(CHUNK_BYTES + OVERHANG, lines.length - at);
      chunk.set(lines.subarray(at, at + length));
      const whole = Math.max(0, length - OVERHANG) & -KERNEL_STRIDE;
      if (whole > 0) this.#kernel.mark(whole);
      markRest(chunk, whole, length, this);
    }
  }

  take(marks: Uint8Array, hashBits: number, bitsFor: (marked: number) => number): Uint8Array {
    return this.#kernel.spread(hashBits, bitsFor(this.#kernel.collect(marks)));
  }
}

/** Four bytes at a time, without anything of the processor's own. */
export class WordMarker implements GramMarker {
  readonly text = new Uint8Array(1 << HASH_BITS);
  readonly letters = new Uint8Array(1 << LETTER_HASH_BITS);
  /** The first bytes of the next chunk stand behind a chunk. */
  readonly #words = new Uint32Array(CHUNK_WORDS + 1);
  readonly #chunk = new Uint8Array(this.#words.buffer);

  mark(lines: Uint8Array): void {
    for (let at = 0; at < lines.length; at += CHUNK_BYTES) {
      const length = Math.min(CHUNK_BYTES + OVERHANG, lines.length - at);
      this.#chunk.set(lines.subarray(at, at + length));
      const whole = Math.max(0, length - OVERHANG) >>> 2;
      markWords(this.#words, whole, this.text, this.letters);
      markRest(this.#chunk, 4 * whole, length, this);
    }
  }

  take(marks: Uint8Array, hashBits: number, bitsFor: (marked: number) => number): Uint8Array {
    const fours = new Uint32Array(marks.buffer, marks.byteOffset, marks.length / 4);
    const out = new Uint8Array(bitsFor(countMarks(fours)) / 8);
    setBits(fours, out, hashBits);
    marks.fill(0);
    return out;
  }
}

/** The grams that begin from `start` on in a chunk, which is `length` bytes long with its overhang. */
function markRest(chunk: Uint8Array, start: number, length: number, { text, letters }: GramMarker): void {
  for (let at = start; at + GRAM_BYTES <= length && at < CHUNK_BYTES; at++) {
    const gram = gramAt(chunk, at);
    if ((at & 1) === 0) text[hashOf(gram)] = 1;
    if (lettersIn(gram) === ALL_LETTERS) letters[letterHashOf(gram)] = 1;
  }
}

/** The grams that begin in each of the first words. */
function markWords(from: Uint32Array, count: number, marks: Uint8Array, letterMarks: Uint8Array): void {
  const fold = FOLD;
  const multiplier = MULTIPLIER;
  const allLetters = ALL_LETTERS;
  const shift = 32 - HASH_BITS;
  const letterShift = 32 - LETTER_HASH_BITS;
  let word = from[0]! | fold;
  let letters = lettersIn(word);
  for (let i = 0; i < count; i++) {
    const next = from[i + 1]! | fold;
    const middle = (word >>> 16) | (next << 16);
    marks[Math.imul(word, multiplier) >>> shift] = 1;
    marks[Math.imul(middle, multiplier) >>> shift] = 1;
    const low = next & 0x7f7f7f7f;
    const nextLetters = (low + 0x1f1f1f1f) & ~(low + 0x05050505) & ~next & allLetters;
    // The last byte of the word is in each of its grams.
    if (letters < 0) {
      if (letters === allLetters) letterMarks[Math.imul(word, multiplier) >>> letterShift] = 1;
      if (((letters >>> 8) | (nextLetters << 24)) === allLetters) {
        letterMarks[Math.imul((word >>> 8) | (next << 24), multiplier) >>> letterShift] = 1;
      }
      if (((letters >>> 16) | (nextLetters << 16)) === allLetters) {
        letterMarks[Math.imul(middle, multiplier) >>> letterShift] = 1;
      }
      if (((letters >>> 24) | (nextLetters << 8)) === allLetters) {
        letterMarks[Math.imul((word >>> 24) | (next << 8), multiplier) >>> letterShift] = 1;
      }
    }
    word = next;
    letters = nextLetters;
  }
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
function setBits(fours: Uint32Array, out: Uint8Array, hashBits: number): void {
  const bits = 8 * out.length;
  for (let i = 0; i < fours.length; i++) {
    const four = fours[i]!;
    if (four === 0) continue;
    let bit = scale(4 * i, bits, hashBits);
    out[bit >>> 3]! |= (four & 1) << (bit & 7);
    bit = scale(4 * i + 1, bits, hashBits);
    out[bit >>> 3]! |= ((four >>> 8) & 1) << (bit & 7);
    bit = scale(4 * i + 2, bits, hashBits);
    out[bit >>> 3]! |= ((four >>> 16) & 1) << (bit & 7);
    bit = scale(4 * i + 3, bits, hashBits);
    out[bit >>> 3]! |= (four >>> 24) << (bit & 7);
  }
}
