import { giveBack } from '../kept-memory.ts';
import type { Labels } from '../labels.ts';
import type { RangeScan } from '../plan/plan.ts';
import type { GroupLabels, GroupSource } from '../stages/types.ts';
import type { RangeOp } from '../syntax/ast.ts';
import { type CellKind, CellStore } from './cell-store.ts';
import { PipelineError } from './errors.ts';
import { buffersOf, type PackedLabelSets, packGroups, packLabelSets } from './packed-labels.ts';
import { runsOf } from './sample-runs.ts';
import { SampleStore } from './sample-store.ts';
import { WindowGrid } from './window-grid.ts';

/** How a range operation keeps its samples: reduced a bucket (`CellKind`), or each one. */
export type AccumulationKind = CellKind | 'samples' | 'timed_samples';

export interface AccumulatorBounds {
  /** Cells (8 to 32 bytes each) that one accumulator may hold. */
  readonly maxCells: number;
  /** Samples (16 to 32 bytes each), for the operations that keep them. */
  readonly maxSamples: number;
}

/** 16 Mi cells or samples: between 128 and 512 MiB in the worst case of one scan of one thread. */
export const defaultBounds: AccumulatorBounds = { maxCells: 1 << 24, maxSamples: 1 << 24 };

/**
 * What one thread found for one scan, for `RangeMerger`. Columns are parallel; all buffers may be transferred
 * (`transferablesOf`).
 */
export interface AccumulatorPartial {
  readonly kind: AccumulationKind;
  /** Label sets of the groups that have samples; `groupIndexes` point into it. */
  readonly groups: PackedLabelSets;
  /** Of each cell; where samples are kept, of each run of them (`SampleRuns`). */
  readonly groupIndexes: Uint32Array;
  readonly buckets: Uint32Array;
  /** Samples in the cell or run. */
  readonly counts: Float64Array;
  /** Cells: column a. Samples: the value of each. */
  readonly a: Float64Array;
  /** Cells: column b. Timed samples: of each the ns after the lower end of the first window. */
  readonly b: Float64Array;
  /** Cells: column c. Timed samples: of each the sequence of its block. */
  readonly c: Float64Array;
}

export function transferablesOf(partial: AccumulatorPartial): ArrayBuffer[] {
  const { groups, groupIndexes, buckets, counts, a, b, c } = partial;
  const columns = [groupIndexes, buckets, counts, a, b, c].map((column) => column.buffer);
  return [...buffersOf(groups), ...columns].filter((buffer) => buffer.byteLength > 0) as ArrayBuffer[];
}

/** Gives its memory to others. */
export function releasePartial({ groups, groupIndexes, buckets, counts, a, b, c }: AccumulatorPartial): void {
  for (const column of [groupIndexes, buckets, counts, a, b, c]) giveBack(column);
  if (groups.values === null) return;
  const { bytes, lengths, hashes } = groups.values;
  for (const column of [bytes, lengths, hashes]) giveBack(column);
}

export function accumulationKind(op: RangeOp, unwrapped: boolean): AccumulationKind {
  switch (op) {
    case 'count_over_time':
    case 'absent_over_time':
      return 'count';
    case 'rate':
      return unwrapped ? 'sum' : 'count';
    case 'bytes_over_time':
    case 'bytes_rate':
    case 'sum_over_time':
      return 'sum';
    case 'min_over_time':
      return 'min';
    case 'max_over_time':
      return 'max';
    case 'avg_over_time':
      return 'mean';
    case 'stddev_over_time':
    case 'stdvar_over_time':
      return 'variance';
    case 'first_over_time':
      return 'first';
    case 'last_over_time':
      return 'last';
    case 'quantile_over_time':
      return 'samples';
    case 'rate_counter':
      return 'timed_samples';
    default:
      return op satisfies never;
  }
}

/**
 * Gathers the samples of one scan in one thread, block after block:
 *
 *     accumulator.openBlock(columns.baseNs, sequence);
 *     for each row: accumulator.add(pipeline.group, columns.offsetsNs[row], value);
 *     …
 *     post(accumulator.partial(pipeline.groups))
 *
 * Rows outside every window are ignored. `group` numbers are those of one pipeline. All methods that take samples
 * throw `QueryTooLargeError` when the bounds are passed.
 */
export class RangeAccumulator {
  readonly kind: AccumulationKind;
  readonly #scan: RangeScan;
  readonly #grid: WindowGrid;
  readonly #cells: CellStore | null;
  readonly #samples: SampleStore | null;
  #blockStart = Number.NaN; // not 0: V8 would expect a small whole number, and compile again what met another
  #sequence = 0;
  /** Bucket of the offsets in `(grid.low, grid.high]`. */
  #bucket = -1;

  constructor(scan: RangeScan, bounds: AccumulatorBounds = defaultBounds) {
    this.#scan = scan;
    this.kind = accumulationKind(scan.op, scan.unwrap !== null);
    this.#grid = new WindowGrid(scan.times, scan.rangeNs, scan.offsetNs);
    if (this.kind === 'samples' || this.kind === 'timed_samples') {
      this.#cells = null;
      this.#samples = new SampleStore(this.kind === 'timed_samples', bounds.maxSamples);
    } else {
      this.#cells = new CellStore(this.kind, this.#grid.bucketCount, bounds.maxCells);
      this.#samples = null;
    }
  }

  /**
   * Samples of the next calls are offsets from `baseNs`. Among samples of one time, a lower `sequence` comes first; give
   * blocks of a stream ascending ones in order of arrival.
   */
  openBlock(baseNs: bigint, sequence = 0): void {
    this.#grid.openBlock(baseNs);
    this.#blockStart = Number(baseNs - this.#scan.readAfterNs);
    this.#sequence = sequence;
    this.#bucket = -1;
  }

  /** `offsetNs`: whole ns after the block's base, not negative. */
  add(group: number, offsetNs: number, value: number): void {
    const grid = this.#grid;
    if (!(offsetNs > grid.low && offsetNs <= grid.high)) this.#bucket = grid.bucketOf(offsetNs);
    const bucket = this.#bucket;
    if (bucket < 0) return;
    const cells = this.#cells;
    if (cells === null) {
      this.#samples!.add(group, bucket, value, this.#blockStart + offsetNs, this.#sequence);
      return;
    }
    const cell = cells.cell(group, bucket);
    if (cells.kind === 'first' || cells.kind === 'last') {
      cells.addAt(cell, value, this.#blockStart + offsetNs, this.#sequence);
    } else {
      cells.add(cell, value);
    }
  }

  /**
   * Counts `count` rows for operations of kind `count`. `rows`: ascending row numbers, or null for the rows
   * `0 … count - 1`. Costs a binary search a bucket, not a step a row.
   */
  addCounts(group: number, offsetsNs: Float64Array, rows: Uint32Array | null, count: number): void {
    const cells = this.#reducing('count');
    for (let i = 0; i < count; ) {
      const end = this.#endOfBucket(offsetsNs, rows, i, count);
      if (this.#bucket >= 0) cells.addMany(cells.cell(group, this.#bucket), end - i, 0);
      i = end;
    }
  }

  /** As `addCounts` for the bytes of stored lines; `lineStarts` as in `BlockColumns`. */
  addBytes(
    group: number,
    offsetsNs: Float64Array,
    lineStarts: Uint32Array,
    rows: Uint32Array | null,
    count: number,
  ): void {
    const cells = this.#reducing('sum');
    for (let i = 0; i < count; ) {
      const end = this.#endOfBucket(offsetsNs, rows, i, count);
      if (this.#bucket >= 0) {
        let bytes = 0;
        if (rows === null) {
          bytes = lineStarts[end]! - lineStarts[i]!;
        } else {
          for (let k = i; k < end; k++) bytes += lineStarts[rows[k]! + 1]! - lineStarts[rows[k]!]!;
        }
        cells.addMany(cells.cell(group, this.#bucket), end - i, bytes);
      }
      i = end;
    }
  }

  /** Whether all rows between the open block's base and `lastOffsetNs` are of one bucket, or of none. */
  isOneBucket(lastOffsetNs: number): boolean {
    this.#bucket = this.#grid.bucketOf(0);
    return lastOffsetNs <= this.#grid.high;
  }

  /** As `addCounts` or `addBytes` for a block of which `isOneBucket` has said that it lies in one. */
  addWhole(group: number, rows: number, bytes: number): void {
    const cells = this.#cells!;
    if (this.#bucket >= 0) cells.addMany(cells.cell(group, this.#bucket), rows, bytes);
  }

  /** Groups that have samples, each a series of the matrix; 0 where samples are kept one by one. */
  get seriesCount(): number {
    return this.#cells?.groupsWithCells ?? 0;
  }

  /**
   * What was gathered; the accumulator is used up. `groups` are the pipeline's. Throws `PipelineError` when a group with
   * samples carries an error; a pipeline that is asked for errors by name does not mark them. `name` changes what a
   * group is called in the answer.
   */
  partial(groups: GroupSource, name?: (labels: Labels) => Labels): AccumulatorPartial {
    const labelsOf = (group: number): Labels => {
      const labels = this.#checked(groups.at(group)!);
      return name === undefined ? labels : name(labels);
    };
    const used = (this.#cells ?? this.#samples!).usedGroups();
    const { sets, order } =
      name === undefined
        ? packGroups(used, groups, labelsOf)
        : { sets: packLabelSets(Array.from(used, labelsOf)), order: used };
    const cells = this.#cells;
    const partial =
      cells === null
        ? this.#samplePartial(this.#samples!, sets, order)
        : { kind: cells.kind, groups: sets, ...cells.placed(order) };
    (cells ?? this.#samples!).release();
    giveBack(used);
    if (order !== used) giveBack(order);
    return partial;
  }

  #reducing(kind: CellKind): CellStore {
    if (this.#cells === null || this.#cells.kind !== kind)
      throw new TypeError(`${this.#scan.op} does not add ${kind}s`);
    return this.#cells;
  }

  /** Finds the bucket of row i and the end of the run of rows in it. */
  #endOfBucket(offsetsNs: Float64Array, rows: Uint32Array | null, i: number, count: number): number {
    const offset = offsetsNs[rows === null ? i : rows[i]!]!;
    const grid = this.#grid;
    if (!(offset > grid.low && offset <= grid.high)) this.#bucket = grid.bucketOf(offset);
    const { high } = grid;
    // Most blocks end in the bucket of their first row; otherwise the end is near.
    if (offsetsNs[rows === null ? count - 1 : rows[count - 1]!]! <= high) return count;
    let below = i;
    let above = i + 1;
    for (let leap = 2; above < count && offsetsNs[rows === null ? above : rows[above]!]! <= high; leap *= 2) {
      below = above;
      above = Math.min(count, above + leap);
    }
    while (above - below > 1) {
      const middle = (below + above) >>> 1;
      if (offsetsNs[rows === null ? middle : rows[middle]!]! <= high) below = middle;
      else above = middle;
    }
    return below + 1;
  }

  #checked(group: GroupLabels): Labels {
    if (group.error !== '') throw new PipelineError(group.merged, group.error);
    return group.merged;
  }

  /** `order`: by set its group. */
  #samplePartial(samples: SampleStore, sets: PackedLabelSets, order: Uint32Array): AccumulatorPartial {
    const setOf = new Uint32Array(samples.groupCount);
    order.forEach((group, set) => {
      setOf[group] = set;
    });
    const runs = runsOf(samples, setOf, order.length, this.#grid.bucketCount);
    return {
      kind: this.kind,
      groups: sets,
      groupIndexes: runs.sets,
      buckets: runs.buckets,
      counts: runs.counts,
      a: runs.values,
      b: runs.times,
      c: runs.sequences,
    };
  }
}
