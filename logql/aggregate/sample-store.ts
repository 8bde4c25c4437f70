import { giveBack, takeFloat64, takeUint32 } from '../kept-memory.ts';
import { QueryTooLargeError } from './errors.ts';

/** Samples as they came, for functions that need each one (quantile, rate_counter). Growing columns. */
export class SampleStore {
  groups: Uint32Array = new Uint32Array(64);
  buckets: Uint32Array = new Uint32Array(64);
  values: Float64Array = new Float64Array(64);
  /** ns after the lower end of the first window: order and distance, not membership, which `buckets` tells exactly. */
  times: Float64Array;
  sequences: Float64Array;
  length = 0;
  /** One more than the highest group that has a sample. */
  groupCount = 0;

  readonly #maxSamples: number;
  readonly #timed: boolean;

  constructor(timed: boolean, maxSamples: number) {
    this.#timed = timed;
    this.#maxSamples = maxSamples;
    this.times = new Float64Array(timed ? 64 : 0);
    this.sequences = new Float64Array(timed ? 64 : 0);
  }

  add(group: number, bucket: number, value: number, time: number, sequence: number): void {
    if (this.length === this.values.length) this.#grow();
    const i = this.length++;
    if (group >= this.groupCount) this.groupCount = group + 1;
    this.groups[i] = group;
    this.buckets[i] = bucket;
    this.values[i] = value;
    if (this.#timed) {
      this.times[i] = time;
      this.sequences[i] = sequence;
    }
  }

  /** Groups that have samples, ascending. */
  usedGroups(): Uint32Array {
    const isUsed = new Uint8Array(this.groupCount);
    for (let i = 0; i < this.length; i++) isUsed[this.groups[i]!] = 1;
    return Uint32Array.from(isUsed.keys()).filter((group) => isUsed[group] === 1);
  }

  /** Gives its memory to others: the store cannot be used any more. */
  release(): void {
    for (const array of [this.groups, this.buckets, this.values, this.times, this.sequences]) giveBack(array);
    this.groups = new Uint32Array(0);
    this.buckets = new Uint32Array(0);
    this.values = new Float64Array(0);
    this.times = new Float64Array(0);
    this.sequences = new Float64Array(0);
  }

  #grow(): void {
    if (this.length >= this.#maxSamples) throw new QueryTooLargeError('samples', this.#maxSamples);
    const size = Math.min(this.#maxSamples, this.length * 2);
    this.groups = copyTo(takeUint32(size), this.groups);
    this.buckets = copyTo(takeUint32(size), this.buckets);
    this.values = copyTo(takeFloat64(size), this.values);
    if (this.#timed) {
      this.times = copyTo(takeFloat64(size), this.times);
      this.sequences = copyTo(takeFloat64(size), this.sequences);
    }
  }
}

function copyTo<T extends Uint32Array | Float64Array>(to: T, from: T): T {
  to.set(from);
  giveBack(from);
  return to;
}
