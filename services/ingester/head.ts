import type { HeadColumns } from '../../storage/block/types.ts';
import type { StreamBatch } from '../rpc/push-batch.ts';
import { MetadataSets } from './metadata-sets.ts';

/**
 * Rows of one stream, growing. Row columns and line bytes share one SharedArrayBuffer (a stream of twenty lines must
 * stay small, and every buffer costs some hundred bytes by itself):
 *
 *     f64 offsetsNs[rows]  u32 lineEnds[rows]  u32 metaIndexes[rows]  u8 bytes[bytes]
 *
 * Growing moves everything to a larger one; readers keep the old.
 */
const ROW_BYTES = 16;
const GROWTH = 1.6;
const MIN_ROWS = 8;
/** Offsets within a head stay below this in size, so that any difference of two is exact in a double. ns. */
const MAX_OFFSET_NS = 2 ** 51;
/** Line ends are u32. */
const MAX_BYTES = 2 ** 32 - 1;

export class Head {
  readonly baseNs: bigint;
  #rowCount = 0;
  #lineBytes = 0;
  #minOffset = Number.POSITIVE_INFINITY;
  #maxOffset = Number.NEGATIVE_INFINITY;
  #lastOffset = Number.NEGATIVE_INFINITY;
  #ascending = true;
  #offsetsNs: Float64Array;
  #lineEnds: Uint32Array;
  #metaIndexes: Uint32Array;
  #bytes: Uint8Array;
  readonly #sets = new MetadataSets();

  /** `rows` and `bytes`: what is expected. */
  constructor(baseNs: bigint, rows: number, bytes: number) {
    this.baseNs = baseNs;
    this.#offsetsNs = new Float64Array(0);
    this.#lineEnds = new Uint32Array(0);
    this.#metaIndexes = new Uint32Array(0);
    this.#bytes = new Uint8Array(0);
    this.#allocate(Math.max(rows, MIN_ROWS), bytes);
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  get lineBytes(): number {
    return this.#lineBytes;
  }

  /** What the columns occupy, spare room included. */
  get memoryBytes(): number {
    return this.#offsetsNs.length * ROW_BYTES + this.#bytes.length + this.#sets.memoryBytes;
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
      this.#offsetsNs[at + r] = offset;
      end += lineLengths[from + r]!;
      this.#lineEnds[at + r] = end;
    }
    this.#lastOffset = last;
    this.#minOffset = min;
    this.#maxOffset = max;
    this.#ascending = ascending;
    if (batch.metaEnds.length > 0) {
      const indexes = this.#sets.intern(batch, from, to);
      for (let r = 0; r < count; r++) this.#metaIndexes[at + r] = indexes[metaIndexes[from + r]!]!;
    } else {
      this.#metaIndexes.fill(0, at, at + count);
    }
    this.#bytes.set(batch.lineBytes.subarray(lineStart, lineEnd), this.#lineBytes);
    this.#lineBytes = end;
    this.#rowCount += count;
  }

  /** What a reader may look at for as long as it likes. */
  columns(): HeadColumns {
    return {
      rowCount: this.#rowCount,
      baseNs: this.baseNs,
      offsetsNs: this.#offsetsNs,
      lineEnds: this.#lineEnds,
      bytes: this.#bytes,
      metaIndexes: this.#metaIndexes,
      metaEnds: this.#sets.ends,
      metaBytes: this.#sets.bytes,
      ascending: this.#ascending,
    };
  }

  #reserve(rows: number, bytes: number): void {
    const needRows = this.#rowCount + rows;
    const needBytes = this.#lineBytes + bytes;
    if (needRows <= this.#offsetsNs.length && needBytes <= this.#bytes.length) return;
    const grown = (need: number, have: number) => (need <= have ? have : Math.max(need, Math.ceil(have * GROWTH)));
    this.#allocate(grown(needRows, this.#offsetsNs.length), grown(needBytes, this.#bytes.length));
  }

  #allocate(rows: number, bytes: number): void {
    const evenRows = (rows + 1) & ~1;
    const memory = new SharedArrayBuffer(evenRows * ROW_BYTES + ((bytes + 7) & ~7));
    const offsetsNs = new Float64Array(memory, 0, evenRows);
    const lineEnds = new Uint32Array(memory, 8 * evenRows, evenRows);
    const metaIndexes = new Uint32Array(memory, 12 * evenRows, evenRows);
    const lines = new Uint8Array(memory, ROW_BYTES * evenRows);
    offsetsNs.set(this.#offsetsNs.subarray(0, this.#rowCount));
    lineEnds.set(this.#lineEnds.subarray(0, this.#rowCount));
    metaIndexes.set(this.#metaIndexes.subarray(0, this.#rowCount));
    lines.set(this.#bytes.subarray(0, this.#lineBytes));
    this.#offsetsNs = offsetsNs;
    this.#lineEnds = lineEnds;
    this.#metaIndexes = metaIndexes;
    this.#bytes = lines;
  }
}
