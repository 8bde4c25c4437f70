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
export const FOLD = 0x20202020;
export const MULTIPLIER = 0x9e3779b1 | 0; // 2^32 / golden ratio: neighbouring grams go far apart

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
