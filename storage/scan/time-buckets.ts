/** Spans of time, both ends inclusive, ascending and apart; one whose end is before its start holds nothing. */
export interface TimeBuckets {
  readonly startsNs: BigInt64Array;
  readonly endsNs: BigInt64Array;
}

export function timeBuckets(spans: readonly { readonly startNs: bigint; readonly endNs: bigint }[]): TimeBuckets {
  return {
    startsNs: BigInt64Array.from(spans, ({ startNs }) => nearestTime(startNs)),
    endsNs: BigInt64Array.from(spans, ({ endNs }) => nearestTime(endNs)),
  };
}

/** The first bucket that ends at or after `ns`; their number when there is none. */
export function firstBucketUntil({ endsNs }: TimeBuckets, ns: bigint): number {
  let low = 0;
  let high = endsNs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (endsNs[middle]! < ns) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Rows have times of 64 bits; a request may name one beyond. */
function nearestTime(ns: bigint): bigint {
  if (ns >= 2n ** 63n) return 2n ** 63n - 1n;
  return ns < -(2n ** 63n) ? -(2n ** 63n) : ns;
}
