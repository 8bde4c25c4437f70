/**
 * Which four-byte pieces ("grams") stand in a block's lines, as two bit arrays with one hash each.
 *
 * `text`: grams at even offsets of the joined lines only, which halves size and work; a needle is then looked for at either
 * parity. Most of them are digits, of which there are so many that more bits for each would cost more than they deny.
 *
 * `letters`: grams of ASCII letters, at every offset. The words of a log are few, 600 such grams a block where `text` has
 * 14,000: four bits for each are cheap, and deny nearly every word that is not there.
 *
 * Case is folded by setting bit 5 of each byte, in lines and needles alike, so that one array serves `|=` and `(?i)`; what
 * else this runs together (`@` and `` ` ``, `[` and `{`) costs a little precision and no truth.
 *
 * Lines touch each other in a block, so grams across their ends are kept too: they can only make a needle seem there.
 */
export const GRAM_BYTES = 4;
const FOLD = 0x20202020;
const MULTIPLIER = 0x9e3779b1 | 0; // 2^32 / golden ratio: neighbouring grams go far apart

/** Bits of a hash, before it is scaled down to an array's size: of grams at even offsets, and of those of letters. */
export const HASH_BITS = 16;
export const LETTER_HASH_BITS = 14;

/** The folded gram at `at`, its first byte lowest. */
export function gramAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24) | FOLD;
}

export function hashOf(gram: number): number {
  return Math.imul(gram, MULTIPLIER) >>> (32 - HASH_BITS);
}

export function letterHashOf(gram: number): number {
  return Math.imul(gram, MULTIPLIER) >>> (32 - LETTER_HASH_BITS);
}

/** What `lettersIn` says of a gram that consists of ASCII letters. */
export const ALL_LETTERS = 0x80808080 | 0;

/** The highest bit of each byte of a folded gram that is an ASCII letter. */
export function lettersIn(gram: number): number {
  const low = gram & 0x7f7f7f7f;
  // Adding carries into the highest bit from `a` on, and from the byte behind `z` on.
  return (low + 0x1f1f1f1f) & ~(low + 0x05050505) & ~gram & ALL_LETTERS;
}

/** From a hash of `hashBits` to a bit of an array of `bits`. */
export function scale(hash: number, bits: number, hashBits: number): number {
  return Math.imul(hash, bits) >>> hashBits; // the product is at most 2^32
}

/**
 * One hash, 63 % of the bits set: a needle of 24 bytes is then let through by one block in a hundred that lacks it. 1.44
 * (half of the bits set) would let through one in a thousand, for 1.5 % more of the stored bytes.
 */
const BITS_PER_GRAM = 1;
const BITS_PER_LETTER_GRAM = 4;
const MIN_BITS = 64;

const CHUNK_WORDS = 4096;
const CHUNK_BYTES = CHUNK_WORDS * 4;
/** How far grams of a chunk reach beyond it. */
const OVERHANG = GRAM_BYTES - 1;
/** The first bytes of the next chunk stand behind a chunk. */
const words = new Uint32Array(CHUNK_WORDS + 1);
const chunk = new Uint8Array(words.buffer);
/** Up to here grams are listed, and not looked for among all hashes. */
const SMALL_BYTES = 4096;

/** One byte a hash: setting a byte needs no reading of what was there. All 0 between calls. */
const seen = new Uint8Array(1 << HASH_BITS);
const seenLetters = new Uint8Array(1 << LETTER_HASH_BITS);
/** The distinct hashes of small lines. */
const listed = new Uint16Array(SMALL_BYTES);
const listedLetters = new Uint16Array(SMALL_BYTES);

export interface TextBits {
  /** Sizes are multiples of 8 bits. */
  readonly text: Uint8Array;
  readonly letters: Uint8Array;
}

/**
 * 1.8 s a GB of lines, half of it for the letters, and 0.1 ms a block; 10 ns a byte where these are few. `smallBytes`:
 * SMALL_BYTES at most.
 */
export function encodeTextBits(lines: Uint8Array, smallBytes = SMALL_BYTES): TextBits {
  if (lines.length <= smallBytes) return encodeSmall(lines);
  for (let at = 0; at < lines.length; at += CHUNK_BYTES) markChunk(lines, at);
  const text = bitsOf(seen, HASH_BITS, BITS_PER_GRAM);
  const letters = bitsOf(seenLetters, LETTER_HASH_BITS, BITS_PER_LETTER_GRAM);
  seen.fill(0);
  seenLetters.fill(0);
  return { text, letters };
}

function encodeSmall(lines: Uint8Array): TextBits {
  let count = 0;
  let letterCount = 0;
  for (let at = 0; at + GRAM_BYTES <= lines.length; at++) {
    const gram = gramAt(lines, at);
    const hash = hashOf(gram);
    if ((at & 1) === 0 && seen[hash] === 0) {
      seen[hash] = 1;
      listed[count++] = hash;
    }
    if (lettersIn(gram) !== ALL_LETTERS) continue;
    const letterHash = letterHashOf(gram);
    if (seenLetters[letterHash] === 0) {
      seenLetters[letterHash] = 1;
      listedLetters[letterCount++] = letterHash;
    }
  }
  return {
    text: bitsOfListed(listed, count, seen, HASH_BITS, BITS_PER_GRAM),
    letters: bitsOfListed(listedLetters, letterCount, seenLetters, LETTER_HASH_BITS, BITS_PER_LETTER_GRAM),
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

function bitsOf(marks: Uint8Array, hashBits: number, bitsPerGram: number): Uint8Array {
  const fours = new Uint32Array(marks.buffer);
  const out = new Uint8Array(bitsFor(countMarks(fours), marks.length, bitsPerGram) / 8);
  setBits(fours, out, hashBits);
  return out;
}

/** Of an array, when so many of all `hashes` are marked; a multiple of 8. */
function bitsFor(marked: number, hashes: number, bitsPerGram: number): number {
  // Distinct grams behind so many hashes.
  const grams = -hashes * Math.log1p(-Math.min(marked, hashes - 1) / hashes);
  return Math.min(hashes, Math.max(MIN_BITS, 8 * Math.ceil((grams * bitsPerGram) / 8)));
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

function markChunk(lines: Uint8Array, at: number): void {
  const length = Math.min(CHUNK_BYTES + OVERHANG, lines.length - at);
  chunk.set(lines.subarray(at, at + length));
  // Whole words at first; what is left is looked at gram by gram.
  const whole = Math.min(CHUNK_WORDS, Math.max(0, length - OVERHANG) >>> 2);
  markWords(words, whole, seen, seenLetters);
  for (let start = 4 * whole; start + GRAM_BYTES <= length && start < CHUNK_BYTES; start++) {
    const gram = gramAt(chunk, start);
    if ((start & 1) === 0) seen[hashOf(gram)] = 1;
    if (lettersIn(gram) === ALL_LETTERS) seenLetters[letterHashOf(gram)] = 1;
  }
}

/** The grams that begin in each word. */
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
