import type { GroupLabels } from '../stages/types.ts';

/**
 * Entries of a log query, in columns: parallel, in the order of the query's direction. Goes from worker to main thread
 * by structured clone; the buffers of `logTransferables` may be transferred. Lines are strings, because at most `limit`
 * of them come this far and each is text in the answer.
 */
export interface LogPartial {
  readonly groups: readonly GroupLabels[];
  readonly timestampsNs: BigInt64Array;
  /** Index into `groups`. */
  readonly groupIndexes: Uint32Array;
  /** Of the block, as given to `openBlock`; with `rows` the order of arrival among entries of one time. */
  readonly sequences: Float64Array;
  readonly rows: Uint32Array;
  readonly lines: readonly string[];
}

export function logTransferables(partial: LogPartial): ArrayBuffer[] {
  const columns = [partial.timestampsNs, partial.groupIndexes, partial.sequences, partial.rows];
  return columns.map((column) => column.buffer as ArrayBuffer).filter((buffer) => buffer.byteLength > 0);
}

/** Growing columns of entries that can be cut to the first ones in order. */
export class EntryBuffer {
  timestampsNs = new BigInt64Array(64);
  groupIndexes = new Uint32Array(64);
  sequences = new Float64Array(64);
  rows = new Uint32Array(64);
  lines: string[] = [];
  readonly #backward: boolean;

  constructor(backward: boolean) {
    this.#backward = backward;
  }

  get length(): number {
    return this.lines.length;
  }

  push(timestampNs: bigint, group: number, sequence: number, row: number, line: string): void {
    const i = this.lines.length;
    if (i === this.rows.length) this.#grow();
    this.timestampsNs[i] = timestampNs;
    this.groupIndexes[i] = group;
    this.sequences[i] = sequence;
    this.rows[i] = row;
    this.lines.push(line);
  }

  /** Sorts, and keeps the first `limit` entries. */
  cut(limit: number): void {
    this.#select(this.#order().subarray(0, limit));
  }

  /**
   * Sorts, and keeps up to `limit` entries of which each is at least `intervalNs` away from the one kept before it,
   * whatever their streams.
   */
  thin(intervalNs: bigint, limit: number): void {
    const order = this.#order();
    let kept = 0;
    let last = 0n;
    for (const i of order) {
      if (kept === limit) break;
      const timestampNs = this.timestampsNs[i]!;
      const distance = this.#backward ? last - timestampNs : timestampNs - last;
      if (kept > 0 && distance < intervalNs) continue;
      last = timestampNs;
      order[kept++] = i;
    }
    this.#select(order.subarray(0, kept));
  }

  /** Entry numbers by time, block and row; all of it reversed for backward queries. */
  #order(): Uint32Array {
    const { timestampsNs, sequences, rows } = this;
    const sign = this.#backward ? -1 : 1;
    const order = new Uint32Array(this.length);
    for (let i = 0; i < order.length; i++) order[i] = i;
    return order.sort((x, y) => {
      const s = timestampsNs[x]!;
      const t = timestampsNs[y]!;
      if (s !== t) return s < t ? -sign : sign;
      return sign * (sequences[x]! - sequences[y]! || rows[x]! - rows[y]!) || x - y;
    });
  }

  #select(order: Uint32Array): void {
    const { timestampsNs, groupIndexes, sequences, rows, lines } = this;
    this.timestampsNs = new BigInt64Array(Math.max(64, order.length));
    this.groupIndexes = new Uint32Array(this.timestampsNs.length);
    this.sequences = new Float64Array(this.timestampsNs.length);
    this.rows = new Uint32Array(this.timestampsNs.length);
    this.lines = [];
    for (const i of order) this.push(timestampsNs[i]!, groupIndexes[i]!, sequences[i]!, rows[i]!, lines[i]!);
  }

  #grow(): void {
    const size = this.rows.length * 2;
    const timestampsNs = new BigInt64Array(size);
    timestampsNs.set(this.timestampsNs);
    this.timestampsNs = timestampsNs;
    const groupIndexes = new Uint32Array(size);
    groupIndexes.set(this.groupIndexes);
    this.groupIndexes = groupIndexes;
    const sequences = new Float64Array(size);
    sequences.set(this.sequences);
    this.sequences = sequences;
    const rows = new Uint32Array(size);
    rows.set(this.rows);
    this.rows = rows;
  }
}
