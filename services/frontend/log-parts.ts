import type { LogQueryParams } from '../querier/log-query.ts';
import type { LogEntry } from '../querier/log-response.ts';
import type { Bounds } from '../querier/params.ts';
import type { LogPart, LogPartAnswer, PartAsker } from '../querier/parts.ts';
import type { PartServices, QueryRun } from './metric-parts.ts';
import type { Kept, PartKey } from './results-cache.ts';
import { splitTime, widthFor } from './split.ts';

/** A log query that has been checked. */
export interface LogQuery extends LogQueryParams {
  readonly query: string;
  /** `split_queries_by_interval`; 0: the query is not divided. */
  readonly splitNs: bigint;
  readonly parallelism: number;
  /** Entries of later times are not kept: others are still on their way. */
  readonly keptUntilNs: bigint;
}

/** Parts of a log query at once: most end with the first, and what the others found was for nothing. */
const PARTS_AHEAD = 4;
/** Widths of the longest part, where none is kept. */
const MAX_FACTOR = 64n;
const MAX_KEPT_PARTS = 512;

/**
 * The entries of a log query in the order of its direction, at most `limit`, joined from its parts. The first part goes
 * alone; those after it some at a time, each for as many entries as may still be missing. Throws what parts throw.
 */
export async function runLogParts(
  services: PartServices,
  query: LogQuery,
  run: QueryRun,
): Promise<readonly LogEntry[]> {
  const { cache, metrics } = services;
  const widthNs =
    query.splitNs > 0n && cache !== null ? widthFor(query, query.splitNs, 0n, MAX_KEPT_PARTS) : query.splitNs;
  const bounds =
    widthNs > 0n
      ? splitTime(query, query.direction, widthNs, cache === null ? MAX_FACTOR : 1n)
      : [{ startNs: query.startNs, endNs: query.endNs }].values();
  const enough = new AbortController();
  const partRun: QueryRun = { ...run, asker: () => run.asker(enough.signal) };
  const answers: (readonly LogEntry[])[] = [];
  /** Entries of the parts that are answered without a gap from the first on. */
  const entries: LogEntry[] = [];
  let joined = 0;
  let asked = 0;
  const drain = async (isAlone: boolean): Promise<void> => {
    while (entries.length < query.limit) {
      const next = bounds.next();
      if (next.done) return;
      const part = asked++;
      // With an interval the limit also says which entries of a period are looked at.
      const limit = query.intervalNs > 0n ? query.limit : query.limit - entries.length;
      answers[part] = await answerOf(services, query, next.value, limit, widthNs, partRun);
      for (let list = answers[joined]; list !== undefined; list = answers[++joined]) {
        for (const entry of list) entries.push(entry);
      }
      if (entries.length >= query.limit) enough.abort(new Error('the answer is complete'));
      if (isAlone) return;
    }
  };
  try {
    if (query.startNs < query.endNs) await drain(true);
    const lanes = Math.max(1, Math.min(PARTS_AHEAD, query.parallelism));
    await Promise.all(Array.from({ length: lanes }, () => drain(false)));
  } catch (error: unknown) {
    // Parts that were ahead are cut off when those before them suffice.
    if (!enough.signal.aborted) throw error;
  }
  enough.abort(new Error('the query has ended'));
  metrics.partitions.observe(asked);
  run.stats.splits = asked;
  return entries.slice(0, query.limit);
}

async function answerOf(
  { parts: runner, cache, metrics }: PartServices,
  query: LogQuery,
  bounds: Bounds,
  limit: number,
  widthNs: bigint,
  run: QueryRun,
): Promise<readonly LogEntry[]> {
  const { direction, intervalNs, periodNs } = query;
  const asker = run.asker();
  const mayKeep = cache !== null && bounds.endNs <= query.keptUntilNs;
  const key = keyOf(query, bounds, widthNs, asker);
  if (mayKeep) {
    const kept = await cache.log(key);
    const usable = kept === null ? null : cutOut(kept, query, bounds, limit);
    if (kept !== null && usable !== null) {
      const ranges = [{ startNs: kept.startNs, endNs: kept.endNs }];
      const [current] = await runner.fingerprints({ query: query.query, stepNs: 0n, ranges }, asker);
      if (current === kept.fingerprint) {
        metrics.cacheHits.inc();
        return usable;
      }
      metrics.cacheStale.inc();
    }
  }
  const asked: LogPart = {
    ...bounds,
    query: query.query,
    limit,
    direction,
    intervalNs,
    periodNs,
    wantsFingerprint: mayKeep,
  };
  const answer = await runner.log(asked, asker);
  run.stats.add(answer.stats.counts());
  for (const warning of answer.warnings) run.warnings.add(warning);
  // What the limit has cut off is an answer to this limit only.
  const isComplete = answer.entries.length < limit;
  if (mayKeep && isComplete && answer.warnings.length === 0 && (await cache.keepLog(key, bounds, answer))) {
    metrics.cacheStored.inc();
  }
  return answer.entries;
}

function keyOf(query: LogQuery, { startNs }: Bounds, widthNs: bigint, { context }: PartAsker): PartKey {
  const { ids, federated } = context.tenants;
  const { direction, intervalNs, periodNs, limit } = query;
  const thinned = intervalNs > 0n ? [intervalNs, periodNs, limit].map(String) : [];
  const index = widthNs > 0n ? startNs / widthNs : 0n;
  return ['log', ids, federated, query.query, direction, ...thinned, String(widthNs), String(index)];
}

/** The entries of a part from a kept answer over at least its time; null when that cannot tell. */
function cutOut(kept: Kept<LogPartAnswer>, query: LogQuery, bounds: Bounds, limit: number): readonly LogEntry[] | null {
  const { startNs, endNs } = bounds;
  if (kept.startNs === startNs && kept.endNs === endNs) return kept.answer.entries.slice(0, limit);
  // Where an interval begins decides what it keeps.
  if (query.intervalNs > 0n || kept.startNs > startNs || kept.endNs < endNs) return null;
  const inTime = kept.answer.entries.filter(({ timestampNs }) => timestampNs >= startNs && timestampNs < endNs);
  return inTime.slice(0, limit);
}
