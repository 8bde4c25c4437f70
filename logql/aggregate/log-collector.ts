import type { LogPlan } from '../plan/plan.ts';
import type { GroupLabels } from '../stages/types.ts';
import { QueryTooLargeError } from './errors.ts';
import { EntryBuffer, type LogPartial } from './log-entries.ts';

/** Entries that a query with an interval may hold: they cannot be cut to the limit before all are known. */
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
  #lowest = 0;
  #highest = 0;

  constructor(plan: LogPlan, beyondNs: bigint | null = null, maxEntries = MAX_ENTRIES) {
    this.#plan = plan;
    this.#backward = plan.direction === 'backward';
    this.#entries = new EntryBuffer(this.#backward);
    this.#beyondNs = plan.intervalNs > 0n ? null : beyondNs;
    this.#maxEntries = maxEntries;
  }

  /** Among entries of one time, a lower `sequence` arrived first. */
  openBlock(baseNs: bigint, sequence = 0): void {
    this.#baseNs = baseNs;
    this.#sequence = sequence;
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
    this.#entries.push(this.#baseNs + BigInt(offsetNs), group, this.#sequence, row, line);
    if (this.#plan.intervalNs > 0n) {
      if (this.#entries.length > this.#maxEntries) throw new QueryTooLargeError('entries', this.#maxEntries);
    } else if (this.#entries.length >= this.#plan.limit * 2 + 64) {
      this.#cut();
      this.#updateBounds();
    }
  }

  /** What was collected; the collector is used up. `groups` are the pipeline's. */
  partial(groups: readonly GroupLabels[]): LogPartial {
    if (this.#plan.intervalNs <= 0n) this.#cut();
    const n = this.#entries.length;
    const used: GroupLabels[] = [];
    const renumbered = new Map<number, number>();
    const groupIndexes = Uint32Array.from(this.#entries.groupIndexes.subarray(0, n), (group) => {
      let index = renumbered.get(group);
      if (index === undefined) {
        index = used.push(groups[group]!) - 1;
        renumbered.set(group, index);
      }
      return index;
    });
    return {
      groups: used,
      timestampsNs: this.#entries.timestampsNs.slice(0, n),
      groupIndexes,
      sequences: this.#entries.sequences.slice(0, n),
      rows: this.#entries.rows.slice(0, n),
      lines: this.#entries.lines,
    };
  }

  #cut(): void {
    const { limit } = this.#plan;
    this.#entries.cut(limit);
    if (limit === 0 || this.#entries.length < limit) return;
    const worst = this.#entries.timestampsNs[limit - 1]!;
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
