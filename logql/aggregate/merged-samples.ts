import { QueryTooLargeError } from './errors.ts';
import type { AccumulatorPartial } from './range-accumulator.ts';
import { orderOf } from './sample-runs.ts';

/** A run of one bucket in `MergedSamples`, from `start` of its columns on. */
export interface MergedRun {
  readonly bucket: number;
  readonly start: number;
}

/** Runs of samples of all partials, put together by group and bucket. */
export class MergedSamples {
  readonly #maxSamples: number;
  readonly #partials: AccumulatorPartial[] = [];
  /** Of each run of all partials. */
  readonly #groups: number[] = [];
  readonly #buckets: number[] = [];
  readonly #partialOf: number[] = [];
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];
  #length = 0;

  values = new Float64Array(0);
  /** Empty where times do not matter. */
  times = new Float64Array(0);

  constructor(maxSamples: number) {
    this.#maxSamples = maxSamples;
  }

  /** `groups`: by label set of the partial, its number. */
  add(partial: AccumulatorPartial, groups: Uint32Array): void {
    const { groupIndexes, buckets, counts } = partial;
    this.#partials.push(partial);
    let start = 0;
    for (let run = 0; run < groupIndexes.length; run++) {
      this.#groups.push(groups[groupIndexes[run]!]!);
      this.#buckets.push(buckets[run]!);
      this.#partialOf.push(this.#partials.length - 1);
      this.#starts.push(start);
      this.#lengths.push(counts[run]!);
      start += counts[run]!;
    }
    this.#length += start;
    if (this.#length > this.#maxSamples) throw new QueryTooLargeError('samples', this.#maxSamples);
  }

  /**
   * Calls back for each group with its runs, in order of bucket and one a bucket, and the end of the last one. Samples of a
   * run of timed samples are in order of time, then of their block's sequence, then of arrival.
   */
  forEachGroup(
    groupCount: number,
    bucketCount: number,
    visit: (group: number, runs: readonly MergedRun[], end: number) => void,
  ): void {
    const groups = Uint32Array.from(this.#groups);
    const buckets = Uint32Array.from(this.#buckets);
    const order = orderOf(groups, groupCount, buckets, bucketCount);
    const isTimed = this.#partials.some(({ b }) => b.length > 0);
    this.values = new Float64Array(this.#length);
    this.times = new Float64Array(isTimed ? this.#length : 0);
    const sequences = new Float64Array(isTimed ? this.#length : 0);
    let end = 0;
    for (let at = 0; at < order.length; ) {
      const group = groups[order[at]!]!;
      const runs: MergedRun[] = [];
      while (at < order.length && groups[order[at]!] === group) {
        const bucket = buckets[order[at]!]!;
        const start = end;
        runs.push({ bucket, start });
        for (; at < order.length && groups[order[at]!] === group && buckets[order[at]!] === bucket; at++) {
          const run = order[at]!;
          const { a, b, c } = this.#partials[this.#partialOf[run]!]!;
          const from = this.#starts[run]!;
          const to = from + this.#lengths[run]!;
          this.values.set(a.subarray(from, to), end);
          if (isTimed) {
            this.times.set(b.subarray(from, to), end);
            sequences.set(c.subarray(from, to), end);
          }
          end += to - from;
        }
        if (isTimed) sortByTime(this.values, this.times, sequences, start, end);
      }
      visit(group, runs, end);
    }
  }
}

function sortByTime(
  values: Float64Array,
  times: Float64Array,
  sequences: Float64Array,
  from: number,
  to: number,
): void {
  const compare = (x: number, y: number): number => times[x]! - times[y]! || sequences[x]! - sequences[y]! || x - y;
  // Blocks mostly come in order of time.
  let isSorted = true;
  for (let i = from + 1; i < to && isSorted; i++) isSorted = compare(i - 1, i) <= 0;
  if (isSorted) return;
  const order = Uint32Array.from({ length: to - from }, (_, i) => from + i).sort(compare);
  const sortedValues = Float64Array.from(order, (i) => values[i]!);
  const sortedTimes = Float64Array.from(order, (i) => times[i]!);
  values.set(sortedValues, from);
  times.set(sortedTimes, from);
}
