import type { Direction } from '../../logql/plan/index.ts';

/** Distances that a double takes exactly. */
const MAX_DISTANCE = 2 ** 53;

/** The rows of a block, or a piece of them, by time. */
export interface RowTimes {
  readonly baseNs: bigint;
  /** After `baseNs`, ascending. */
  readonly offsetsNs: Float64Array;
}

/** Of rows that are added block by block: the time of the last one that is among the first `limit` in the direction. */
export class FirstTimes {
  readonly #limit: number;
  readonly #backward: boolean;
  #baseNs: bigint | null = null;
  /** Distances from `#baseNs` in the direction, ascending; the first `#count` of them count. */
  #distances: Float64Array;
  #spare: Float64Array;
  #count = 0;

  constructor(limit: number, direction: Direction) {
    this.#limit = limit;
    this.#backward = direction === 'backward';
    this.#distances = new Float64Array(limit);
    this.#spare = new Float64Array(limit);
  }

  /** Adds the rows `[from, to)`. Those of blocks that lie months apart are left out, which makes the answer less good. */
  add({ baseNs, offsetsNs }: RowTimes, from: number, to: number): void {
    if (from >= to) return;
    this.#baseNs ??= baseNs;
    const shift = Number(baseNs - this.#baseNs);
    if (Math.abs(shift) + Math.max(Math.abs(offsetsNs[from]!), Math.abs(offsetsNs[to - 1]!)) >= MAX_DISTANCE) return;
    const old = this.#distances;
    const merged = this.#spare;
    const oldCount = this.#count;
    const sign = this.#backward ? -1 : 1;
    let next = this.#backward ? to - 1 : from;
    let left = to - from;
    let count = 0;
    for (let i = 0; count < this.#limit && (i < oldCount || left > 0); count++) {
      const distance = left > 0 ? sign * (shift + offsetsNs[next]!) : Number.POSITIVE_INFINITY;
      if (i < oldCount && old[i]! <= distance) {
        merged[count] = old[i++]!;
      } else {
        merged[count] = distance;
        next += sign;
        left--;
      }
    }
    this.#distances = merged;
    this.#spare = old;
    this.#count = count;
  }

  /** Null while there are fewer than `limit` rows. */
  get lastNs(): bigint | null {
    if (this.#baseNs === null || this.#count < this.#limit) return null;
    const distance = this.#distances[this.#limit - 1]!;
    return this.#baseNs + BigInt(this.#backward ? -distance : distance);
  }
}
