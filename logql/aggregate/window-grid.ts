import type { EvaluationTimes } from '../plan/plan.ts';

/**
 * Cuts time into buckets so that every evaluation window is a run of whole buckets, and finds a row's bucket.
 *
 * With P the step, R the range and L = first - offset - R the open lower end of the first window, window i is
 * (L + i·P, L + i·P + R]. Its ends lie on only two phases of the step: 0, and R mod P. So a step has at most two
 * buckets, whatever gcd(P, R) is:
 *
 *     R = 2.5 P                  R <= P (or one point)
 *     |--a--|-b-|--a--|-b-|      |--a--|· gap ·|--a--|
 *      0     R%P P                0     R       P
 *
 * Buckets are open below and closed above, as windows are. Rows in gaps belong to no window.
 */
export class WindowGrid {
  readonly bucketCount: number;
  readonly windowCount: number;
  /** Window i is the buckets `[i * stride, i * stride + perWindow)`. */
  readonly stride: number;
  readonly perWindow: number;

  readonly #lowestNs: bigint;
  readonly #period: bigint;
  readonly #periodNumber: number;
  /** Upper end of the first bucket of a period, after its start; equals the period when it has one bucket. */
  readonly #split: number;
  readonly #gap: boolean;

  #periodsBefore = 0;
  #phase = Number.NaN; // not 0: V8 would expect a small whole number, and compile again what met another
  #baseNs = 0n;

  /** The last answer of `bucketOf` holds for `low < offset <= high`. */
  low = Number.POSITIVE_INFINITY;
  high = Number.NEGATIVE_INFINITY;

  constructor(times: EvaluationTimes, rangeNs: bigint, offsetNs: bigint) {
    this.#lowestNs = times.firstNs - offsetNs - rangeNs;
    this.windowCount = times.count;
    const apart = times.count === 1 || times.stepNs >= rangeNs;
    this.#gap = apart;
    if (rangeNs <= 0n) {
      this.#period = 1n;
      this.#split = 1;
      this.stride = 1;
      this.perWindow = 0;
      this.bucketCount = 0;
    } else if (apart) {
      this.#period = times.count === 1 ? rangeNs : times.stepNs;
      this.#split = Number(rangeNs);
      this.stride = 1;
      this.perWindow = 1;
      this.bucketCount = times.count;
    } else {
      this.#period = times.stepNs;
      const rest = rangeNs % times.stepNs;
      this.#split = Number(rest === 0n ? times.stepNs : rest);
      this.stride = rest === 0n ? 1 : 2;
      this.perWindow = Number(rangeNs / times.stepNs) * this.stride + (rest === 0n ? 0 : 1);
      this.bucketCount = (times.count - 1) * this.stride + this.perWindow;
    }
    this.#periodNumber = Number(this.#period);
  }

  /** Rows are given from here on as offsets from `baseNs`; what `low` and `high` say is forgotten. */
  openBlock(baseNs: bigint): void {
    const distance = baseNs - this.#lowestNs;
    let periods = distance / this.#period;
    let phase = distance % this.#period;
    if (phase < 0n) {
      phase += this.#period;
      periods -= 1n;
    }
    this.#baseNs = baseNs;
    this.#periodsBefore = Number(periods);
    this.#phase = Number(phase);
    this.low = Number.POSITIVE_INFINITY;
    this.high = Number.NEGATIVE_INFINITY;
  }

  /** The bucket of the row `offset` ns (whole, not negative) after the block's base, or -1. Sets `low` and `high`. */
  bucketOf(offset: number): number {
    const position = this.#phase + offset;
    if (position > Number.MAX_SAFE_INTEGER) return this.#bucketExactly(offset);
    let periods = Math.ceil(position / this.#periodNumber) - 1;
    let within = position - periods * this.#periodNumber;
    // The quotient of two large numbers can round across a whole number; the product is exact.
    if (within <= 0) {
      periods--;
      within += this.#periodNumber;
    } else if (within > this.#periodNumber) {
      periods++;
      within -= this.#periodNumber;
    }
    const start = offset - within;
    if (within <= this.#split) {
      this.low = start;
      this.high = start + this.#split;
      return this.#checked((this.#periodsBefore + periods) * this.stride);
    }
    this.low = start + this.#split;
    this.high = start + this.#periodNumber;
    return this.#gap ? -1 : this.#checked((this.#periodsBefore + periods) * this.stride + 1);
  }

  #bucketExactly(offset: number): number {
    this.low = Number.POSITIVE_INFINITY;
    this.high = Number.NEGATIVE_INFINITY;
    const position = this.#baseNs + BigInt(offset) - this.#lowestNs;
    if (position <= 0n) return -1;
    const periods = (position - 1n) / this.#period;
    const within = position - periods * this.#period;
    if (within <= BigInt(this.#split)) return this.#checked(Number(periods) * this.stride);
    return this.#gap ? -1 : this.#checked(Number(periods) * this.stride + 1);
  }

  #checked(bucket: number): number {
    return bucket >= 0 && bucket < this.bucketCount ? bucket : -1;
  }
}
