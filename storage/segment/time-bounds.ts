/** First and last times of blocks, as halves of 64-bit numbers: comparing bigints makes one for each look. */
export class BlockTimes {
  /** Two a block: its low and its high half. */
  readonly minLow: Uint32Array;
  readonly minHigh: Int32Array;
  readonly maxLow: Uint32Array;
  readonly maxHigh: Int32Array;
  /** The first block that begins before all others, and the first that ends after all others; 0 without any. */
  readonly earliest: number;
  readonly latest: number;

  constructor(minNs: BigInt64Array, maxNs: BigInt64Array) {
    this.minLow = new Uint32Array(minNs.buffer, minNs.byteOffset, 2 * minNs.length);
    this.minHigh = new Int32Array(minNs.buffer, minNs.byteOffset, 2 * minNs.length);
    this.maxLow = new Uint32Array(maxNs.buffer, maxNs.byteOffset, 2 * maxNs.length);
    this.maxHigh = new Int32Array(maxNs.buffer, maxNs.byteOffset, 2 * maxNs.length);
    let earliest = 0;
    let latest = 0;
    for (let block = 1; block < minNs.length; block++) {
      if (isBefore(this.minHigh, this.minLow, block, earliest)) earliest = block;
      if (isBefore(this.maxHigh, this.maxLow, latest, block)) latest = block;
    }
    this.earliest = earliest;
    this.latest = latest;
  }
}

function isBefore(high: Int32Array, low: Uint32Array, a: number, b: number): boolean {
  const ofA = high[2 * a + 1]!;
  const ofB = high[2 * b + 1]!;
  return ofA < ofB || (ofA === ofB && low[2 * a]! < low[2 * b]!);
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

  /** Whether all blocks have all of their times within the bounds. */
  cover({ minLow, minHigh, maxLow, maxHigh, earliest, latest }: BlockTimes): boolean {
    if (minLow.length === 0 || this.#isEmpty) return false;
    const from = minHigh[2 * earliest + 1]!;
    const to = maxHigh[2 * latest + 1]!;
    return (
      (from > this.#startHigh || (from === this.#startHigh && minLow[2 * earliest]! >= this.#startLow)) &&
      (to < this.#endHigh || (to === this.#endHigh && maxLow[2 * latest]! <= this.#endLow))
    );
  }
}
