/** First and last times of blocks, as halves of 64-bit numbers: comparing bigints makes one for each look. */
export class BlockTimes {
  /** Two a block: its low and its high half. */
  readonly minLow: Uint32Array;
  readonly minHigh: Int32Array;
  readonly maxLow: Uint32Array;
  readonly maxHigh: Int32Array;

  constructor(minNs: BigInt64Array, maxNs: BigInt64Array) {
    this.minLow = new Uint32Array(minNs.buffer, minNs.byteOffset, 2 * minNs.length);
    this.minHigh = new Int32Array(minNs.buffer, minNs.byteOffset, 2 * minNs.length);
    this.maxLow = new Uint32Array(maxNs.buffer, maxNs.byteOffset, 2 * maxNs.length);
    this.maxHigh = new Int32Array(maxNs.buffer, maxNs.byteOffset, 2 * maxNs.length);
  }
}

const MIN_NS = -(2n ** 63n);
const MAX_NS = 2n ** 63n - 1n;

/** A stretch of time, both ends included. Times of blocks are compared with it exactly. */
export class TimeBounds {
  readonly #isEmpty: boolean;
  readonly #startLow: number;
  readonly #startHigh: number;
  readonly #endLow: number;
  readonly #endHigh: number;

  constructor(startNs: bigint, endNs: bigint) {
    this.#isEmpty = startNs > MAX_NS || endNs < MIN_NS;
    const start = startNs < MIN_NS ? MIN_NS : startNs;
    const end = endNs > MAX_NS ? MAX_NS : endNs;
    this.#startLow = Number(BigInt.asUintN(32, start));
    this.#startHigh = Number(BigInt.asIntN(32, start >> 32n));
    this.#endLow = Number(BigInt.asUintN(32, end));
    this.#endHigh = Number(BigInt.asIntN(32, end >> 32n));
  }

  /** Whether a block has a time within the bounds, or has them within its own. */
  overlap({ minLow, minHigh, maxLow, maxHigh }: BlockTimes, block: number): boolean {
    const low = 2 * block;
    const from = minHigh[low + 1]!;
    const to = maxHigh[low + 1]!;
    return (
      (from < this.#endHigh || (from === this.#endHigh && minLow[low]! <= this.#endLow)) &&
      (to > this.#startHigh || (to === this.#startHigh && maxLow[low]! >= this.#startLow)) &&
      !this.#isEmpty
    );
  }
}
