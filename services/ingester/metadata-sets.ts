import type { StreamBatch } from '../rpc/push-batch.ts';
import type { HeadBuffer, HeadMemory } from './head-memory.ts';

const NO_MEMORY = new ArrayBuffer(0);
/** Sets that there is room for at first. */
const FIRST_SETS = 2;
/** Up to which a loop is faster than a view and `set`. */
const FEW_BYTES = 64;
/** Up to this many sets are compared one by one; most streams have a few levels and nothing else. */
const LINEAR_SETS = 8;

/**
 * The distinct metadata sets of one head, found again by their bytes. Grows; readers keep what they have. One buffer,
 * and views only while they are used: see `Head`.
 *
 *     u32 ends[setCapacity]  u8 bytes[]
 */
export class MetadataSets {
  #memory: HeadBuffer = NO_MEMORY;
  #setCapacity = 0;
  #count = 0;
  /** Open addressing, a power of two; 1 + index of a set, 0 for free. */
  #table: Uint32Array | null = null;
  readonly #pool: HeadMemory;
  /** Whether somebody who does not say when he is done reads the memory. */
  isShared = false;

  constructor(pool: HeadMemory) {
    this.#pool = pool;
  }

  /** Lets others have the memory, unless it is shared. */
  release(): void {
    this.#pool.give(this.#memory, this.isShared);
  }

  get memoryBytes(): number {
    return this.#memory.byteLength + (this.#table?.byteLength ?? 0);
  }

  get ends(): Uint32Array {
    return new Uint32Array(this.#memory, 0, this.#setCapacity);
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.#memory, 4 * this.#setCapacity);
  }

  /**
   * Writes per `metaIndexes` value of the batch the value to use here; only sets that rows `[from, to)` use are looked at,
   * so that a refused row leaves nothing behind. Others get 0.
   */
  intern(batch: StreamBatch, from: number, to: number, indexes: Uint32Array): void {
    const { metaEnds, metaBytes, metaIndexes } = batch;
    indexes.fill(0, 0, metaEnds.length + 1);
    let views: Views = { ends: this.ends, bytes: this.bytes };
    for (let row = from; row < to; row++) {
      const set = metaIndexes[row]!;
      if (set === 0 || indexes[set] !== 0) continue;
      const start = set === 1 ? 0 : metaEnds[set - 2]!;
      const end = metaEnds[set - 1]!;
      const found = this.#find(views, metaBytes, start, end);
      if (found < 0) {
        views = this.#reserve(views, end - start);
        indexes[set] = 1 + this.#add(views, metaBytes, start, end);
      } else indexes[set] = 1 + found;
    }
  }

  #find(views: Views, source: Uint8Array, start: number, end: number): number {
    if (this.#count < LINEAR_SETS) {
      for (let i = 0; i < this.#count; i++) if (equals(views, i, source, start, end)) return i;
      return -1;
    }
    if (this.#table === null || this.#count * 2 > this.#table.length) this.#table = this.#hashed(views);
    const table = this.#table;
    const mask = table.length - 1;
    for (let slot = hash(source, start, end) & mask; table[slot] !== 0; slot = (slot + 1) & mask) {
      if (equals(views, table[slot]! - 1, source, start, end)) return table[slot]! - 1;
    }
    return -1;
  }

  #hashed({ ends, bytes }: Views): Uint32Array {
    let size = 32;
    while (size < this.#count * 4) size *= 2;
    const table = new Uint32Array(size);
    for (let i = 0; i < this.#count; i++) insert(table, i, hash(bytes, i === 0 ? 0 : ends[i - 1]!, ends[i]!));
    return table;
  }

  /** Room for one more set of `length` bytes. */
  #reserve(views: Views, length: number): Views {
    const used = this.#count === 0 ? 0 : views.ends[this.#count - 1]!;
    const need = used + length;
    if (need <= views.bytes.length && this.#count < this.#setCapacity) return views;
    const capacity = this.#count < this.#setCapacity ? this.#setCapacity : Math.max(FIRST_SETS, this.#count * 2);
    const bytes = need <= views.bytes.length ? views.bytes.length : Math.max(need, views.bytes.length * 2);
    const outgrown = this.#memory;
    this.#memory = this.#pool.take(4 * capacity + bytes);
    this.#setCapacity = capacity;
    const grown = { ends: this.ends, bytes: this.bytes };
    grown.ends.set(views.ends.subarray(0, this.#count));
    grown.bytes.set(views.bytes.subarray(0, used));
    this.#pool.give(outgrown, this.isShared);
    this.isShared = false;
    return grown;
  }

  #add({ ends, bytes }: Views, source: Uint8Array, start: number, end: number): number {
    const used = this.#count === 0 ? 0 : ends[this.#count - 1]!;
    if (end - start > FEW_BYTES) bytes.set(source.subarray(start, end), used);
    else for (let i = start; i < end; i++) bytes[used + i - start] = source[i]!;
    ends[this.#count] = used + end - start;
    if (this.#table !== null) insert(this.#table, this.#count, hash(source, start, end));
    return this.#count++;
  }
}

interface Views {
  readonly ends: Uint32Array;
  readonly bytes: Uint8Array;
}

function equals({ ends, bytes }: Views, index: number, source: Uint8Array, start: number, end: number): boolean {
  const from = index === 0 ? 0 : ends[index - 1]!;
  const length = end - start;
  if (ends[index]! - from !== length) return false;
  for (let i = 0; i < length; i++) if (bytes[from + i] !== source[start + i]) return false;
  return true;
}

/** The table has room: it is made anew when half full. */
function insert(table: Uint32Array, index: number, hashed: number): void {
  const mask = table.length - 1;
  let slot = hashed & mask;
  while (table[slot] !== 0) slot = (slot + 1) & mask;
  table[slot] = index + 1;
}

/** FNV-1a with a final mix; 32 bits. */
function hash(bytes: Uint8Array, start: number, end: number): number {
  let h = 0x811c9dc5;
  for (let i = start; i < end; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193);
  h ^= h >>> 15;
  return Math.imul(h, 0x2c1b3c6d) >>> 0;
}
