import { createdMs, familyOf } from '../../storage/index/index.ts';

/** What a plan must know of a segment. */
export interface PlannedSegment {
  readonly key: string;
  readonly id: string;
  readonly minNs: bigint;
  /** Inclusive. */
  readonly maxNs: bigint;
  readonly sizeBytes: number;
  readonly footerBytes: number;
}

export interface PlanOptions {
  readonly nowMs: number;
  /** Largest segment to be made. */
  readonly maxBytes: number;
  /** How long after its end a time gets hardly any more segments. */
  readonly settleMs: number;
  /** Segments that must be left alone. */
  readonly isBusy: (key: string) => boolean;
}

/** A time that is over, `[startNs, endNs)`, and the segments that reach into it. */
export interface SettledWindow<S extends PlannedSegment> {
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** Ascending; where other windows may begin and end: no new segment reaches across. */
  readonly cutsNs: readonly bigint[];
  /** In order of arrival. */
  readonly segments: readonly S[];
}

const NS_PER_MS = 1_000_000n;
const DAY_NS = 86_400_000_000_000n;
/** Younger segments may still be followed by others of the same flush. */
const MIN_AGE_MS = 60_000;
/** Fewer segments of a day that still grows are not worth a rewrite. */
const MIN_SEGMENTS = 4;
/** A day with more than so many times the largest segment is looked at in parts; a part is no shorter than 45 minutes. */
const WINDOW_SEGMENTS = 8;
const MIN_WINDOW_NS = DAY_NS / 32n;
/** So is one with more than this of compressed footers, which are held in memory, several times as large, while it is merged. */
const WINDOW_FOOTER_BYTES = 64 * 1024 * 1024;
/** Less than this share of late data waits, for more of it. */
const LATE_SHARE = 1 / 8;

/**
 * Which segments to merge into one: runs in order of arrival of one day each. What a run's largest segment holds at least
 * doubles, so that a row is rewritten no more often than its segment's size can double.
 *
 * `segments`: of one tenant, ascending by id.
 */
export function planMerges<S extends PlannedSegment>(segments: readonly S[], options: PlanOptions): S[][] {
  const { nowMs, settleMs } = options;
  const runs: S[][] = [];
  for (const [day, all] of Map.groupBy(segments, ({ minNs }) => dayOf(minNs))) {
    const least = nowMs > msOf((day + 1n) * DAY_NS) + settleMs ? 2 : MIN_SEGMENTS;
    let neighbours: S[] = [];
    for (const segment of all) {
      if (!isRipe(segment, options)) {
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

/**
 * Where rows may lie twice, in segments of several ingesters: times that are over, of a day or of a part of a large one,
 * into which segments reach that were not made together. Ascending; a time without such is left out.
 *
 * `segments`: of one tenant, ascending by id.
 */
export function settledWindows<S extends PlannedSegment>(
  segments: readonly S[],
  options: PlanOptions,
): SettledWindow<S>[] {
  const ripe = segments.filter((segment) => isRipe(segment, options));
  const byStart = ripe.toSorted((a, b) => (a.minNs < b.minNs ? -1 : a.minNs > b.minNs ? 1 : 0));
  const windows: SettledWindow<S>[] = [];
  let next = 0;
  let active: S[] = [];
  for (let startNs = 0n; next < byStart.length || active.length > 0; ) {
    if (active.length === 0) startNs = dayOf(byStart[next]!.minNs) * DAY_NS;
    const dayEndNs = startNs + DAY_NS;
    while (next < byStart.length && byStart[next]!.minNs < dayEndNs) active.push(byStart[next++]!);
    // Days of which nothing begins or ends but what the first one has are one window: a segment may span years.
    const firstEndNs = active.reduce((least, { maxNs }) => (maxNs < least ? maxNs : least), active[0]!.maxNs);
    const nextNs = next < byStart.length && byStart[next]!.minNs < firstEndNs ? byStart[next]!.minNs : firstEndNs;
    const endNs = nextNs < dayEndNs ? dayEndNs : dayOf(nextNs) * DAY_NS;
    windows.push(...closedParts({ startNs, endNs, segments: active }, options));
    active = active.filter(({ maxNs }) => maxNs >= endNs);
    startNs = endNs;
  }
  return windows;
}

interface Part<S> {
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly segments: readonly S[];
}

function closedParts<S extends PlannedSegment>(day: Part<S>, options: PlanOptions): SettledWindow<S>[] {
  const parts = divide(day, options.maxBytes * WINDOW_SEGMENTS);
  const cutsNs = [day.startNs, ...parts.map(({ endNs }) => endNs)];
  return parts
    .filter(({ endNs, segments }) => {
      const families = new Set(segments.map(({ id }) => familyOf(id)));
      return families.size > 1 && msOf(endNs) + options.settleMs < options.nowMs;
    })
    .map(({ segments, ...time }) => ({
      ...time,
      cutsNs,
      segments: segments.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    }));
}

/** In halves, until little enough reaches into each. */
function divide<S extends PlannedSegment>(part: Part<S>, maxBytes: number): Part<S>[] {
  const { startNs, endNs, segments } = part;
  const bytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const footers = segments.reduce((sum, { footerBytes }) => sum + footerBytes, 0);
  const isLittle = bytes <= maxBytes && footers <= WINDOW_FOOTER_BYTES;
  if (isLittle || endNs - startNs <= MIN_WINDOW_NS) return [part];
  const middleNs = startNs + (endNs - startNs) / 2n;
  const earlier = segments.filter(({ minNs }) => minNs < middleNs);
  const later = segments.filter(({ maxNs }) => maxNs >= middleNs);
  return [
    ...divide({ startNs, endNs: middleNs, segments: earlier }, maxBytes),
    ...divide({ startNs: middleNs, endNs, segments: later }, maxBytes),
  ];
}

/**
 * Whether segments with overlapping blocks are merged now. What was made together is not written again for the sake of
 * little that came late, until no more has come for as long as it came after the window's end: so the waits between
 * rewrites at least double.
 */
export function isWorthwhile(segments: readonly PlannedSegment[], endNs: bigint, nowMs: number): boolean {
  const bytesOf = (some: readonly PlannedSegment[]) => some.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const families = [...Map.groupBy(segments, ({ id }) => familyOf(id)).values()];
  if (families.length < 2) return false; // made together: merging them would make the same again
  const largest = families.reduce((a, b) => (bytesOf(a) >= bytesOf(b) ? a : b));
  const late = segments.filter((segment) => !largest.includes(segment));
  if (bytesOf(late) >= LATE_SHARE * bytesOf(largest)) return true;
  const newestMs = late.reduce((newest, { id }) => Math.max(newest, createdMs(id)), 0);
  return nowMs - newestMs >= newestMs - msOf(endNs);
}

function isRipe({ key, id }: PlannedSegment, { nowMs, isBusy }: PlanOptions): boolean {
  return !isBusy(key) && createdMs(id) <= nowMs - MIN_AGE_MS;
}

const msOf = (ns: bigint): number => Number(ns / NS_PER_MS);

/** UTC day since 1970. */
function dayOf(ns: bigint): bigint {
  return ns >= 0n ? ns / DAY_NS : -((-ns + DAY_NS - 1n) / DAY_NS);
}
