import type { SampleStore } from './sample-store.ts';

/** Samples in runs of one label set and bucket, by label set and then bucket; within a run as they came. */
export interface SampleRuns {
  /** Of each run. */
  readonly sets: Uint32Array;
  readonly buckets: Uint32Array;
  readonly counts: Float64Array;
  /** Of each sample. */
  readonly values: Float64Array;
  /** Empty where times do not matter. */
  readonly times: Float64Array;
  readonly sequences: Float64Array;
}

const NO_NUMBERS = new Float64Array(0);

/** Puts samples in order. `setOf`: by group the number of its label set, below `setCount`. */
export function runsOf(samples: SampleStore, setOf: Uint32Array, setCount: number, bucketCount: number): SampleRuns {
  const { groups, buckets, length } = samples;
  const order = orderOf(
    length,
    (i) => setOf[groups[i]!]!,
    setCount,
    (i) => buckets[i]!,
    bucketCount,
  );
  let runs = 0;
  const starts = new Uint32Array(length + 1);
  const setsOfRuns = new Uint32Array(length);
  const bucketsOfRuns = new Uint32Array(length);
  for (let i = 0; i < length; i++) {
    const sample = order[i]!;
    const set = setOf[groups[sample]!]!;
    const bucket = buckets[sample]!;
    if (runs > 0 && setsOfRuns[runs - 1] === set && bucketsOfRuns[runs - 1] === bucket) continue;
    starts[runs] = i;
    setsOfRuns[runs] = set;
    bucketsOfRuns[runs++] = bucket;
  }
  starts[runs] = length;
  return {
    sets: setsOfRuns.slice(0, runs),
    buckets: bucketsOfRuns.slice(0, runs),
    counts: Float64Array.from({ length: runs }, (_, run) => starts[run + 1]! - starts[run]!),
    values: gather(samples.values, order),
    times: samples.times.length === 0 ? NO_NUMBERS : gather(samples.times, order),
    sequences: samples.sequences.length === 0 ? NO_NUMBERS : gather(samples.sequences, order),
  };
}

/** The numbers below `length` by `first`, then `second`, both below their bounds; equal ones stay in order. */
export function orderOf(
  length: number,
  first: (i: number) => number,
  firstBound: number,
  second: (i: number) => number,
  secondBound: number,
): Uint32Array {
  const bySecond = placesBy(second, length, secondBound);
  const byFirst = placesBy(first, length, firstBound);
  const half = new Uint32Array(length);
  for (let i = 0; i < length; i++) half[bySecond[second(i)]!++] = i;
  const order = new Uint32Array(length);
  for (let i = 0; i < length; i++) {
    const number = half[i]!;
    order[byFirst[first(number)]!++] = number;
  }
  return order;
}

/** Per number below `bound`, where its first one stands once keys are sorted. */
function placesBy(key: (i: number) => number, length: number, bound: number): Uint32Array {
  const places = new Uint32Array(bound + 1);
  for (let i = 0; i < length; i++) places[key(i) + 1]!++;
  for (let k = 0; k < bound; k++) places[k + 1]! += places[k]!;
  return places;
}

function gather(column: Float64Array, order: Uint32Array): Float64Array {
  const gathered = new Float64Array(order.length);
  for (let i = 0; i < order.length; i++) gathered[i] = column[order[i]!]!;
  return gathered;
}
