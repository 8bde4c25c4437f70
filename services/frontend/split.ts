import type { Bounds } from '../querier/params.ts';

/*
 * Where a range is cut: at multiples of a width since 1970, which is a multiple of `split_queries_by_interval`. Never at
 * 1970 itself: what Loki counts in periods, it counts towards zero, so that the periods on both sides of it are one.
 */

/** The first multiple of the width after a time. */
function nextCut(timeNs: bigint, widthNs: bigint): bigint {
  const within = timeNs % widthNs;
  const cut = timeNs - within + (within < 0n ? 0n : widthNs);
  return cut === 0n ? widthNs : cut;
}

/** The last multiple of the width before a time. */
function lastCut(timeNs: bigint, widthNs: bigint): bigint {
  const within = timeNs % widthNs;
  const cut = timeNs - within - (within > 0n ? 0n : widthNs);
  return cut === 0n ? -widthNs : cut;
}

/**
 * Evaluation times of a metric query, from `startNs` to `endNs` a step apart, in runs that do not cross a multiple of the
 * width. `leastSteps`: a run of fewer is joined to one beside it.
 */
export function splitSteps(whole: Bounds, stepNs: bigint, widthNs: bigint, leastSteps = 1): Bounds[] {
  const runs: { startNs: bigint; endNs: bigint }[] = [];
  const isShort = (run: Bounds) => (run.endNs - run.startNs) / stepNs + 1n < leastSteps;
  for (let startNs = whole.startNs; startNs <= whole.endNs; ) {
    const lastNs = nextCut(startNs, widthNs) - 1n;
    const limitNs = lastNs < whole.endNs ? lastNs : whole.endNs;
    const endNs = startNs + ((limitNs - startNs) / stepNs) * stepNs;
    const before = runs.at(-1);
    if (before !== undefined && isShort(before)) before.endNs = endNs;
    else runs.push({ startNs, endNs });
    startNs = endNs + stepNs;
  }
  if (runs.length > 1 && isShort(runs.at(-1)!)) {
    const { endNs } = runs.pop()!;
    runs.at(-1)!.endNs = endNs;
  }
  return runs;
}

/**
 * The time of a log query in parts, in the order of the direction, at most `maxFactor` widths long: each twice as long as
 * the one before, so that a query without an answer is soon through.
 */
export function* splitTime(
  { startNs, endNs }: Bounds,
  direction: 'forward' | 'backward',
  widthNs: bigint,
  maxFactor: bigint,
): Generator<Bounds> {
  let factor = 1n;
  if (direction === 'forward') {
    for (let from = startNs; from < endNs; factor = grown(factor, maxFactor)) {
      const cut = nextCut(from + (factor - 1n) * widthNs, widthNs);
      const to = cut < endNs ? cut : endNs;
      yield { startNs: from, endNs: to };
      from = to;
    }
    return;
  }
  for (let to = endNs; to > startNs; factor = grown(factor, maxFactor)) {
    const cut = lastCut(to - (factor - 1n) * widthNs, widthNs);
    const from = cut > startNs ? cut : startNs;
    yield { startNs: from, endNs: to };
    to = from;
  }
}

const grown = (factor: bigint, max: bigint): bigint => (factor * 2n > max ? max : factor * 2n);

/** The width in intervals of `splitNs`, by powers of two, that is at least `leastNs` and makes at most `maxParts` of a range. */
export function widthFor({ startNs, endNs }: Bounds, splitNs: bigint, leastNs: bigint, maxParts: number): bigint {
  let widthNs = splitNs;
  while (widthNs < leastNs || (endNs - startNs) / widthNs > BigInt(maxParts)) widthNs *= 2n;
  return widthNs;
}
