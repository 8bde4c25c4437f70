import { createdMs } from '../../storage/index/index.ts';

/** What a plan must know of a segment. */
export interface PlannedSegment {
  readonly key: string;
  readonly id: string;
  readonly minNs: bigint;
  readonly maxNs: bigint;
  readonly sizeBytes: number;
}

export interface PlanOptions {
  readonly nowMs: number;
  /** Largest segment to be made; the sources are held in memory at once. */
  readonly maxBytes: number;
  /** Segments that must be left alone. */
  readonly isBusy: (key: string) => boolean;
}

const DAY_NS = 86_400_000_000_000n;
/** Younger segments may still be followed by others of the same flush. */
const MIN_AGE_MS = 60_000;
/** Fewer segments of a day that still grows are not worth a rewrite. */
const MIN_SEGMENTS = 4;
/** A day gets hardly any more segments so long after its end. */
const SETTLED_MS = 3_600_000;

/**
 * Which segments to merge: runs in order of arrival of one day each. What a run's largest segment holds at least doubles,
 * so that a row is rewritten no more often than its segment's size can double.
 *
 * `segments`: of one tenant, ascending by id.
 */
export function planMerges<S extends PlannedSegment>(segments: readonly S[], options: PlanOptions): S[][] {
  const { nowMs, isBusy } = options;
  const runs: S[][] = [];
  for (const [day, all] of Map.groupBy(segments, ({ minNs }) => dayOf(minNs))) {
    const endMs = Number(((day + 1n) * DAY_NS) / 1_000_000n);
    const least = nowMs > endMs + SETTLED_MS ? 2 : MIN_SEGMENTS;
    let neighbours: S[] = [];
    for (const segment of all) {
      if (isBusy(segment.key) || createdMs(segment.id) > nowMs - MIN_AGE_MS) {
        runs.push(...cutRuns(neighbours, least, options.maxBytes));
        neighbours = [];
      } else neighbours.push(segment);
    }
    runs.push(...cutRuns(neighbours, least, options.maxBytes));
  }
  return runs;
}

function cutRuns<S extends PlannedSegment>(segments: readonly S[], least: number, maxBytes: number): S[][] {
  const runs: S[][] = [];
  for (let from = 0; from < segments.length; ) {
    let to = from;
    let bytes = 0;
    let largest = 0;
    while (to < segments.length && bytes + segments[to]!.sizeBytes <= maxBytes) {
      bytes += segments[to]!.sizeBytes;
      largest = Math.max(largest, segments[to]!.sizeBytes);
      to++;
    }
    if (to - from >= least && largest <= bytes - largest) {
      runs.push(segments.slice(from, to));
      from = to;
    } else from++;
  }
  return runs;
}

/** UTC day since 1970. */
function dayOf(ns: bigint): bigint {
  return ns >= 0n ? ns / DAY_NS : -((-ns + DAY_NS - 1n) / DAY_NS);
}
