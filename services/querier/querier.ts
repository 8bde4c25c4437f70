import type { Registry } from 'prom-client';
import type { MetricResult } from '../../logql/aggregate/index.ts';
import {
  alignRange,
  conditionOf,
  type MetricPlan,
  type PlanParams,
  planQuery,
  type RangeScan,
} from '../../logql/plan/index.ts';
import { checkStages } from '../../logql/stages/index.ts';
import type { LogSelectorExpr, Matcher } from '../../logql/syntax/ast.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { groupOverlapping, type ScanUnit } from '../../storage/scan/units.ts';
import { WorkerLostError, type WorkerPool } from '../../storage/scan/worker-pool.ts';
import type { Limits, LimitsProvider } from '../config/limits.ts';
import type { Tenants } from '../http/types.ts';
import { checkBlocked, kindOf, type QueryTags } from './blocked-queries.ts';
import { bytesOf, checkBytesRead } from './byte-limits.ts';
import { type Explanation, explainQuery } from './explain.ts';
import { contextBytes } from './limits-context.ts';
import { type LogQueryParams, runLogQuery } from './log-query.ts';
import type { LogEntry } from './log-response.ts';
import { type QuerierMetrics, querierMetrics, queryMetrics } from './metrics.ts';
import { BadRequestError, type Bounds, type InstantParams, type RangeParams } from './params.ts';
import { QueryEnd } from './query-end.ts';
import { checkEntriesLimit, checkExpression, limitBounds } from './query-limits.ts';
import { QueryLog, type QueryRecord } from './query-log.ts';
import { QuerySlots } from './query-slots.ts';
import { checkRange, ignoreHeader, limitsOfAsker, limitsOfTenants } from './range-checks.ts';
import { ScanSession } from './scan-session.ts';
import { checkTenantMatchers, type Reader, type Sources, selectStreams } from './select.ts';
import { QueryStats } from './stats.ts';
import { measureStreams, type StreamSize } from './stream-sizes.ts';

export interface QuerierOptions {
  readonly sources: Sources;
  readonly pool: WorkerPool;
  readonly limits: LimitsProvider;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Queries of one tenant that may be under way, waiting ones included: `frontend.max_outstanding_per_tenant`. */
  readonly maxOutstandingPerTenant: number;
  /** `querier.per_request_limits_enabled` */
  readonly perRequestLimits?: boolean;
  /** A query frontend of the same process counts the queries under way. */
  readonly behindFrontend?: boolean;
}

const NS_PER_MS = 1_000_000;

/** Who asks, and until when an answer is wanted. */
export interface QueryContext {
  readonly tenants: Tenants;
  /** The client hung up. */
  readonly signal: AbortSignal;
  /** Logs Drilldown gets the first series with a warning where others get an error. */
  readonly partialSeries: boolean;
  /** Of `X-Query-Tags`. */
  readonly tags?: QueryTags;
  /** `X-Loki-Query-Limits` and `X-Loki-Query-Limits-Context`, as sent. */
  readonly limitsHeader?: string;
  readonly limitsContextHeader?: string;
  /** How long the request has waited for its turn already; 0 when absent. */
  readonly queuedMs?: number;
}

export type QueryAnswer = (
  | { readonly kind: 'streams'; readonly entries: readonly LogEntry[] }
  | { readonly kind: 'metric'; readonly result: MetricResult; readonly instant: boolean }
) & { readonly stats: QueryStats; readonly warnings: readonly string[] };

/** Answers LogQL over what the ingesters hold and what lies in the object store. */
export class Querier {
  readonly #options: QuerierOptions;
  readonly #slots: QuerySlots;
  readonly #metrics: QuerierMetrics;
  readonly #log: QueryLog;

  constructor(options: QuerierOptions) {
    this.#options = options;
    this.#slots = new QuerySlots(options.maxOutstandingPerTenant);
    this.#metrics = querierMetrics(options.registry, options.pool, options.behindFrontend ? null : this.#slots);
    this.#log = new QueryLog(queryMetrics(options.registry), options.logger, options.clock, 'querier');
  }

  /**
   * `query_range`. Throws the errors of `params.ts`, `query-limits.ts`, of LogQL, QueryTimeoutError, and
   * TooManyOutstandingError.
   */
  range(params: RangeParams, context: QueryContext): Promise<QueryAnswer> {
    const { startNs, endNs, stepNs } = params;
    return this.#recorded({ startNs, endNs, stepNs, rangeType: 'range' }, params, context, (record) =>
      this.#range(params, context, record),
    );
  }

  /** `query`: one point in time. Throws what `range` throws. */
  instant(params: InstantParams, context: QueryContext): Promise<QueryAnswer> {
    const { timeNs } = params;
    const point = { startNs: timeNs, endNs: timeNs, stepNs: 0n, rangeType: 'instant' as const };
    return this.#recorded(point, params, context, (record) => this.#instant(params, context, record));
  }

  /** What a query would read, and how it would be answered; reads no row. Throws what `explainQuery` throws. */
  explain(query: string, params: PlanParams, context: QueryContext): Promise<Explanation> {
    const splitMs = this.limitsOf(context.tenants).split_instant_metric_queries_by_interval;
    const split = { instantSplitNs: BigInt(splitMs * NS_PER_MS) };
    return explainQuery(query, { ...params, ...split }, context.tenants, this.#options.sources, context.signal);
  }

  async #recorded(
    times: Pick<QueryRecord, 'startNs' | 'endNs' | 'stepNs' | 'rangeType'>,
    { query, limit }: { readonly query: string; readonly limit: number },
    { tenants, signal, queuedMs = 0 }: QueryContext,
    run: (record: QueryRecord) => Promise<QueryAnswer>,
  ): Promise<QueryAnswer> {
    const record = { ...times, query, limit, tenants: tenants.ids, stats: new QueryStats(), type: '' };
    record.stats.queueMs = queuedMs;
    try {
      const answer = await run(record);
      this.#log.ended(record, undefined, false);
      return answer;
    } catch (error: unknown) {
      this.#log.ended(record, error, signal.aborted);
      throw error;
    }
  }

  async #range(params: RangeParams, context: QueryContext, record: QueryRecord): Promise<QueryAnswer> {
    const limits = this.#limitsFor(context);
    const expr = parseQuery(params.query);
    record.type = kindOf(expr);
    const bounds = checkRange(limits, params, expr, context, this.#options.clock.nowNs());
    const { stats } = record;
    if (expr.kind === 'log') {
      if (bounds === null) return { kind: 'streams', entries: [], stats, warnings: [] };
      const entries = await this.run(limits.query_timeout, context, stats, async (session) => {
        const wholeBytes = await this.#wholeBytes(limits, context);
        return runLogQuery(
          this.#options.sources,
          session,
          expr,
          { ...params, ...bounds, periodNs: BigInt(limits.split_queries_by_interval * NS_PER_MS) },
          context.tenants,
          stats,
          // As in Loki, a query that takes all lines is not asked: its limit ends it soon.
          record.type === 'filter' ? (units) => checkBytesRead(limits, bytesOf(units), wholeBytes) : undefined,
        );
      });
      stats.entriesReturned = entries.length;
      return { kind: 'streams', entries, stats, warnings: warningsOf(stats) };
    }
    const { startNs, endNs } = alignRange((bounds ?? params).startNs, (bounds ?? params).endNs, params.stepNs);
    const rangeSplitNs = BigInt(limits.split_queries_by_interval * NS_PER_MS);
    const plan = planQuery(expr, { ...params, startNs, endNs, rangeSplitNs, instant: false });
    return this.#metric(plan as MetricPlan, limits, context, stats, bounds === null);
  }

  async #instant(params: InstantParams, context: QueryContext, record: QueryRecord): Promise<QueryAnswer> {
    const limits = this.#limitsFor(context);
    const expr = parseQuery(params.query);
    record.type = kindOf(expr);
    checkBlocked(limits, params.query, expr, context.tags ?? []);
    if (expr.kind === 'log') {
      throw new BadRequestError(
        'log queries are not supported as an instant query type, please change your query to a range query type',
      );
    }
    checkExpression(limits, expr);
    checkTenantMatchers(context.tenants, expr);
    checkStages(expr);
    const plan = planQuery(expr, {
      startNs: params.timeNs,
      endNs: params.timeNs,
      stepNs: 0n,
      intervalNs: 0n,
      limit: params.limit,
      direction: params.direction,
      instant: true,
      instantSplitNs: BigInt(limits.split_instant_metric_queries_by_interval * NS_PER_MS),
    });
    return this.#metric(plan as MetricPlan, limits, context, record.stats, false);
  }

  /** Entries of a log query, for callers inside the program (tail's history, detected fields). */
  async entries(expr: LogSelectorExpr, params: LogQueryParams, context: QueryContext): Promise<readonly LogEntry[]> {
    const stats = new QueryStats();
    return this.run(this.limitsOf(context.tenants).query_timeout, context, stats, (session) =>
      runLogQuery(this.#options.sources, session, expr, params, context.tenants, stats),
    );
  }

  /**
   * Rows and bytes of the streams that matchers select, in each bucket of time; under the limits of a query. Throws
   * QueryTimeoutError and TooManyOutstandingError.
   */
  measure(
    matchers: readonly Matcher[],
    buckets: readonly Bounds[],
    context: QueryContext,
    stats: QueryStats,
  ): Promise<StreamSize[]> {
    return this.run(this.#limitsFor(context).query_timeout, context, stats, (session) =>
      measureStreams(this.#options.sources, session, { tenants: context.tenants, matchers, buckets }, stats),
    );
  }

  /**
   * The newest entries of a log query given as text, under the limits of a query. Throws as `range`, and
   * BadRequestError for a metric query.
   */
  async newestEntries(
    query: string,
    asked: Bounds,
    limit: number,
    context: QueryContext,
  ): Promise<readonly LogEntry[]> {
    const limits = this.#limitsFor(context);
    const expr = parseQuery(query);
    if (expr.kind !== 'log') throw new BadRequestError('only log selector is supported');
    checkEntriesLimit(limits, limit);
    checkExpression(limits, expr);
    checkBlocked(limits, query, expr, context.tags ?? []);
    checkTenantMatchers(context.tenants, expr);
    checkStages(expr);
    const bounds = limitBounds(limits, asked, this.#options.clock.nowNs());
    if (bounds === null) return [];
    const periodNs = BigInt(limits.split_queries_by_interval * NS_PER_MS);
    return this.entries(expr, { ...bounds, limit, direction: 'backward', intervalNs: 0n, periodNs }, context);
  }

  limitsOf(tenants: Tenants): Limits {
    return limitsOfTenants(this.#options.limits, tenants);
  }

  #limitsFor(context: QueryContext): Limits {
    return limitsOfAsker(this.#options, context);
  }

  /** Bytes of the query that the client cut this one out of; 0 where nobody asks or says. */
  async #wholeBytes(limits: Limits, context: QueryContext): Promise<number> {
    return limits.max_query_bytes_read === 0 ? 0 : this.bytesOfContext(context);
  }

  /** Bytes of the query that `X-Loki-Query-Limits-Context` names; 0 where it names none or may not. */
  async bytesOfContext({ tenants, signal, limitsContextHeader = '' }: QueryContext): Promise<number> {
    if (!this.#options.perRequestLimits) return 0;
    try {
      return await contextBytes(limitsContextHeader, this.#options.sources, tenants, signal);
    } catch (error: unknown) {
      ignoreHeader(this.#options.logger, 'X-Loki-Query-Limits-Context', error);
      return 0;
    }
  }

  async #metric(
    plan: MetricPlan,
    limits: Limits,
    context: QueryContext,
    stats: QueryStats,
    empty: boolean,
  ): Promise<QueryAnswer> {
    const { maxSeries, truncate } = context.partialSeries
      ? { maxSeries: 0, truncate: limits.max_query_series }
      : { maxSeries: limits.max_query_series, truncate: 0 };
    let result = await this.run(limits.query_timeout, context, stats, async (session) => {
      const units = empty ? plan.scans.map(() => []) : await this.unitsOf(plan, context.tenants, stats, session);
      checkBytesRead(limits, bytesOf(units.flat()), await this.#wholeBytes(limits, context));
      const partials = await session.scanMetric(plan, units, maxSeries);
      return session.evaluate(plan, partials, maxSeries);
    });
    const warnings = warningsOf(stats);
    if (truncate > 0 && result.kind !== 'scalar' && result.matrix.series.length > truncate) {
      const { timesMs, series } = result.matrix;
      result = { kind: result.kind, matrix: { timesMs, series: series.slice(0, truncate) } };
      warnings.push(`maximum number of series (${truncate}) reached for a single query; returning partial results`);
    }
    stats.entriesReturned = result.kind === 'scalar' ? 1 : result.matrix.series.length;
    return { kind: 'metric', result, instant: plan.instant, stats, warnings };
  }

  /** What each scan of a plan would read. */
  unitsOf(plan: MetricPlan, tenants: Tenants, stats: QueryStats, reader: Reader): Promise<ScanUnit[][]> {
    return Promise.all(
      plan.scans.map(async ({ matchers, stages, readAfterNs, readUntilNs }: RangeScan) => {
        const selection = {
          tenants,
          matchers,
          tenantMatchers: 'ignore' as const,
          startNs: readAfterNs + 1n,
          endNs: readUntilNs,
          condition: conditionOf(stages),
        };
        const streams = await selectStreams(this.#options.sources, selection, stats, reader);
        return streams.flatMap((stream) =>
          groupOverlapping(stream.labels, stream.blocks, stream.tenant, stream.deletes),
        );
      }),
    );
  }

  /**
   * Runs work in one of the tenant's slots and for no longer than `timeoutMs` (0: no bound); once more when a worker was
   * lost under it. Rejects as soon as the client is gone or the time is over, whatever the work waits for.
   */
  async run<T>(
    timeoutMs: number,
    context: QueryContext,
    stats: QueryStats,
    work: (session: ScanSession) => Promise<T>,
  ): Promise<T> {
    const owner = context.tenants.ids.join('|');
    using _slot = this.#slots.take(owner);
    using end = new QueryEnd(timeoutMs, context.signal);
    const ending = end.signal;
    const ended = Promise.withResolvers<never>();
    const onEnding = () => ended.reject(ending.reason);
    if (ending.aborted) onEnding();
    ending.addEventListener('abort', onEnding, { once: true });
    ended.promise.catch(() => {}); // told to whoever waits for the work
    try {
      for (let attempt = 1; ; attempt++) {
        ending.throwIfAborted();
        try {
          await using session = new ScanSession(this.#options.pool, stats, ending, owner);
          return await Promise.race([work(session), ended.promise]);
        } catch (error: unknown) {
          if (!(error instanceof WorkerLostError) || attempt > 1) throw error;
          stats.restart();
        }
      }
    } catch (error: unknown) {
      if (context.signal.aborted) this.#metrics.cancelled.inc();
      throw error;
    } finally {
      ending.removeEventListener('abort', onEnding);
      this.#metrics.corruptBlocks.inc(stats.scan.corruptBlocks);
    }
  }
}

export function warningsOf({ scan, leftOutSegments }: QueryStats): string[] {
  const warnings: string[] = [];
  if (leftOutSegments > 0) warnings.push(`${leftOutSegments} segments cannot be read and were left out of this answer`);
  if (scan.corruptBlocks > 0) warnings.push(`${scan.corruptBlocks} corrupt blocks were left out of this answer`);
  return warnings;
}
