import type { HeadColumns } from '../../storage/block/types.ts';
import type { StreamBatch } from '../rpc/push-batch.ts';
import { setBytes } from './entry-bytes.ts';
import type { HeadBuffer, HeadMemory } from './head-memory.ts';
import { MetadataSets } from './metadata-sets.ts';

/**
 * Rows of one stream, growing. Row columns and line bytes share one buffer (a stream of twenty lines must
 * stay small, and every buffer costs some hundred bytes by itself):
 *
 *     f64 offsetsNs[rows]  u32 lineEnds[rows]  u32 metaIndexes[rows]  u8 bytes[bytes]
 *
 * Growing moves everything to a larger one. What is outgrown, or no longer needed once its rows are encoded, goes to the
 * next head, unless a reader may still be at it. Views are made when they are used: kept, the four of them cost more than
 * the rows of a small stream.
 */
const ROW_BYTES = 16;
const GROWTH = 1.5;
const MIN_ROWS = 8;
/** Offsets within a head stay below this in size, so that any difference of two is exact in a double. ns. */
const MAX_OFFSET_NS = 2 ** 51;
/** Line ends are u32. */
const MAX_BYTES = 2 ** 32 - 1;

export class Head {
  readonly baseNs: bigint;
  #rowCount = 0;
  #lineBytes = 0;
  #metadataBytes = 0;
  #minOffset = Number.POSITIVE_INFINITY;
  #maxOffset = Number.NEGATIVE_INFINITY;
  #lastOffset = Number.NEGATIVE_INFINITY;
  #ascending = true;
  #memory: HeadBuffer;
  #rowCapacity: number;
  readonly #pool: HeadMemory;
  readonly #sets: MetadataSets;
  /** Whether somebody who does not say when he is done reads the memory. */
  #isShared = false;

  /** `rows` and `bytes`: what is expected. */
  constructor(baseNs: bigint, rows: number, bytes: number, pool: HeadMemory) {
    this.baseNs = baseNs;
    this.#pool = pool;
    this.#sets = new MetadataSets(pool);
    this.#rowCapacity = even(Math.max(rows, MIN_ROWS));
    this.#memory = pool.take(this.#rowCapacity * ROW_BYTES + bytes);
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  get lineBytes(): number {
    return this.#lineBytes;
  }

  /** Counted as in `BlockStats`. */
  get metadataBytes(): number {
    return this.#metadataBytes;
  }

  /** What the columns occupy, spare room included. */
  get memoryBytes(): number {
    return this.#memory.byteLength + this.#sets.memoryBytes;
  }

  get minNs(): bigint {
    return this.baseNs + BigInt(this.#minOffset);
  }

  get maxNs(): bigint {
    return this.baseNs + BigInt(this.#maxOffset);
  }

  /** Whether rows with offsets in `[min, max]` after `baseNs`, `bytes` long in all, can be held here. */
  fits(baseNs: bigint, min: number, max: number, bytes: number): boolean {
    const delta = Number(baseNs - this.baseNs);
    return (
      Math.abs(delta) <= Number.MAX_SAFE_INTEGER &&
      Math.abs(delta + min) < MAX_OFFSET_NS &&
      Math.abs(delta + max) < MAX_OFFSET_NS &&
      this.#lineBytes + bytes <= MAX_BYTES
    );
  }

  /** Appends rows `[from, to)` of a batch: lines touch each other there, so they are one copy. `fits` must hold. */
  append(batch: StreamBatch, from: number, to: number, lineStart: number, lineEnd: number): void {
    const count = to - from;
    this.#reserve(count, lineEnd - lineStart);
    const delta = Number(batch.baseNs - this.baseNs);
    const at = this.#rowCount;
    const { offsetsNs, lineLengths, metaIndexes } = batch;
    const own = viewsOf(this.#memory, this.#rowCapacity);
    let end = this.#lineBytes;
    let last = this.#lastOffset;
    let min = this.#minOffset;
    let max = this.#maxOffset;
    let ascending = this.#ascending;
    for (let r = 0; r < count; r++) {
      const offset = offsetsNs[from + r]! + delta;
      if (offset <= last) ascending = false;
      if (offset < min) min = offset;
      if (offset > max) max = offset;
      last = offset;
      own.offsetsNs[at + r] = offset;
      end += lineLengths[from + r]!;
      own.lineEnds[at + r] = end;
    }
    this.#lastOffset = last;
    this.#minOffset = min;
    this.#maxOffset = max;
    this.#ascending = ascending;
    if (batch.metaEnds.length > 0) {
      if (batch.metaEnds.length >= scratch.indexes.length) scratch = newScratch(2 * batch.metaEnds.length);
      const { indexes, sizes } = scratch;
      this.#sets.intern(batch, from, to, indexes);
      fillSizes(batch, indexes, sizes);
      for (let r = 0; r < count; r++) {
        const set = metaIndexes[from + r]!;
        own.metaIndexes[at + r] = indexes[set]!;
        this.#metadataBytes += sizes[set]!;
      }
    } else {
      own.metaIndexes.fill(0, at, at + count);
    }
    own.bytes.set(batch.lineBytes.subarray(lineStart, lineEnd), this.#lineBytes);
    this.#lineBytes = end;
    this.#rowCount += count;
  }

  /** What a reader may look at for as long as it likes. */
  sharedColumns(): HeadColumns {
    this.#isShared = true;
    this.#sets.isShared = true;
    return this.columns();
  }

  /** Lets others have the memory. Nobody may look at `columns()` any more; those who have `sharedColumns()` may. */
  release(): void {
    this.#pool.give(this.#memory, this.#isShared);
    this.#sets.release();
  }

  /** Valid until rows are appended or the head is released. */
  columns(): HeadColumns {
    return {
      rowCount: this.#rowCount,
      baseNs: this.baseNs,
      ...viewsOf(this.#memory, this.#rowCapacity),
      metaEnds: this.#sets.ends,
      metaBytes: this.#sets.bytes,
      ascending: this.#ascending,
      metadataBytes: this.#metadataBytes,
    };
  }

  #reserve(rows: number, bytes: number): void {
    const needRows = this.#rowCount + rows;
    const needBytes = this.#lineBytes + bytes;
    const haveBytes = this.#memory.byteLength - this.#rowCapacity * ROW_BYTES;
    if (needRows <= this.#rowCapacity && needBytes <= haveBytes) return;
    const grown = (need: number, have: number) => (need <= have ? have : Math.max(need, Math.ceil(have * GROWTH)));
    const outgrown = this.#memory;
    const old = viewsOf(outgrown, this.#rowCapacity);
    this.#rowCapacity = even(grown(needRows, this.#rowCapacity));
    this.#memory = this.#pool.take(this.#rowCapacity * ROW_BYTES + grown(needBytes, haveBytes));
    const moved = viewsOf(this.#memory, this.#rowCapacity);
    moved.offsetsNs.set(old.offsetsNs.subarray(0, this.#rowCount));
    moved.lineEnds.set(old.lineEnds.subarray(0, this.#rowCount));
    moved.metaIndexes.set(old.metaIndexes.subarray(0, this.#rowCount));
    moved.bytes.set(old.bytes.subarray(0, this.#lineBytes));
    this.#pool.give(outgrown, this.#isShared);
    this.#isShared = false;
  }
}

/** Per `metaIndexes` value of the batch at hand; used again by the next append. */
const newScratch = (sets: number) => ({ indexes: new Uint32Array(sets), sizes: new Uint32Array(sets) });
let scratch = newScratch(256);

/** Of sets that are in use, their bytes. */
function fillSizes({ metaEnds, metaBytes }: StreamBatch, used: Uint32Array, sizes: Uint32Array): void {
  sizes[0] = 0;
  for (let set = 1; set <= metaEnds.length; set++) {
    if (used[set] !== 0) sizes[set] = setBytes(metaBytes, set === 1 ? 0 : metaEnds[set - 2]!, metaEnds[set - 1]!);
  }
}

const even = (n: number): number => (n + 1) & ~1;

function viewsOf(memory: HeadBuffer, rows: number) {
  return {
    offsetsNs: new Float64Array(memory, 0, rows),
    lineEnds: new Uint32Array(memory, 8 * rows, rows),
    metaIndexes: new Uint32Array(memory, 12 * rows, rows),
    bytes: new Uint8Array(memory, ROW_BYTES * rows),
  };
}
