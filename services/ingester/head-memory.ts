/**
 * Memory that heads hand on to each other: slabs of shared memory, divided into pages, and those into pieces of a few
 * sizes. Nothing that was handed out moves, and what is given back serves any head: V8 does not count shared memory when
 * it decides to collect garbage, so that what is not used again piles up.
 *
 * A piece has an address, a number: slabs are numbered, and places in a slab count in units of half a kB. A hundred thousand
 * heads have a few pieces each, and a number takes less than an object.
 */
const UNIT_BYTES = 512;
const PAGE_UNITS = 128;
const PAGE_BYTES = PAGE_UNITS * UNIT_BYTES;
const SLAB_UNITS = 2048;
const SLAB_PAGES = SLAB_UNITS / PAGE_UNITS;
/** Units of a piece by class. What is larger than a page gets a slab of its own. */
const CLASS_UNITS = [1, 2, 4, 8, 32, PAGE_UNITS];
const NO_PIECE = 255;

/** Unless a page is divided into pieces of one of the classes. */
const UNDIVIDED = -1;

/** The largest piece that is not memory of its own. */
export const MAX_PIECE_BYTES = PAGE_BYTES;

class Slab {
  /** Otherwise it is one piece. */
  readonly isDivided: boolean;
  readonly memory: SharedArrayBuffer;
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
  freePages = SLAB_PAGES;
  /** By page. */
  readonly classes = new Int8Array(SLAB_PAGES).fill(UNDIVIDED);
  readonly lent = new Uint8Array(SLAB_PAGES);
  /** By page the first piece that is free, which holds the number of the next one in its first word. */
  readonly firstFree = new Uint8Array(SLAB_PAGES);

  constructor(bytes: number, isDivided: boolean) {
    this.isDivided = isDivided;
    this.memory = new SharedArrayBuffer(bytes);
    this.bytes = Buffer.from(this.memory);
    this.words = new Uint32Array(this.memory);
    this.doubles = new Float64Array(this.memory);
  }
}

export type { Slab };

export class HeadMemory {
  readonly #maxIdlePages: number;
  /** By number; null where another may come. */
  readonly #slabs: (Slab | null)[] = [];
  readonly #freeNumbers: number[] = [];
  /** Numbers of pages, counted through all slabs. Those given back last come first. */
  #freePages: number[] = [];
  /** By class the pages that have free pieces. */
  readonly #openPages = CLASS_UNITS.map(() => new Set<number>());

  /** `maxIdleBytes`: beyond it, slabs of which nothing is used are left to the garbage collector. */
  constructor(maxIdleBytes: number) {
    this.#maxIdlePages = Math.floor(maxIdleBytes / PAGE_BYTES);
  }

  get idleBytes(): number {
    return this.#freePages.length * PAGE_BYTES;
  }

  /** The address of at least `bytes`, at a multiple of 8, holding anything. */
  take(bytes: number): number {
    if (bytes > MAX_PIECE_BYTES) return this.#add(new Slab((bytes + 7) & ~7, false)) * SLAB_UNITS;
    const kind = CLASS_UNITS.findIndex((units) => bytes <= units * UNIT_BYTES);
    const units = CLASS_UNITS[kind]!;
    const open = this.#openPages[kind]!;
    let page = open.values().next().value;
    if (page === undefined) {
      page = this.#takePage(kind);
      open.add(page);
    }
    const slab = this.#slabs[Math.floor(page / SLAB_PAGES)]!;
    const own = page % SLAB_PAGES;
    const piece = slab.firstFree[own]!;
    const unit = own * PAGE_UNITS + piece * units;
    slab.firstFree[own] = slab.words[(unit * UNIT_BYTES) >>> 2]!;
    slab.lent[own]!++;
    if (slab.firstFree[own] === NO_PIECE) open.delete(page);
    return Math.floor(page / SLAB_PAGES) * SLAB_UNITS + unit;
  }

  /** Takes a piece back that nobody looks at any more. */
  give(address: number): void {
    const number = Math.floor(address / SLAB_UNITS);
    const unit = address % SLAB_UNITS;
    const slab = this.#slabs[number]!;
    if (!slab.isDivided) {
      this.#drop(number);
      return;
    }
    const own = Math.floor(unit / PAGE_UNITS);
    const page = number * SLAB_PAGES + own;
    const kind = slab.classes[own]!;
    slab.words[(unit * UNIT_BYTES) >>> 2] = slab.firstFree[own]!;
    slab.firstFree[own] = (unit % PAGE_UNITS) / CLASS_UNITS[kind]!;
    const open = this.#openPages[kind]!;
    if (--slab.lent[own]! > 0) {
      open.add(page);
      return;
    }
    open.delete(page);
    slab.classes[own] = UNDIVIDED;
    slab.freePages++;
    this.#freePages.push(page);
    if (slab.freePages < SLAB_PAGES || this.#freePages.length <= this.#maxIdlePages) return;
    this.#freePages = this.#freePages.filter((free) => Math.floor(free / SLAB_PAGES) !== number);
    this.#drop(number);
  }

  /** The slab of a piece; its views are for all of it. */
  slabOf(address: number): Slab {
    return this.#slabs[Math.floor(address / SLAB_UNITS)]!;
  }

  /** Where the piece starts in its slab. */
  startOf(address: number): number {
    return (address % SLAB_UNITS) * UNIT_BYTES;
  }

  bytesOf(address: number): number {
    const slab = this.slabOf(address);
    if (!slab.isDivided) return slab.memory.byteLength;
    return CLASS_UNITS[slab.classes[Math.floor((address % SLAB_UNITS) / PAGE_UNITS)]!]! * UNIT_BYTES;
  }

  #takePage(kind: number): number {
    if (this.#freePages.length === 0) {
      const number = this.#add(new Slab(SLAB_UNITS * UNIT_BYTES, true));
      for (let own = SLAB_PAGES - 1; own >= 0; own--) this.#freePages.push(number * SLAB_PAGES + own);
    }
    const page = this.#freePages.pop()!;
    const slab = this.#slabs[Math.floor(page / SLAB_PAGES)]!;
    const own = page % SLAB_PAGES;
    slab.freePages--;
    slab.classes[own] = kind;
    slab.firstFree[own] = 0;
    const units = CLASS_UNITS[kind]!;
    const pieces = PAGE_UNITS / units;
    for (let piece = 0; piece < pieces; piece++) {
      slab.words[((own * PAGE_UNITS + piece * units) * UNIT_BYTES) >>> 2] = piece + 1 < pieces ? piece + 1 : NO_PIECE;
    }
    return page;
  }

  #add(slab: Slab): number {
    const number = this.#freeNumbers.pop() ?? this.#slabs.length;
    this.#slabs[number] = slab;
    return number;
  }

  #drop(number: number): void {
    this.#slabs[number] = null;
    this.#freeNumbers.push(number);
  }
}
