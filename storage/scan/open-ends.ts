import type { RangeScan } from '../../logql/plan/index.ts';

/**
 * The rows that a federated range query of Loki loses: its parts, cut at multiples of `split_queries_by_interval`, end
 * before the last of their evaluation times, so that a row of exactly that time is in no window. Where windows overlap
 * such a row belongs to later ones too; there it is kept.
 */
export class OpenEnds {
  readonly #scan: RangeScan;
  readonly #splitNs: bigint;

  /** Null when the scan has none. */
  static of(scan: RangeScan): OpenEnds | null {
    const { splitNs = 0n, rangeNs, times } = scan;
    return splitNs > 0n && times.count > 1 && rangeNs <= times.stepNs ? new OpenEnds(scan, splitNs) : null;
  }

  private constructor(scan: RangeScan, splitNs: bigint) {
    this.#scan = scan;
    this.#splitNs = splitNs;
  }

  has(timestampNs: bigint): boolean {
    const { times, offsetNs } = this.#scan;
    const time = timestampNs + offsetNs;
    const sinceFirst = time - times.firstNs;
    if (sinceFirst < 0n || sinceFirst % times.stepNs !== 0n) return false;
    if (sinceFirst === BigInt(times.count - 1) * times.stepNs) return true;
    return time / this.#splitNs !== (time + times.stepNs) / this.#splitNs;
  }
}
