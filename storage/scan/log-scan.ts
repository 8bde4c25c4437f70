import { LogCollector, type LogPartial } from '../../logql/aggregate/index.ts';
import type { LogPlan } from '../../logql/plan/index.ts';
import { compilePipeline, type Pipeline } from '../../logql/stages/index.ts';
import { type BlockSource, firstRowAtOrAfter, type OpenBlock } from './block-source.ts';
import { FirstTimes } from './first-times.ts';
import { FrontCheck } from './front-check.ts';
import { ScanCancelledError } from './messages.ts';
import { addScanStats, newScanStats, type ScanStats } from './scan-stats.ts';
import { groupWithTenant } from './tenant-label.ts';
import type { ScanUnit } from './units.ts';

/** A query may meet so many label sets before its pipeline, which remembers them, is made anew. */
const MAX_LABEL_SETS = 50_000;

/** The stages of a log query in one thread, compiled once, for the streams of one tenant. */
export class LogScan {
  readonly #plan: LogPlan;
  readonly #tenant: string | null;
  #pipeline: Pipeline;
  #check: FrontCheck | null;
  #rows = new Uint32Array(16_384);

  constructor(plan: LogPlan, tenant: string | null) {
    this.#plan = plan;
    this.#tenant = tenant;
    this.#pipeline = compile(plan);
    this.#check = FrontCheck.of(this.#pipeline);
  }

  /** The entries of these units that can be in the answer. `units` are in the order of the query's direction. */
  async run(
    units: readonly ScanUnit[],
    beyondNs: bigint | null,
    source: BlockSource,
    cancel: Int32Array,
    stats: ScanStats,
  ): Promise<LogPartial> {
    if (this.#pipeline.groups.length > MAX_LABEL_SETS) {
      this.#pipeline = compile(this.#plan);
      this.#check = FrontCheck.of(this.#pipeline);
    }
    const lastNs = await this.#lastOf(units, beyondNs, source);
    if (lastNs !== beyondNs) {
      const own = newScanStats();
      const partial = await this.#scan(units, lastNs, source, cancel, own);
      // Of a damaged block the times may be left and the lines not: rows behind its own are in the answer then.
      if (own.corruptBlocks === 0) {
        addScanStats(stats, own);
        return partial;
      }
    }
    return this.#scan(units, beyondNs, source, cancel, stats);
  }

  async #scan(
    units: readonly ScanUnit[],
    beyondNs: bigint | null,
    source: BlockSource,
    cancel: Int32Array,
    stats: ScanStats,
  ): Promise<LogPartial> {
    const pipeline = this.#pipeline;
    const collector = new LogCollector(this.#plan, beyondNs);
    const wanted = { lines: true, metadata: pipeline.needsMetadata };
    for (const unit of units) {
      // Bounds of the whole unit, against what is already known to be out of reach.
      collector.openBlock(unit.minNs);
      if (collector.highestOffset < 0 || collector.lowestOffset > Number(unit.maxNs - unit.minNs)) continue;
      const blocks = await source.open(unit, wanted, stats, this.#check);
      for (const block of blocks) {
        if (Atomics.load(cancel, 0) !== 0) throw new ScanCancelledError('the query was given up');
        this.#scanBlock(unit, block, collector, stats);
      }
    }
    const partial = collector.partial(pipeline.groups);
    const tenant = this.#tenant;
    if (tenant === null) return partial;
    return { ...partial, tenant, groups: partial.groups.map((g) => groupWithTenant(g, tenant)) };
  }

  /**
   * `beyondNs`, or a better bound, where that follows from times alone, because no stage drops a row: labels and lines are
   * then made of few rows that are not in the answer.
   */
  async #lastOf(units: readonly ScanUnit[], beyondNs: bigint | null, source: BlockSource): Promise<bigint | null> {
    const { stages, limit, intervalNs, direction, startNs, endNs } = this.#plan;
    if (stages.length > 0 || intervalNs > 0n || limit === 0 || units.length === 1) return beyondNs;
    const first = new FirstTimes(limit, direction);
    const backward = direction === 'backward';
    let last = beyondNs;
    for (const unit of units) {
      if (last !== null && (backward ? unit.maxNs < last : unit.minNs > last)) break;
      const times = await source.timesOf(unit);
      if (times === null) continue;
      first.add(times, firstRowAtOrAfter(times, startNs), firstRowAtOrAfter(times, endNs));
      const own = first.lastNs;
      if (own !== null && (last === null || (backward ? own > last : own < last))) last = own;
    }
    return last;
  }

  /**
   * Goes through a block in the query's direction, in growing pieces: where few stages drop rows, the limit is reached
   * long before the block's end.
   */
  #scanBlock(unit: ScanUnit, block: OpenBlock, collector: LogCollector, stats: ScanStats): void {
    const { columns, duplicates, sequence } = block;
    const pipeline = this.#pipeline;
    const { limit, startNs, endNs, direction } = this.#plan;
    let from = firstRowAtOrAfter(columns, startNs);
    let to = firstRowAtOrAfter(columns, endNs);
    if (from >= to) return;
    pipeline.open(columns, unit.labels);
    collector.openBlock(columns.baseNs, sequence, unit.rank);
    const { offsetsNs } = columns;
    const backward = direction === 'backward';
    for (let piece = Math.max(256, limit * 2); from < to; piece *= 4) {
      const first = backward ? Math.max(from, to - piece) : from;
      const last = backward ? to : Math.min(to, from + piece);
      if (backward ? offsetsNs[last - 1]! < collector.lowestOffset : offsetsNs[first]! > collector.highestOffset)
        return;
      const rows = this.#select(first, last, duplicates);
      const count = pipeline.filter(rows, rows.length);
      for (let i = 0; i < count; i++) {
        const row = rows[backward ? count - 1 - i : i]!;
        const offset = offsetsNs[row]!;
        if (!collector.wants(offset)) {
          if (backward ? offset < collector.lowestOffset : offset > collector.highestOffset) return;
          continue;
        }
        if (!pipeline.run(row)) continue;
        stats.postFilterRows++;
        collector.add(offset, row, pipeline.group, pipeline.line());
      }
      if (backward) to = first;
      else from = last;
    }
  }

  #select(from: number, to: number, duplicates: Uint8Array | null): Uint32Array {
    if (this.#rows.length < to - from) this.#rows = new Uint32Array(to - from);
    const rows = this.#rows;
    let count = 0;
    for (let row = from; row < to; row++) if (duplicates === null || duplicates[row] === 0) rows[count++] = row;
    return rows.subarray(0, count);
  }
}

function compile(plan: LogPlan): Pipeline {
  return compilePipeline({ stages: plan.stages, grouping: { kind: 'categories' } });
}
