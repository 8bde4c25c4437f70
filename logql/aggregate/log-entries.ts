import type { LogPlan } from '../plan/plan.ts';
import type { GroupLabels } from '../stages/types.ts';

/**
 * Entries of a log query, in columns: parallel, in the order of the query's direction. Goes from worker to main thread
 * by structured clone; the buffers of `logTransferables` may be transferred. Lines are strings, because at most `limit`
 * of them (of a period) come this far and each is text in the answer.
 */
export interface LogPartial {
  readonly groups: readonly GroupLabels[];
  readonly timestampsNs: BigInt64Array;
  /** Index into `groups`. */
  readonly groupIndexes: Uint32Array;
  /** Of the stream, the block and the row, as given to `openBlock` and `add`: the order among entries of one time. */
  readonly ranks: Float64Array;
  readonly sequences: Float64Array;
  readonly rows: Uint32Array;
  readonly lines: readonly string[];
  /** Whose entries they are, in an answer about several tenants. */
  readonly tenant?: string;
}

export function logTransferables(partial: LogPartial): ArrayBuffer[] {
  const columns = [partial.timestampsNs, partial.groupIndexes, partial.ranks, partial.sequences, partial.rows];
  return columns.map((column) => column.buffer as ArrayBuffer).filter((buffer) => buffer.byteLength > 0);
}

const FIRST_CAPACITY = 64;

/**
 * Growing columns of entries that can be cut to those that the plan may still answer with.
 *
 * Order: by time in the direction of the query; at one time, streams of lower rank first, whatever the direction, then as
 * `compareTenants` says; in a stream by arrival (block sequence, row), backward the other way round.
 */
export class EntryBuffer {
  #timestampsNs = new BigInt64Array(FIRST_CAPACITY);
  #groupIndexes = new Uint32Array(FIRST_CAPACITY);
  #ranks = new Float64Array(FIRST_CAPACITY);
  #sequences = new Float64Array(FIRST_CAPACITY);
  #rows = new Uint32Array(FIRST_CAPACITY);
  #lines: string[] = [];
  readonly #plan: LogPlan;
  readonly #backward: boolean;
  readonly #compareTenants: (group: number, other: number) => number;

  /** `compareTenants`: of two groups of one rank. */
  constructor(plan: LogPlan, compareTenants: (group: number, other: number) => number = () => 0) {
    this.#plan = plan;
    this.#backward = plan.direction === 'backward';
    this.#compareTenants = compareTenants;
  }

  get length(): number {
    return this.#lines.length;
  }

  timestampNs(entry: number): bigint {
    return this.#timestampsNs[entry]!;
  }

  push(timestampNs: bigint, group: number, rank: number, sequence: number, row: number, line: string): void {
    const i = this.#lines.length;
    if (i === this.#rows.length) this.#resize(i * 2);
    this.#timestampsNs[i] = timestampNs;
    this.#groupIndexes[i] = group;
    this.#ranks[i] = rank;
    this.#sequences[i] = sequence;
    this.#rows[i] = row;
    this.#lines.push(line);
  }

  /** Sorts, and keeps the first `limit` entries: of all, or of each period when the query has an interval. */
  cut(): void {
    const { limit, intervalNs } = this.#plan;
    const order = this.#order();
    if (intervalNs <= 0n) {
      this.#select(order.subarray(0, limit));
      return;
    }
    let kept = 0;
    let inPeriod = 0;
    let period: bigint | null = null;
    for (const entry of order) {
      const itsPeriod = this.#periodOf(entry);
      if (itsPeriod !== period) inPeriod = 0;
      period = itsPeriod;
      if (inPeriod++ < limit) order[kept++] = entry;
    }
    this.#select(order.subarray(0, kept));
  }

  /** Cuts, applies the interval, and keeps `limit` entries: the answer. */
  finish(): void {
    this.cut();
    const { limit, intervalNs } = this.#plan;
    if (intervalNs <= 0n) return;
    const order = new Uint32Array(this.length);
    let kept = 0;
    let last = 0n;
    let period: bigint | null = null;
    for (let entry = 0; entry < this.length && kept < limit; entry++) {
      const timestampNs = this.#timestampsNs[entry]!;
      const distance = this.#backward ? last - timestampNs : timestampNs - last;
      const itsPeriod = this.#periodOf(entry);
      if (itsPeriod === period && distance < intervalNs) continue;
      period = itsPeriod;
      last = timestampNs;
      order[kept++] = entry;
    }
    this.#select(order.subarray(0, kept));
  }

  /** Copies out all entries, with group numbers as they were pushed. */
  columns(): Omit<LogPartial, 'groups' | 'tenant'> {
    const n = this.length;
    return {
      timestampsNs: this.#timestampsNs.slice(0, n),
      groupIndexes: this.#groupIndexes.slice(0, n),
      ranks: this.#ranks.slice(0, n),
      sequences: this.#sequences.slice(0, n),
      rows: this.#rows.slice(0, n),
      lines: this.#lines,
    };
  }

  #periodOf(entry: number): bigint {
    const { periodNs } = this.#plan;
    return periodNs > 0n ? this.#timestampsNs[entry]! / periodNs : 0n;
  }

  #order(): Uint32Array {
    const sign = this.#backward ? -1 : 1;
    const order = new Uint32Array(this.length);
    for (let i = 0; i < order.length; i++) order[i] = i;
    return order.sort((x, y) => {
      const s = this.#timestampsNs[x]!;
      const t = this.#timestampsNs[y]!;
      if (s !== t) return s < t ? -sign : sign;
      return (
        this.#ranks[x]! - this.#ranks[y]! ||
        this.#compareTenants(this.#groupIndexes[x]!, this.#groupIndexes[y]!) ||
        sign * (this.#sequences[x]! - this.#sequences[y]! || this.#rows[x]! - this.#rows[y]!) ||
        x - y
      );
    });
  }

  #select(order: Uint32Array): void {
    const { timestampsNs, groupIndexes, ranks, sequences, rows, lines } = this.columns();
    this.#lines = [];
    for (const i of order) {
      this.push(timestampsNs[i]!, groupIndexes[i]!, ranks[i]!, sequences[i]!, rows[i]!, lines[i]!);
    }
  }

  #resize(capacity: number): void {
    const timestampsNs = new BigInt64Array(capacity);
    timestampsNs.set(this.#timestampsNs);
    this.#timestampsNs = timestampsNs;
    const groupIndexes = new Uint32Array(capacity);
    groupIndexes.set(this.#groupIndexes);
    this.#groupIndexes = groupIndexes;
    const ranks = new Float64Array(capacity);
    ranks.set(this.#ranks);
    this.#ranks = ranks;
    const sequences = new Float64Array(capacity);
    sequences.set(this.#sequences);
    this.#sequences = sequences;
    const rows = new Uint32Array(capacity);
    rows.set(this.#rows);
    this.#rows = rows;
  }
}
