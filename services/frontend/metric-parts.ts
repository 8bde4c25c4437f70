import type { Matrix } from '../../logql/aggregate/index.ts';
import { SeriesLimitError } from '../../logql/aggregate/index.ts';
import type { Bounds } from '../querier/params.ts';
import type { MetricPart, MetricPartAnswer, PartAsker, PartRunner } from '../querier/parts.ts';
import type { QueryStats } from '../querier/stats.ts';
import { mergeMatrices, sliceMatrix } from './merge-matrices.ts';
import type { FrontendMetrics } from './metrics.ts';
import type { Kept, PartKey, ResultsCache } from './results-cache.ts';
import { splitSteps, widthFor } from './split.ts';

/** A metric range query that has been checked. Times are those of the first and the last step. */
export interface MetricQuery extends Bounds {
  readonly query: string;
  readonly stepNs: bigint;
  /** `split_queries_by_interval`; 0: the query is not divided. */
  readonly splitNs: bigint;
  /** The longest range that a step looks back. */
  readonly rangeNs: bigint;
  readonly maxSeries: number;
  /** Parts at once. */
  readonly parallelism: number;
  /** Steps after this are not kept: rows of their time are still on their way. */
  readonly keptUntilNs: bigint;
}

export interface PartServices {
  readonly parts: PartRunner;
  readonly metrics: FrontendMetrics;
  /** Null: nothing is kept. */
  readonly cache: ResultsCache | null;
}

/** What parts need of the query that they belong to while it runs. */
export interface QueryRun {
  /** What the parts cost, summed up. */
  readonly stats: QueryStats;
  readonly warnings: Set<string>;
  /** Who asks for a part now. `signal`: ends it before the query ends. */
  asker(signal?: AbortSignal): PartAsker;
}

/** With a cache all cuts are made where another query of the same text would make them. */
const MAX_KEPT_PARTS = 512;

interface Part extends Bounds {
  readonly key: PartKey;
  kept: Kept<MetricPartAnswer> | null;
}

/** Errors whose text depends on what is met first: the undivided query has to say it. */
const ERRORS_OF_THE_WHOLE: ReadonlySet<unknown> = new Set(['matching_error', 'pipeline_error']);

/** The answer of a metric query, joined from its parts. Throws what parts throw, and SeriesLimitError. */
export async function runMetricParts(services: PartServices, query: MetricQuery, run: QueryRun): Promise<Matrix> {
  const parts = divide(query, run.asker().context.tenants, services.cache !== null);
  services.metrics.partitions.observe(parts.length);
  run.stats.splits = parts.length;
  const whole = () => answerOf({ ...services, cache: null }, query, { ...query, key: [], kept: null }, run);
  const merged = (await answersOf(services, query, parts, run)) ?? (await whole());
  if (query.maxSeries > 0 && merged.series.length > query.maxSeries) throw new SeriesLimitError(query.maxSeries);
  return merged;
}

/** Null when only the undivided query can tell. */
async function answersOf(
  services: PartServices,
  query: MetricQuery,
  parts: readonly Part[],
  run: QueryRun,
): Promise<Matrix | null> {
  const ending = new AbortController();
  const partRun: QueryRun = { ...run, asker: () => run.asker(ending.signal) };
  try {
    if (services.cache !== null) await findKept(services.cache, services, query, parts, partRun);
    const matrices: Matrix[] = [];
    let next = 0;
    const drain = async (): Promise<void> => {
      while (next < parts.length) {
        const i = next++;
        matrices[i] = await answerOf(services, query, parts[i]!, partRun);
      }
    };
    await Promise.all(Array.from({ length: Math.min(query.parallelism, parts.length) }, drain));
    return mergeMatrices(matrices);
  } catch (error: unknown) {
    const isOfWhole = error instanceof Error && 'code' in error && ERRORS_OF_THE_WHOLE.has(error.code);
    if (!isOfWhole || parts.length === 1) throw error;
    return null;
  } finally {
    ending.abort(new Error('the parts are not needed any more'));
  }
}

/**
 * No part is shorter than a step's range, so that at most twice as many rows are read as by the undivided query. A
 * federated query's parts have two steps at least: rows at a part's last step do not count (`open-ends.ts`), but those of
 * a query with one step do.
 */
function divide(
  query: MetricQuery,
  tenants: { readonly ids: readonly string[]; readonly federated: boolean },
  isKept: boolean,
): Part[] {
  const { splitNs, stepNs, rangeNs, parallelism } = query;
  const maxParts = isKept ? MAX_KEPT_PARTS : Math.max(parallelism, 1);
  const widthNs = splitNs > 0n ? widthFor(query, splitNs, rangeNs, maxParts) : 0n;
  const runs =
    widthNs > 0n
      ? splitSteps(query, stepNs, widthNs, tenants.federated ? 2 : 1)
      : [{ startNs: query.startNs, endNs: query.endNs }];
  return runs.map((run) => ({
    ...run,
    key: [
      'metric',
      tenants.ids,
      tenants.federated,
      query.query,
      ...[stepNs, run.startNs % stepNs, splitNs, widthNs, widthNs > 0n ? run.startNs / widthNs : 0n].map(String),
    ],
    kept: null,
  }));
}

/** Takes what is in the cache for the parts, as far as a querier says that nothing has changed since. */
async function findKept(
  cache: ResultsCache,
  { parts: runner, metrics }: PartServices,
  query: MetricQuery,
  parts: readonly Part[],
  run: QueryRun,
): Promise<void> {
  const candidates: (readonly [Part, Kept<MetricPartAnswer>])[] = [];
  await Promise.all(
    parts.map(async (part) => {
      if (part.endNs > query.keptUntilNs) return;
      const kept = await cache.metric(part.key);
      if (kept !== null && kept.startNs <= part.startNs && kept.endNs >= part.endNs) candidates.push([part, kept]);
    }),
  );
  if (candidates.length === 0) return;
  const ranges = candidates.map(([, { startNs, endNs }]) => ({ startNs, endNs }));
  const current = await runner.fingerprints({ query: query.query, stepNs: query.stepNs, ranges }, run.asker());
  candidates.forEach(([part, kept], i) => {
    if (current[i] === kept.fingerprint) part.kept = kept;
    else metrics.cacheStale.inc();
  });
}

async function answerOf(
  { parts: runner, cache, metrics }: PartServices,
  query: MetricQuery,
  part: Part,
  run: QueryRun,
): Promise<Matrix> {
  const { stepNs } = query;
  const { startNs, endNs, kept } = part;
  if (kept !== null) {
    metrics.cacheHits.inc();
    const from = Number((startNs - kept.startNs) / stepNs);
    return sliceMatrix(kept.answer.matrix, from, from + Number((endNs - startNs) / stepNs) + 1);
  }
  const wantsFingerprint = cache !== null && endNs <= query.keptUntilNs;
  const asked: MetricPart = {
    query: query.query,
    startNs,
    endNs,
    stepNs,
    splitNs: query.splitNs,
    maxSeries: query.maxSeries,
    wantsFingerprint,
  };
  const answer = await runner.metric(asked, run.asker());
  run.stats.add(answer.stats.counts());
  for (const warning of answer.warnings) run.warnings.add(warning);
  if (wantsFingerprint && answer.warnings.length === 0 && (await cache.keepMetric(part.key, asked, answer))) {
    metrics.cacheStored.inc();
  }
  return answer.matrix;
}
