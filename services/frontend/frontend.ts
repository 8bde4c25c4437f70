import type { Registry } from 'prom-client';
import type { MetricResult } from '../../logql/aggregate/index.ts';
import { alignRange } from '../../logql/plan/index.ts';
import type { LogSelectorExpr, MetricExpr } from '../../logql/syntax/ast.ts';
import { parseQuery, printExpr } from '../../logql/syntax/index.ts';
import type { Cache } from '../../storage/cache/index.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { Limits, LimitsProvider } from '../config/limits.ts';
import { HttpError } from '../http/http-error.ts';
import { kindOf } from '../querier/blocked-queries.ts';
import { checkBytesRead, mayReadTooMuch } from '../querier/byte-limits.ts';
import type { RangeQueries } from '../querier/http.ts';
import type { LogQueryParams } from '../querier/log-query.ts';
import type { LogEntry } from '../querier/log-response.ts';
import { queryMetrics } from '../querier/metrics.ts';
import type { Bounds, RangeParams } from '../querier/params.ts';
import { metricOfNothing, metricPlan, type PartAsker, type PartRunner } from '../querier/parts.ts';
import type { QueryAnswer, QueryContext } from '../querier/querier.ts';
import { QueryEnd } from '../querier/query-end.ts';
import { QueryLog, type QueryRecord } from '../querier/query-log.ts';
import { checkRange, limitsOfAsker, limitsOfTenants } from '../querier/range-checks.ts';
import { QueryStats } from '../querier/stats.ts';
import type { EntrySource } from '../querier/tail.ts';
import { runLogParts } from './log-parts.ts';
import { type PartServices, type QueryRun, runMetricParts } from './metric-parts.ts';
import type { FrontendMetrics } from './metrics.ts';
import { ResultsCache } from './results-cache.ts';

export interface FrontendOptions {
  /** Who answers parts: queriers that take work (`RemoteParts`), or one in the process (`QuerierParts`). */
  readonly parts: PartRunner;
  readonly metrics: FrontendMetrics;
  readonly limits: LimitsProvider;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
  /** `querier.per_request_limits_enabled` */
  readonly perRequestLimits?: boolean;
  /** `query_range.results_cache`; null unless `query_range.cache_results`. */
  readonly cache?: Cache | null;
}

const NS_PER_MS = 1_000_000;

interface Run extends QueryRun {
  readonly limits: Limits;
}

/** Answers range queries by parts of them, as one querier would answer the whole. */
export class Frontend implements RangeQueries, EntrySource {
  readonly #options: FrontendOptions;
  readonly #services: PartServices;
  readonly #log: QueryLog;
  #active = 0;

  constructor(options: FrontendOptions) {
    this.#options = options;
    const { parts, metrics, cache = null, logger } = options;
    this.#services = { parts, metrics, cache: cache && new ResultsCache(cache, logger) };
    this.#log = new QueryLog(queryMetrics(options.registry), logger, options.clock, 'frontend');
  }

  /** Queries under way. */
  get inProgress(): number {
    return this.#active;
  }

  /** Counts a query that somebody else answers. */
  async counted<T>(query: () => Promise<T>): Promise<T> {
    this.#active++;
    try {
      return await query();
    } finally {
      this.#active--;
    }
  }

  /** `query_range`. Throws as `Querier.range`. */
  range(params: RangeParams, context: QueryContext): Promise<QueryAnswer> {
    return this.counted(() => this.#recorded(params, context));
  }

  async #recorded(params: RangeParams, context: QueryContext): Promise<QueryAnswer> {
    const { startNs, endNs, stepNs, query, limit } = params;
    const tenants = context.tenants.ids;
    const stats = new QueryStats();
    const record: QueryRecord = { startNs, endNs, stepNs, query, limit, tenants, stats, rangeType: 'range', type: '' };
    try {
      const answer = await this.#range(params, context, record);
      this.#log.ended(record, undefined, false);
      return answer;
    } catch (error: unknown) {
      this.#log.ended(record, error, context.signal.aborted);
      throw error;
    }
  }

  /** Entries of a log query, for callers inside the program (a tail's history). */
  entries(expr: LogSelectorExpr, params: LogQueryParams, context: QueryContext): Promise<readonly LogEntry[]> {
    const limits = limitsOfTenants(this.#options.limits, context.tenants);
    return this.#run(limits, context, new QueryStats(), (run) => this.#entries(printExpr(expr), params, run));
  }

  async #range(params: RangeParams, context: QueryContext, record: QueryRecord): Promise<QueryAnswer> {
    const limits = limitsOfAsker(this.#options, context);
    const expr = parseQuery(params.query);
    record.type = kindOf(expr);
    const bounds = checkRange(limits, params, expr, context, this.#options.clock.nowNs());
    const { stats } = record;
    if (expr.kind !== 'log') return this.#metric(params, expr, bounds, limits, context, stats);
    if (bounds === null) return { kind: 'streams', entries: [], stats, warnings: [] };
    const periodNs = splitOf(limits);
    return this.#run(limits, context, stats, async (run) => {
      // As in Loki, a query that takes all lines is not asked: its limit ends it soon.
      if (record.type === 'filter') await this.#checkBytes(params.query, bounds, 0n, run);
      const entries = await this.#entries(params.query, { ...params, ...bounds, periodNs }, run);
      stats.entriesReturned = entries.length;
      return { kind: 'streams', entries, stats, warnings: [...run.warnings] };
    });
  }

  async #metric(
    params: RangeParams,
    expr: MetricExpr,
    bounds: Bounds | null,
    limits: Limits,
    context: QueryContext,
    stats: QueryStats,
  ): Promise<QueryAnswer> {
    const { query, stepNs } = params;
    const range = alignRange((bounds ?? params).startNs, (bounds ?? params).endNs, stepNs);
    const splitNs = splitOf(limits);
    const { scans } = metricPlan({ query, stepNs, splitNs, ...range }, expr);
    const truncate = context.partialSeries ? limits.max_query_series : 0;
    const maxSeries = context.partialSeries ? 0 : limits.max_query_series;
    const rangeNs = scans.reduce((longest, scan) => (scan.rangeNs > longest ? scan.rangeNs : longest), 0n);
    const keptUntilNs = this.#keptUntilNs(limits);
    return this.#run(limits, context, stats, async (run) => {
      const parallelism = parallelismOf(limits);
      const asked = {
        query,
        stepNs,
        splitNs,
        rangeNs,
        maxSeries,
        parallelism,
        keptUntilNs,
        ...lastStep(range, stepNs),
      };
      const isEmpty = bounds === null || scans.length === 0;
      if (!isEmpty) await this.#checkBytes(query, range, stepNs, run);
      const matrix = isEmpty ? metricOfNothing(asked) : await runMetricParts(this.#services, asked, run);
      let result: MetricResult = { kind: 'matrix', matrix };
      if (truncate > 0 && matrix.series.length > truncate) {
        result = { kind: 'matrix', matrix: { timesMs: matrix.timesMs, series: matrix.series.slice(0, truncate) } };
        run.warnings.add(
          `maximum number of series (${truncate}) reached for a single query; returning partial results`,
        );
      }
      stats.entriesReturned = result.matrix.series.length;
      return { kind: 'metric', result, instant: false, stats, warnings: [...run.warnings] };
    });
  }

  #entries(query: string, params: LogQueryParams, run: Run): Promise<readonly LogEntry[]> {
    const { limits } = run;
    const asked = {
      ...params,
      query,
      splitNs: splitOf(limits),
      parallelism: parallelismOf(limits),
      keptUntilNs: this.#keptUntilNs(limits),
    };
    return runLogParts(this.#services, asked, run);
  }

  /** Asks what the whole query would read, where that can be more than it may. Throws QueryLimitError. */
  async #checkBytes(query: string, bounds: Bounds, stepNs: bigint, run: Run): Promise<void> {
    if (!mayReadTooMuch(run.limits)) return;
    const { startNs, endNs } = bounds;
    const { bytes, contextBytes } = await this.#services.parts.bytes({ query, startNs, endNs, stepNs }, run.asker());
    checkBytesRead(run.limits, bytes, run.limits.max_query_bytes_read === 0 ? 0 : contextBytes);
  }

  #keptUntilNs({ max_cache_freshness_per_query: freshnessMs }: Limits): bigint {
    return this.#options.clock.nowNs() - BigInt(Math.round(freshnessMs * NS_PER_MS));
  }

  /** Ends all parts when one fails, the client is gone, or the time of the query is over. */
  async #run<T>(limits: Limits, context: QueryContext, stats: QueryStats, work: (run: Run) => Promise<T>): Promise<T> {
    const timeoutMs = limits.query_timeout;
    const deadlineMs = performance.now() + timeoutMs;
    using end = new QueryEnd(timeoutMs, context.signal);
    const ending = end.signal;
    const asker = (signal?: AbortSignal): PartAsker => ({
      context: { ...context, signal: signal === undefined ? ending : AbortSignal.any([ending, signal]) },
      timeoutMs: timeoutMs > 0 ? Math.max(1, deadlineMs - performance.now()) : 0,
    });
    ending.throwIfAborted();
    return await work({ limits, stats, warnings: new Set(), asker });
  }
}

function splitOf({ split_queries_by_interval: splitMs }: Limits): bigint {
  return BigInt(Math.round(splitMs * NS_PER_MS));
}

/** Throws Loki's 429 where a tenant's queries are switched off. */
function parallelismOf({ max_query_parallelism: parallelism }: Limits): number {
  if (parallelism < 1) throw new HttpError(429, 'querying is disabled, please contact your Loki operator');
  return parallelism;
}

/** Both ends on a step; the range's first and last. */
function lastStep({ startNs, endNs }: Bounds, stepNs: bigint): Bounds {
  return endNs <= startNs
    ? { startNs, endNs: startNs }
    : { startNs, endNs: startNs + ((endNs - startNs) / stepNs) * stepNs };
}
