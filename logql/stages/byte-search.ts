import { type FindWord, searchOf } from './search-memory.ts';

/** Node compares needles of up to this length where their first byte stands, which `memchr` finds; longer ones otherwise. */
const MAX_ANCHOR_BYTES = 6;
/** A shorter piece has too many hits that are none. */
const MIN_ANCHOR_BYTES = 3;
/** What `FindWord` compares at once, as the first look. */
const WORD_BYTES = 4;
/** Bytes of a text that are looked at to learn how frequent each is, a piece in each of so many places. */
const SAMPLE_PLACES = 16;
const SAMPLE_BYTES = 32;
/** Of what was counted; what came before counts half as much. */
const REMEMBERED_BYTES = 1 << 14;

/** 0.05 ns a byte, and 7 to 8 more for each that is like the first one of what is looked for. */
const BASE_COST = 0.17;
const COST_OF_HITS = 25;
/** By words. */
const WORD_COST = 0.17;

/**
 * Looks for one text in many others: by words of four bytes where a text lies in memory that can be searched so
 * (`search-memory.ts`). `Buffer.indexOf` serves the others; it takes the longer, the more frequent the needle's first byte is,
 * from 2 to 20 GB/s. Both are given the piece of the needle that is rarest there by its ends, or by its first byte.
 */
export class ByteSearch {
  readonly needle: Buffer;
  readonly #counts = new Uint32Array(256);
  #counted = 0;
  /** Where in the needle the piece stands. */
  #offset = 0;
  #anchor: Buffer;
  #bytes: Buffer = NO_BYTES;
  /** Of the text's memory; undefined where that has none. */
  #find: FindWord | undefined;
  /** What it is given, and where in the needle that stands. */
  #word = 0;
  #wordOffset = 0;
  readonly #wordBytes: number;
  readonly #mask: number;

  /** `needle`: not empty. */
  constructor(needle: Buffer) {
    this.needle = needle;
    this.#anchor = needle;
    this.#wordBytes = Math.min(WORD_BYTES, needle.length);
    this.#mask = (-1 >>> (8 * (WORD_BYTES - this.#wordBytes))) | 0;
    this.#setWord(0);
  }

  /** What a search costs as far as that is known, in times of one for a byte that is every thirtieth. */
  get cost(): number {
    if (this.#find !== undefined) return WORD_COST;
    if (this.#counted === 0) return 1;
    return BASE_COST + (COST_OF_HITS * this.#counts[this.needle[this.#offset]!]!) / this.#counted;
  }

  /** Makes `bytes` the text that `next` looks at. */
  open(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#find = searchOf(bytes.buffer);
    if (this.needle.length <= MIN_ANCHOR_BYTES) return;
    this.#sample(bytes);
    if (this.#find !== undefined) {
      this.#setWord(this.#rarestWord());
      return;
    }
    const offset = this.#rarestOffset();
    if (offset === this.#offset && this.#anchor !== this.needle) return;
    this.#offset = offset;
    this.#anchor = this.needle.subarray(offset, offset + MAX_ANCHOR_BYTES);
  }

  /** Where the needle stands for the first time from `from` on; -1 when it does not. */
  next(from: number): number {
    const bytes = this.#bytes;
    if (this.#find !== undefined) return this.#nextByWord(this.#find, from);
    const anchor = this.#anchor;
    const offset = this.#offset;
    let at = bytes.indexOf(anchor, from + offset);
    if (anchor.length === this.needle.length) return at;
    while (at >= 0) {
      if (this.#isAt(at - offset)) return at - offset;
      at = bytes.indexOf(anchor, at + 1);
    }
    return -1;
  }

  #nextByWord(find: FindWord, from: number): number {
    const { byteOffset, length } = this.#bytes;
    const { needle } = this;
    const offset = this.#wordOffset;
    const distance = this.#wordBytes - 1;
    const first = needle[offset]!;
    const second = needle[offset + distance]!;
    const shift = byteOffset + offset;
    const last = shift + length - needle.length;
    let at = from + shift;
    for (;;) {
      at = find(at, last, first, second, distance, this.#word, this.#mask);
      if (at < 0) return -1;
      if (needle.length <= WORD_BYTES || this.#isAt(at - shift)) return at - shift;
      at++;
    }
  }

  #setWord(offset: number): void {
    this.#wordOffset = offset;
    this.#word = 0;
    for (let i = 0; i < this.#wordBytes; i++) this.#word |= this.needle[offset + i]! << (8 * i);
  }

  #isAt(start: number): boolean {
    const { needle } = this;
    const bytes = this.#bytes;
    for (let i = 0; i < needle.length; i++) if (bytes[start + i] !== needle[i]) return false;
    return true;
  }

  #sample(bytes: Buffer): void {
    const counts = this.#counts;
    const step = Math.max(SAMPLE_BYTES, Math.floor(bytes.length / SAMPLE_PLACES));
    for (let from = 0; from < bytes.length; from += step) {
      const end = Math.min(from + SAMPLE_BYTES, bytes.length);
      for (let i = from; i < end; i++) counts[bytes[i]!]!++;
      this.#counted += end - from;
    }
    if (this.#counted <= REMEMBERED_BYTES) return;
    this.#counted = 0;
    for (let byte = 0; byte < counts.length; byte++) this.#counted += counts[byte]! >>>= 1;
  }

  /** Where in the needle the piece stands whose first and last byte are rarest together. */
  #rarestWord(): number {
    const { needle } = this;
    const counts = this.#counts;
    let best = 0;
    let bestCount = Number.POSITIVE_INFINITY;
    for (let i = 0; i + this.#wordBytes <= needle.length; i++) {
      const count = (counts[needle[i]!]! + 1) * (counts[needle[i + this.#wordBytes - 1]!]! + 1);
      if (count >= bestCount) continue;
      best = i;
      bestCount = count;
    }
    return best;
  }

  #rarestOffset(): number {
    const { needle } = this;
    const counts = this.#counts;
    let best = 0;
    for (let i = 1; i + MIN_ANCHOR_BYTES <= needle.length; i++) {
      if (counts[needle[i]!]! < counts[needle[best]!]!) best = i;
    }
    return best;
  }
}

const NO_BYTES = Buffer.alloc(0);
