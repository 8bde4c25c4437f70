/** Node compares needles of up to this length where their first byte stands, which `memchr` finds; longer ones otherwise. */
const MAX_ANCHOR_BYTES = 6;
/** A shorter piece has too many hits that are none. */
const MIN_ANCHOR_BYTES = 3;
/** Bytes of a text that are looked at to learn how frequent each is, a piece in each of so many places. */
const SAMPLE_PLACES = 16;
const SAMPLE_BYTES = 32;
/** Of what was counted; what came before counts half as much. */
const REMEMBERED_BYTES = 1 << 14;

/** 0.05 ns a byte, and 7 to 8 more for each that is like the first one of what is looked for. */
const BASE_COST = 0.17;
const COST_OF_HITS = 25;

/**
 * Looks for one text in many others. `Buffer.indexOf` takes the longer, the more frequent the needle's first byte is, from 2
 * to 20 GB/s: so what it looks for is the piece of the needle that begins with the byte that is rarest there.
 */
export class ByteSearch {
  readonly needle: Buffer;
  readonly #counts = new Uint32Array(256);
  #counted = 0;
  /** Where in the needle the piece stands. */
  #offset = 0;
  #anchor: Buffer;
  #bytes: Buffer = NO_BYTES;

  /** `needle`: not empty. */
  constructor(needle: Buffer) {
    this.needle = needle;
    this.#anchor = needle;
  }

  /** What a search costs as far as that is known, in times of one for a byte that is every thirtieth. */
  get cost(): number {
    if (this.#counted === 0) return 1;
    return BASE_COST + (COST_OF_HITS * this.#counts[this.needle[this.#offset]!]!) / this.#counted;
  }

  /** Makes `bytes` the text that `next` looks at. */
  open(bytes: Buffer): void {
    this.#bytes = bytes;
    if (this.needle.length <= MIN_ANCHOR_BYTES) return;
    this.#sample(bytes);
    const offset = this.#rarestOffset();
    if (offset === this.#offset && this.#anchor !== this.needle) return;
    this.#offset = offset;
    this.#anchor = this.needle.subarray(offset, offset + MAX_ANCHOR_BYTES);
  }

  /** Where the needle stands for the first time from `from` on; -1 when it does not. */
  next(from: number): number {
    const bytes = this.#bytes;
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
