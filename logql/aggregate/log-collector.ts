import type { LogPlan } from '../plan/plan.ts';
import type { GroupLabels } from '../stages/types.ts';
import { QueryTooLargeError } from './errors.ts';
import { EntryBuffer, type LogPartial } from './log-entries.ts';

/** Entries that a thread may hold. Without an interval that is far beyond any limit; with one, each period has a limit. */
const MAX_ENTRIES = 1 << 20;

/**
 * Collects the entries of one thread that can be in a log query's answer:
 *
 *     collector.openBlock(columns.baseNs, sequence);
 *     for each row: if (collector.wants(offset) && pipeline.run(row)) collector.add(offset, row, pipeline.group, pipeline.line());
 *     …
 *     post(collector.partial(pipeline.groups))
 *
 * Rows may come in any order; fewest lines are made when they come in the direction of the query.
 */
export class LogCollector {
  readonly #plan: LogPlan;
  readonly #entries: EntryBuffer;
  readonly #backward: boolean;
  readonly #maxEntries: number;
  /** Entries beyond this time cannot be in the answer. */
  #beyondNs: bigint | null;
  #baseNs = 0n;
  #sequence = 0;
  #rank = 0;
  /** Entries at which to cut. */
  #cutAt: number;
  #lowest = 0;
  #highest = 0;

  constructor(plan: LogPlan, beyondNs: bigint | null = null, maxEntries = MAX_ENTRIES) {
    this.#plan = plan;
    this.#backward = plan.direction === 'backward';
    this.#entries = new EntryBuffer(plan);
    this.#cutAt = cutAfter(plan.limit);
    this.#beyondNs = plan.intervalNs > 0n ? null : beyondNs;
    this.#maxEntries = maxEntries;
  }

  /**
   * Among entries of one time and stream, a lower `sequence` arrived first. Among streams, those of lower `streamRank`
   * (say, in order of labels) come first in either direction.
   */
  openBlock(baseNs: bigint, sequence = 0, streamRank = 0): void {
    this.#baseNs = baseNs;
    this.#sequence = sequence;
    this.#rank = streamRank;
    this.#updateBounds();
  }

  /** The offsets from the open block's base that are still of interest, both ends included. */
  get lowestOffset(): number {
    return this.#lowest;
  }
  get highestOffset(): number {
    return this.#highest;
  }

  /** Whether an entry of this time can be in the answer: inside the query's range and not beyond its limit. */
  wants(offsetNs: number): boolean {
    return offsetNs >= this.#lowest && offsetNs <= this.#highest;
  }

  /** Adds an entry that is wanted; others are ignored. Throws `QueryTooLargeError`. */
  add(offsetNs: number, row: number, group: number, line: string): void {
    if (!this.wants(offsetNs)) return;
    this.#entries.push(this.#baseNs + BigInt(offsetNs), group, this.#rank, this.#sequence, row, line);
    if (this.#entries.length < this.#cutAt) return;
    this.#cut();
    this.#updateBounds();
    if (this.#entries.length >= this.#maxEntries) throw new QueryTooLargeError('entries', this.#maxEntries);
    this.#cutAt = cutAfter(this.#entries.length);
  }

  /** What was collected; the collector is used up. `groups` are the pipeline's. */
  partial(groups: readonly GroupLabels[]): LogPartial {
    this.#cut();
    const columns = this.#entries.columns();
    const used: GroupLabels[] = [];
    const renumbered = new Map<number, number>();
    const groupIndexes = columns.groupIndexes.map((group) => {
      let index = renumbered.get(group);
      if (index === undefined) {
        index = used.push(groups[group]!) - 1;
        renumbered.set(group, index);
      }
      return index;
    });
    return { ...columns, groups: used, groupIndexes };
  }

  #cut(): void {
    this.#entries.cut();
    const { limit, intervalNs } = this.#plan;
    if (intervalNs > 0n || limit === 0 || this.#entries.length < limit) return;
    const worst = this.#entries.timestampNs(limit - 1);
    const before = this.#beyondNs;
    if (before === null || (this.#backward ? worst > before : worst < before)) this.#beyondNs = worst;
  }

  #updateBounds(): void {
    let from = this.#plan.startNs;
    let to = this.#plan.endNs - 1n;
    const beyond = this.#beyondNs;
    if (beyond !== null) {
      if (this.#backward && beyond > from) from = beyond;
      if (!this.#backward && beyond < to) to = beyond;
    }
    // Rounding beyond 2^53 cannot matter: offsets are smaller.
    this.#lowest = Number(from - this.#baseNs);
    this.#highest = Number(to - this.#baseNs);
  }
}

/** A quarter more than are kept: cutting costs a sort, but each entry that it spares the labels and the line of a row. */
function cutAfter(kept: number): number {
  return kept + (kept >>> 2) + 64;
}
