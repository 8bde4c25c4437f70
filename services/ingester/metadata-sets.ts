import type { StreamBatch } from '../rpc/push-batch.ts';

const EMPTY_ENDS = new Uint32Array(0);
const EMPTY_BYTES = new Uint8Array(0);
/** Up to this many sets are compared one by one; most streams have a few levels and nothing else. */
const LINEAR_SETS = 8;

/** The distinct metadata sets of one head, found again by their bytes. Grows; readers keep the arrays they have. */
export class MetadataSets {
  ends: Uint32Array = EMPTY_ENDS;
  bytes: Uint8Array = EMPTY_BYTES;
  #count = 0;
  /** Open addressing, a power of two; 1 + index of a set, 0 for free. */
  #table: Uint32Array | null = null;

  get memoryBytes(): number {
    return this.ends.byteLength + this.bytes.byteLength + (this.#table?.byteLength ?? 0);
  }

  /**
   * Per `metaIndexes` value of the batch the value to use here; only sets that rows `[from, to)` use are looked at, so
   * that a refused row leaves nothing behind.
   */
  intern(batch: StreamBatch, from: number, to: number): Uint32Array {
    const { metaEnds, metaBytes, metaIndexes } = batch;
    const indexes = new Uint32Array(metaEnds.length + 1);
    for (let row = from; row < to; row++) {
      const set = metaIndexes[row]!;
      if (set === 0 || indexes[set] !== 0) continue;
      const start = set === 1 ? 0 : metaEnds[set - 2]!;
      indexes[set] = 1 + this.#indexOf(metaBytes, start, metaEnds[set - 1]!);
    }
    return indexes;
  }

  #indexOf(source: Uint8Array, start: number, end: number): number {
    if (this.#count < LINEAR_SETS) {
      for (let i = 0; i < this.#count; i++) if (this.#equals(i, source, start, end)) return i;
      return this.#add(source, start, end);
    }
    if (this.#table === null || this.#count * 2 > this.#table.length) this.#rehash();
    const table = this.#table!;
    const mask = table.length - 1;
    let slot = hash(source, start, end) & mask;
    for (;;) {
      const entry = table[slot]!;
      if (entry === 0) break;
      if (this.#equals(entry - 1, source, start, end)) return entry - 1;
      slot = (slot + 1) & mask;
    }
    table[slot] = this.#count + 1;
    return this.#add(source, start, end);
  }

  #rehash(): void {
    let size = 32;
    while (size < this.#count * 4) size *= 2;
    const table = new Uint32Array(size);
    const mask = size - 1;
    for (let i = 0; i < this.#count; i++) {
      let slot = hash(this.bytes, i === 0 ? 0 : this.ends[i - 1]!, this.ends[i]!) & mask;
      while (table[slot] !== 0) slot = (slot + 1) & mask;
      table[slot] = i + 1;
    }
    this.#table = table;
  }

  #equals(index: number, source: Uint8Array, start: number, end: number): boolean {
    const from = index === 0 ? 0 : this.ends[index - 1]!;
    const length = end - start;
    if (this.ends[index]! - from !== length) return false;
    for (let i = 0; i < length; i++) if (this.bytes[from + i] !== source[start + i]) return false;
    return true;
  }

  #add(source: Uint8Array, start: number, end: number): number {
    const used = this.#count === 0 ? 0 : this.ends[this.#count - 1]!;
    const need = used + end - start;
    if (need > this.bytes.length) {
      const bytes = new Uint8Array(new SharedArrayBuffer(Math.max(need, this.bytes.length * 2)));
      bytes.set(this.bytes.subarray(0, used));
      this.bytes = bytes;
    }
    if (this.#count === this.ends.length) {
      const ends = new Uint32Array(new SharedArrayBuffer(4 * Math.max(2, this.#count * 2)));
      ends.set(this.ends);
      this.ends = ends;
    }
    this.bytes.set(source.subarray(start, end), used);
    this.ends[this.#count] = need;
    return this.#count++;
  }
}

/** FNV-1a with a final mix; 32 bits. */
function hash(bytes: Uint8Array, start: number, end: number): number {
  let h = 0x811c9dc5;
  for (let i = start; i < end; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193);
  h ^= h >>> 15;
  return Math.imul(h, 0x2c1b3c6d) >>> 0;
}
