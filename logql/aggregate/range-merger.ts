import { someFloat64, someUint32 } from '../kept-memory.ts';
import type { Labels } from '../labels.ts';
import type { EvaluationTimes, RangeScan } from '../plan/plan.ts';
import type { Matcher } from '../syntax/ast.ts';
import { type CellColumns, CellStore } from './cell-store.ts';
import { isEmpty, type Matrix, newSeries, type Series, withLabel } from './matrix.ts';
import { MergedGroups } from './merged-groups.ts';
import { MergedSamples } from './merged-samples.ts';
import {
  type AccumulationKind,
  type AccumulatorBounds,
  type AccumulatorPartial,
  accumulationKind,
  defaultBounds,
} from './range-accumulator.ts';
import { counterRate, quantile } from './range-functions.ts';
import { SlidingWindows } from './sliding-windows.ts';
import { VectorOfGroups } from './vector-of-groups.ts';
import { WindowGrid } from './window-grid.ts';

const NS_PER_MS = 1_000_000n;

/** Adds up the partials of one scan and makes its matrix. */
export class RangeMerger {
  readonly #scan: RangeScan;
  readonly #kind: AccumulationKind;
  readonly #grid: WindowGrid;
  readonly #cells: CellStore | null;
  readonly #samples: MergedSamples | null;
  readonly #partials: AccumulatorPartial[] = [];
  #groups = new MergedGroups([]);

  constructor(scan: RangeScan, bounds: AccumulatorBounds = defaultBounds) {
    this.#scan = scan;
    this.#kind = accumulationKind(scan.op, scan.unwrap !== null);
    this.#grid = new WindowGrid(scan.times, scan.rangeNs, scan.offsetNs);
    if (this.#kind === 'samples' || this.#kind === 'timed_samples') {
      this.#cells = null;
      this.#samples = new MergedSamples(bounds.maxSamples);
    } else {
      this.#cells = new CellStore(this.#kind, this.#grid.bucketCount, bounds.maxCells);
      this.#samples = null;
    }
  }

  add(partial: AccumulatorPartial): void {
    if (partial.kind !== this.#kind) throw new TypeError(`a partial of ${partial.kind} met a scan of ${this.#kind}`);
    this.#partials.push(partial);
  }

  /** The merger is used up. Throws `QueryTooLargeError`. */
  finish(): Matrix {
    this.#groups = new MergedGroups(this.#partials.map(({ groups }) => groups));
    this.#partials.forEach((partial, i) => {
      const groups = this.#groups.numbers[i]!;
      if (this.#cells === null) this.#samples!.add(partial, groups);
      else this.#cells.mergeAll(partial, groups);
    });
    const matrix = this.#matrix();
    this.#cells?.release();
    if (matrix.vector === undefined) this.#groups.release();
    return matrix;
  }

  #matrix(): Matrix {
    const timesMs = timesInMs(this.#scan.times);
    if (this.#scan.op === 'absent_over_time') return { timesMs, series: this.#absent() };
    if (this.#cells === null) return { timesMs, series: this.#evaluateSamples(this.#samples!) };
    if (this.#grid.bucketCount === 1 && this.#grid.windowCount === 1) return this.#oneCellEach(this.#cells, timesMs);
    return { timesMs, series: this.#reduce(this.#cells) };
  }

  #reduce(store: CellStore): Series[] {
    const windows = new SlidingWindows(store.kind, this.#grid);
    const value = cellValue(this.#scan);
    const result: Series[] = [];
    for (let group = 0; group < this.#groups.length; group++) {
      windows.clear();
      store.forEachCell(group, (bucket, cell) => copyCell(windows.buckets, bucket, store, cell));
      const cells = windows.reduce();
      const series = newSeries(this.#groups.labelsOf(group), this.#grid.windowCount);
      let any = false;
      for (let w = 0; w < this.#grid.windowCount; w++) {
        if (cells.counts[w] === 0) continue;
        series.values[w] = value(cells, w);
        series.present[w] = 1;
        any = true;
      }
      if (any) result.push(series);
    }
    return result;
  }

  /** Instant queries: nothing slides. */
  #oneCellEach(store: CellStore, timesMs: Float64Array): Matrix {
    const value = cellValue(this.#scan);
    const length = store.usedCells();
    const numbers = someUint32(length);
    const values = someFloat64(length);
    let at = 0;
    store.forEachUsed((group, _bucket, cell) => {
      numbers[at] = group;
      values[at++] = value(store, cell);
    });
    return new VectorOfGroups(timesMs, this.#groups, numbers, values);
  }

  #absent(): Series[] {
    const store = this.#cells!;
    const windows = new SlidingWindows('count', this.#grid);
    windows.clear();
    for (let group = 0; group < this.#groups.length; group++) {
      store.forEachCell(group, (bucket, cell) => {
        windows.buckets.counts[bucket]! += store.counts[cell]!;
      });
    }
    const { counts } = windows.reduce();
    const series = newSeries(absentLabels(this.#scan.matchers), this.#grid.windowCount);
    for (let w = 0; w < this.#grid.windowCount; w++) {
      if (counts[w] !== 0) continue;
      series.values[w] = 1;
      series.present[w] = 1;
    }
    return isEmpty(series) ? [] : [series];
  }

  #evaluateSamples(samples: MergedSamples): Series[] {
    const { windowCount, bucketCount, stride, perWindow } = this.#grid;
    const rangeSeconds = Number(this.#scan.rangeNs) / 1e9;
    const q = this.#scan.parameter ?? Number.NaN;
    const isTimed = this.#kind === 'timed_samples';
    const result: Series[] = [];
    let scratch = new Float64Array(1024);
    samples.forEachGroup(this.#groups.length, bucketCount, (group, runs, end) => {
      const series = newSeries(this.#groups.labelsOf(group), windowCount);
      const { values, times } = samples;
      let low = 0;
      let high = 0;
      for (let w = 0; w < windowCount; w++) {
        const firstBucket = w * stride;
        while (low < runs.length && runs[low]!.bucket < firstBucket) low++;
        if (high < low) high = low;
        while (high < runs.length && runs[high]!.bucket < firstBucket + perWindow) high++;
        if (low === high) continue;
        const from = runs[low]!.start;
        const to = high < runs.length ? runs[high]!.start : end;
        series.present[w] = 1;
        if (isTimed) {
          series.values[w] = counterRate(values, times, from, to, rangeSeconds);
          continue;
        }
        if (scratch.length < to - from) scratch = new Float64Array(2 * (to - from));
        scratch.set(values.subarray(from, to)); // `quantile` reorders them
        series.values[w] = quantile(q, scratch.subarray(0, to - from));
      }
      if (!isEmpty(series)) result.push(series);
    });
    return result;
  }
}

/** Merges the partials of all threads and blocks of one scan. */
export function mergePartials(
  scan: RangeScan,
  partials: Iterable<AccumulatorPartial>,
  bounds: AccumulatorBounds = defaultBounds,
): Matrix {
  const merger = new RangeMerger(scan, bounds);
  for (const partial of partials) merger.add(partial);
  return merger.finish();
}

export function timesInMs(times: EvaluationTimes): Float64Array {
  const result = new Float64Array(times.count);
  for (let i = 0; i < times.count; i++) result[i] = Number((times.firstNs + BigInt(i) * times.stepNs) / NS_PER_MS);
  return result;
}

/** Labels of an absent series: the `=` matchers, without names that another matcher names too. */
export function absentLabels(matchers: readonly Matcher[]): Labels {
  let labels: Labels = [];
  const seen = new Set<string>();
  for (const { name, op, value } of matchers) {
    labels = withLabel(labels, name, op === '=' && !seen.has(name) ? value : '');
    seen.add(name);
  }
  return labels;
}

function copyCell(to: CellColumns, bucket: number, from: CellStore, cell: number): void {
  to.counts[bucket] = from.counts[cell]!;
  if (from.a.length > 0) to.a[bucket] = from.a[cell]!;
  if (from.b.length > 0) to.b[bucket] = from.b[cell]!;
  if (from.c.length > 0) to.c[bucket] = from.c[cell]!;
}

function cellValue(scan: RangeScan): (cells: CellColumns, i: number) => number {
  const seconds = Number(scan.rangeNs) / 1e9;
  switch (scan.op) {
    case 'count_over_time':
      return (cells, i) => cells.counts[i]!;
    case 'rate':
      return scan.unwrap !== null ? (cells, i) => cells.a[i]! / seconds : (cells, i) => cells.counts[i]! / seconds;
    case 'bytes_rate':
      return (cells, i) => cells.a[i]! / seconds;
    case 'stdvar_over_time':
      return (cells, i) => cells.b[i]! / cells.counts[i]!;
    case 'stddev_over_time':
      return (cells, i) => Math.sqrt(cells.b[i]! / cells.counts[i]!);
    case 'bytes_over_time':
    case 'sum_over_time':
    case 'avg_over_time':
    case 'min_over_time':
    case 'max_over_time':
    case 'first_over_time':
    case 'last_over_time':
      return (cells, i) => cells.a[i]!;
    case 'absent_over_time':
    case 'quantile_over_time':
    case 'rate_counter':
      throw new TypeError(`${scan.op} is not read from cells`);
    default:
      return scan.op satisfies never;
  }
}
