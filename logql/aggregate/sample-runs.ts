import { giveBack, someFloat64, someUint32 } from '../kept-memory.ts';
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
  const { groups, length } = samples;
  const buckets = samples.buckets.subarray(0, length);
  const sets = someUint32(length);
  for (let i = 0; i < length; i++) sets[i] = setOf[groups[i]!]!;
  const order = orderOf(sets, setCount, buckets, bucketCount);
  let runs = 0;
  const starts = new Uint32Array(length + 1);
  const setsOfRuns = new Uint32Array(length);
  const bucketsOfRuns = new Uint32Array(length);
  for (let i = 0; i < length; i++) {
    const sample = order[i]!;
    const set = sets[sample]!;
    const bucket = buckets[sample]!;
    if (runs > 0 && setsOfRuns[runs - 1] === set && bucketsOfRuns[runs - 1] === bucket) continue;
    starts[runs] = i;
    setsOfRuns[runs] = set;
    bucketsOfRuns[runs++] = bucket;
  }
  starts[runs] = length;
  giveBack(sets);
  const counts = new Float64Array(runs);
  for (let run = 0; run < runs; run++) counts[run] = starts[run + 1]! - starts[run]!;
  const result = {
    sets: setsOfRuns.slice(0, runs),
    buckets: bucketsOfRuns.slice(0, runs),
    counts,
    values: gather(samples.values, order),
    times: samples.times.length === 0 ? NO_NUMBERS : gather(samples.times, order),
    sequences: samples.sequences.length === 0 ? NO_NUMBERS : gather(samples.sequences, order),
  };
  giveBack(order);
  return result;
}

/** The places of two equally long lists by the number in `first`, then `second`; equal ones stay in order. */
export function orderOf(first: Uint32Array, firstBound: number, second: Uint32Array, secondBound: number): Uint32Array {
  const { length } = first;
  const bySecond = placesBy(second, secondBound);
  const byFirst = placesBy(first, firstBound);
  const half = someUint32(length);
  for (let i = 0; i < length; i++) half[bySecond[second[i]!]!++] = i;
  const order = someUint32(length);
  for (let i = 0; i < length; i++) {
    const place = half[i]!;
    order[byFirst[first[place]!]!++] = place;
  }
  giveBack(half);
  return order;
}

/** Per number below `bound`, where its first one stands once keys are sorted. */
function placesBy(keys: Uint32Array, bound: number): Uint32Array {
  const places = new Uint32Array(bound + 1);
  for (let i = 0; i < keys.length; i++) places[keys[i]! + 1]!++;
  for (let k = 0; k < bound; k++) places[k + 1]! += places[k]!;
  return places;
}

function gather(column: Float64Array, order: Uint32Array): Float64Array {
  const gathered = someFloat64(order.length);
  for (let i = 0; i < order.length; i++) gathered[i] = column[order[i]!]!;
  return gathered;
}
