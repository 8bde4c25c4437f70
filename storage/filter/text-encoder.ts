/** Makes the bit arrays of `text-bits.ts` for one block. */
import { type GramMarker, newGramMarker } from './gram-marker.ts';
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

/**
 * One hash, 63 % of the bits set: a needle of 24 bytes is then let through by one block in a hundred that lacks it. 1.44
 * (half of the bits set) would let through one in a thousand, for 1.5 % more of the stored bytes.
 */
const BITS_PER_GRAM = 1;
export const BITS_PER_LETTER_GRAM = 4;
const MIN_BITS = 64;

/** Up to here grams are listed, and not looked for among all hashes. */
const SMALL_BYTES = 4096;

/** Made for the first lines: threads that only look for texts have none. Its marks are all 0 between calls. */
let marker: GramMarker | null = null;
/** The distinct hashes of small lines. */
const listed = new Uint16Array(SMALL_BYTES);
const listedLetters = new Uint16Array(SMALL_BYTES);

export interface TextBits {
  /** Sizes are multiples of 8 bits. */
  readonly text: Uint8Array;
  readonly letters: Uint8Array;
}

/** 0.7 s a GB of lines, and 0.03 ms a block; 10 ns a byte where these are few. `smallBytes`: SMALL_BYTES at most. */
export function encodeTextBits(lines: Uint8Array, smallBytes = SMALL_BYTES): TextBits {
  marker ??= newGramMarker();
  if (lines.length <= smallBytes) return encodeSmall(lines, marker);
  marker.mark(lines);
  return {
    text: marker.take(marker.text, HASH_BITS, (marked) => bitsFor(marked, 1 << HASH_BITS, BITS_PER_GRAM)),
    letters: marker.take(marker.letters, LETTER_HASH_BITS, (marked) =>
      bitsFor(marked, 1 << LETTER_HASH_BITS, BITS_PER_LETTER_GRAM),
    ),
  };
}

function encodeSmall(lines: Uint8Array, marks: GramMarker): TextBits {
  const { text, letters } = marks;
  let count = 0;
  let letterCount = 0;
  for (let at = 0; at + GRAM_BYTES <= lines.length; at++) {
    const gram = gramAt(lines, at);
    const hash = hashOf(gram);
    if ((at & 1) === 0 && text[hash] === 0) {
      text[hash] = 1;
      listed[count++] = hash;
    }
    if (lettersIn(gram) !== ALL_LETTERS) continue;
    const letterHash = letterHashOf(gram);
    if (letters[letterHash] === 0) {
      letters[letterHash] = 1;
      listedLetters[letterCount++] = letterHash;
    }
  }
  return {
    text: bitsOfListed(listed, count, text, HASH_BITS, BITS_PER_GRAM),
    letters: bitsOfListed(listedLetters, letterCount, letters, LETTER_HASH_BITS, BITS_PER_LETTER_GRAM),
  };
}

/** Clears the marks. */
function bitsOfListed(
  hashes: Uint16Array,
  count: number,
  marks: Uint8Array,
  hashBits: number,
  bitsPerGram: number,
): Uint8Array {
  const bits = bitsFor(count, marks.length, bitsPerGram);
  const out = new Uint8Array(bits / 8);
  for (let i = 0; i < count; i++) {
    const bit = scale(hashes[i]!, bits, hashBits);
    out[bit >>> 3]! |= 1 << (bit & 7);
    marks[hashes[i]!] = 0;
  }
  return out;
}

/** Of an array, when so many of all `hashes` are marked; a multiple of 8. */
function bitsFor(marked: number, hashes: number, bitsPerGram: number): number {
  // Distinct grams behind so many hashes.
  const grams = -hashes * Math.log1p(-Math.min(marked, hashes - 1) / hashes);
  return Math.min(hashes, Math.max(MIN_BITS, 8 * Math.ceil((grams * bitsPerGram) / 8)));
}
