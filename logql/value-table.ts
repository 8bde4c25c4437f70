import { giveBack, roundLength, someUint32, takeBytes, takeUint32 } from './kept-memory.ts';

/** Values that come again and again are compared with the last one of their place before they are looked up. */
const RECENT = 64;
/** With more values than this most lookups would only change what is remembered. */
const MAX_REMEMBERED = 1000;

/** Strings of so many code units in a row are rarely different: a table begins with room for this many. */
const FIRST_SLOTS = 256;
const FIRST_BYTES = 4096;

/** Of a slot, the lower ones; they bound the values of a table. */
const NUMBER_BITS = 24;
const NUMBERS = 2 ** NUMBER_BITS - 1;

/**
 * Distinct values one behind the other, in the order of their hashes and, where those are equal, of their bytes: so lists of
 * them are joined in one pass, without a table.
 */
export interface HashedValues {
  readonly bytes: Uint8Array;
  readonly lengths: Uint32Array;
  /** `hashOf` each. */
  readonly hashes: Uint32Array;
}

/** Of a text of code units up to 0xff. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 12)) >>> 0;
}

/** Orders texts of code units up to 0xff as `<` orders their strings. */
export function compareBytes(
  a: Uint8Array,
  startA: number,
  endA: number,
  b: Uint8Array,
  startB: number,
  endB: number,
): number {
  let i = startA;
  let j = startB;
  for (; i < endA && j < endB; i++, j++) if (a[i] !== b[j]) return a[i]! - b[j]!;
  return endA - i - (endB - j);
}

/**
 * Numbers distinct strings in the order in which they are first met. A `Map` of strings with hundreds of thousands of
 * entries spends its time in the garbage collector, and holds on to what the strings are slices of; here they are bytes
 * in one array, found by open addressing.
 */
export class ValueTable {
  length = 0;
  /** Code units of all values, one behind the other. */
  #bytes = new Uint8Array(FIRST_BYTES);
  /** Where each value ends in `#bytes`. */
  #ends = new Uint32Array(FIRST_SLOTS);
  /** `hashOf` each value; 0 for those with code units above 0xff. */
  #hashes = new Uint32Array(FIRST_SLOTS);
  /**
   * 1 + a number, and in the bits above it the lowest of its hash; 0 for none. Twice as many as there may be values. What
   * misses the cache is dear: so slots are small, and mostly tell by themselves whether a value is the one. Its place is the upper
   * bits of its hash, so that all stand in about the order of their hashes.
   */
  #slots = new Uint32Array(2 * FIRST_SLOTS);
  /** By how much a hash is shifted to give its place. */
  #shift = 32 - Math.log2(2 * FIRST_SLOTS);
  /** Values with code units above 0xff, which take no bytes. */
  readonly #wide = new Map<string, number>();
  readonly #wideByNumber = new Map<number, string>();

  readonly #recent: string[] = new Array<string>(RECENT).fill('');
  readonly #recentNumbers = new Int32Array(RECENT).fill(-1);
  readonly #recentOfBytes = new Int32Array(RECENT).fill(-1);

  /** As `numberOf`, for where few values come often. */
  numberOfOften(text: string): number {
    const { length } = text;
    if (length === 0 || this.length > MAX_REMEMBERED) return this.numberOf(text);
    const place = (7 * length + text.charCodeAt(length - 1) + 3 * text.charCodeAt(length >> 1)) % RECENT;
    if (this.#recent[place] === text) return this.#recentNumbers[place]!;
    const number = this.numberOf(text);
    this.#recent[place] = this.at(number); // a copy: `text` may be a piece of a whole block
    this.#recentNumbers[place] = number;
    return number;
  }

  /** The number of `text` from `from` to `to`, a new one if need be. */
  numberOf(text: string, from = 0, to = text.length): number {
    const start = this.#used;
    if (start + to - from > this.#bytes.length) this.#growBytes(start + to - from);
    const bytes = this.#bytes;
    let end = start;
    for (let i = from; i < to; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0xff) return this.#numberOfWide(text.slice(from, to));
      bytes[end++] = unit;
    }
    return this.#numberOf(bytes, start, end, start);
  }

  /** As `numberOf` for the text that has the code units `bytes` from `start` to `end`. */
  numberOfBytes(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (length === 0 || this.length > MAX_REMEMBERED) return this.#numberOf(bytes, start, end, -1);
    const place = (7 * length + bytes[end - 1]! + 3 * bytes[start + (length >> 1)]! + 5 * bytes[start]!) % RECENT;
    const recent = this.#recentOfBytes[place]!;
    if (recent >= 0 && this.#isAt(recent, bytes, start, end)) return recent;
    const number = this.#numberOf(bytes, start, end, -1);
    this.#recentOfBytes[place] = number;
    return number;
  }

  /** `place`: where the bytes already stand behind those of all values; -1 when they stand elsewhere. */
  #numberOf(bytes: Uint8Array, start: number, end: number, place: number): number {
    const hash = hashOf(bytes, start, end);
    const slots = this.#slots;
    const mask = slots.length - 1;
    const mark = hash << NUMBER_BITS;
    let slot = hash >>> this.#shift;
    for (let found = slots[slot]!; found !== 0; found = slots[slot]!) {
      if (((found ^ mark) & ~NUMBERS) === 0) {
        const number = (found & NUMBERS) - 1;
        if (this.#isAt(number, bytes, start, end)) return number;
      }
      slot = (slot + 1) & mask;
    }
    const number = this.#push(place < 0 ? this.#append(bytes, start, end) : end, hash);
    slots[slot] = mark | (number + 1);
    if (2 * this.length > slots.length) this.#growSlots();
    return number;
  }

  /** Copies bytes behind those of all values; returns where they end. */
  #append(bytes: Uint8Array, start: number, end: number): number {
    let at = this.#used;
    if (at + end - start > this.#bytes.length) this.#growBytes(at + end - start);
    const own = this.#bytes;
    for (let i = start; i < end; i++) own[at++] = bytes[i]!;
    return at;
  }

  at(number: number): string {
    const wide = this.#wideByNumber.get(number);
    if (wide !== undefined) return wide;
    const start = this.#startOf(number);
    return Buffer.from(this.#bytes.buffer, start, this.#ends[number]! - start).toString('latin1');
  }

  /** Orders values as `<` orders their strings. */
  compare(a: number, b: number): number {
    if (this.#wide.size > 0) {
      const [x, y] = [this.at(a), this.at(b)];
      return x < y ? -1 : x > y ? 1 : 0;
    }
    return this.#compareBytes(a, b);
  }

  #compareBytes(a: number, b: number): number {
    const bytes = this.#bytes;
    const ends = this.#ends;
    return compareBytes(bytes, this.#startOf(a), ends[a]!, bytes, this.#startOf(b), ends[b]!);
  }

  /** All values but wide ones (code units above 0xff), in the order of `HashedValues`. */
  ordered(): { readonly numbers: Uint32Array; readonly hashes: Uint32Array } {
    const slots = this.#slots;
    const shift = this.#shift;
    const count = this.length - this.#wide.size;
    const numbers = someUint32(count);
    const hashes = someUint32(count);
    const own = this.#hashes;
    let firstFree = 0;
    while (slots[firstFree] !== 0) firstFree++;
    let length = 0;
    const add = (number: number): void => {
      const hash = own[number]!;
      // Between two free slots values stand in the order in which they were met.
      let at = length++;
      for (; at > 0; at--) {
        const before = hashes[at - 1]!;
        if (before < hash || (before === hash && this.#compareBytes(numbers[at - 1]!, number) < 0)) break;
        hashes[at] = before;
        numbers[at] = numbers[at - 1]!;
      }
      hashes[at] = hash;
      numbers[at] = number;
    };
    for (let slot = 0; slot < slots.length; slot++) {
      const number = (slots[slot]! & NUMBERS) - 1;
      if (number >= 0 && (slot >= firstFree || own[number]! >>> shift <= slot)) add(number);
    }
    // Those that found no place at the end stand at the beginning.
    for (let slot = 0; slot < firstFree; slot++) {
      const number = (slots[slot]! & NUMBERS) - 1;
      if (own[number]! >>> shift > slot) add(number);
    }
    return { numbers, hashes };
  }

  /** Bytes and lengths of some values, none of them wide. */
  pack(numbers: Uint32Array): { readonly bytes: Uint8Array; readonly lengths: Uint32Array } {
    const ends = this.#ends;
    // They lie anywhere, so that most of them miss the processor's cache: loops whose branches do not wait for what is missed
    // have many of these under way at once.
    const starts = someUint32(numbers.length);
    const lengths = someUint32(numbers.length);
    let total = 0;
    for (let n = 0; n < numbers.length; n++) {
      const number = numbers[n]!;
      const start = number === 0 ? 0 : ends[number - 1]!;
      starts[n] = start;
      lengths[n] = ends[number]! - start;
      total += lengths[n]!;
    }
    const own = this.#bytes;
    const bytes = takeBytes(roundLength(total)).subarray(0, total);
    let end = 0;
    for (let n = 0; n < starts.length; n++) {
      const start = starts[n]!;
      const length = lengths[n]!;
      for (let i = 0; i < length; i++) bytes[end + i] = own[start + i]!;
      end += length;
    }
    giveBack(starts);
    return { bytes, lengths };
  }

  /** Gives its memory to others: the table cannot be used any more. */
  release(): void {
    giveBack(this.#bytes);
    giveBack(this.#ends);
    giveBack(this.#hashes);
    giveBack(this.#slots);
    this.#bytes = new Uint8Array(0);
    this.#ends = new Uint32Array(0);
    this.#hashes = new Uint32Array(0);
    this.#slots = new Uint32Array(0);
  }

  get #used(): number {
    return this.length === 0 ? 0 : this.#ends[this.length - 1]!;
  }

  #startOf(number: number): number {
    return number === 0 ? 0 : this.#ends[number - 1]!;
  }

  /** Whether the value is that of `bytes` from `start` to `end`, and none of the wide ones, which have none here. */
  #isAt(number: number, bytes: Uint8Array, start: number, end: number): boolean {
    const own = this.#bytes;
    let at = this.#startOf(number);
    if (this.#ends[number]! - at !== end - start) return false;
    for (let i = start; i < end; i++) if (own[at++] !== bytes[i]) return false;
    return true;
  }

  #push(end: number, hash: number): number {
    const number = this.length++;
    if (number === this.#ends.length) {
      if (number > NUMBERS / 2) throw new RangeError('a table of values is full');
      this.#ends = twiceAsLong(this.#ends);
      this.#hashes = twiceAsLong(this.#hashes);
    }
    this.#ends[number] = end;
    this.#hashes[number] = hash;
    return number;
  }

  #numberOfWide(text: string): number {
    const known = this.#wide.get(text);
    if (known !== undefined) return known;
    const number = this.#push(this.#used, 0);
    this.#wide.set(text, number);
    this.#wideByNumber.set(number, text);
    return number;
  }

  #growSlots(): void {
    const old = this.#slots;
    const hashes = this.#hashes;
    const length = 4 * old.length;
    const slots = takeUint32(length);
    const mask = slots.length - 1;
    const shift = 32 - Math.log2(length);
    for (let from = 0; from < old.length; from++) {
      const found = old[from]!;
      if (found === 0) continue;
      let slot = hashes[(found & NUMBERS) - 1]! >>> shift;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = found;
    }
    giveBack(old);
    this.#slots = slots;
    this.#shift = shift;
  }

  #growBytes(needed: number): void {
    const bytes = takeBytes(roundLength(Math.max(needed, 2 * this.#bytes.length)));
    bytes.set(this.#bytes);
    giveBack(this.#bytes);
    this.#bytes = bytes;
  }
}

function twiceAsLong(from: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const to = takeUint32(2 * from.length);
  to.set(from);
  giveBack(from);
  return to;
}
