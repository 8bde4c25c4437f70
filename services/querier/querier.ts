import { evaluatePlan, type Matrix, type MetricResult, mergePartials } from '../../logql/aggregate/index.ts';
import { alignRange, type MetricPlan, planQuery } from '../../logql/plan/index.ts';
import { checkStages } from '../../logql/stages/index.ts';
import type { LogSelectorExpr } from '../../logql/syntax/ast.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import type { Clock } from '../../storage/host/clock.ts';
import { groupOverlapping, type ScanUnit } from '../../storage/scan/units.ts';
import { WorkerLostError, type WorkerPool } from '../../storage/scan/worker-pool.ts';
import type { Limits, LimitsProvider } from '../config/limits.ts';
import type { Tenants } from '../http/types.ts';
import { type LogQueryParams, runLogQuery } from './log-query.ts';
import type { LogEntry } from './log-response.ts';
import { BadRequestError, type Bounds, type InstantParams, type RangeParams } from './params.ts';
import { checkBlocked, checkEntriesLimit, checkExpression, limitBounds, strictest } from './query-limits.ts';
import { ScanSession } from './scan-session.ts';
import { checkTenantMatchers, type Sources, selectStreams } from './select.ts';
import { QueryStats } from './stats.ts';

export interface QuerierOptions {
  readonly sources: Sources;
  readonly pool: WorkerPool;
  readonly limits: LimitsProvider;
  readonly clock: Clock;
}

const NS_PER_MS = 1_000_000;

/** Who asks, and until when an answer is wanted. */
export interface QueryContext {
  readonly tenants: Tenants;
  /** The client hung up. */
  readonly signal: AbortSignal;
  /** Logs Drilldown gets the first series with a warning where others get an error. */
  readonly partialSeries: boolean;
}

export type QueryAnswer = (
  | { readonly kind: 'streams'; readonly entries: readonly LogEntry[] }
  | { readonly kind: 'metric'; readonly result: MetricResult; readonly instant: boolean }
) & { readonly stats: QueryStats; readonly warnings: readonly string[] };

/** A query took longer than `query_timeout`: 504. */
export class QueryTimeoutError extends Error {
  readonly code = 'query_timeout';
  constructor() {
    super(
      'request timed out, decrease the duration of the request or add more label matchers (prefer exact match over ' +
        'regex match) to reduce the amount of data processed',
    );
  }
}

/** Answers LogQL over what the ingesters hold and what lies in the object store. */
export class Querier {
  readonly #options: QuerierOptions;

  constructor(options: QuerierOptions) {
    this.#options = options;
  }

  /** `query_range`. Throws the errors of `params.ts`, `query-limits.ts`, of LogQL, and QueryTimeoutError. */
  async range(params: RangeParams, context: QueryContext): Promise<QueryAnswer> {
    const limits = this.limitsOf(context.tenants);
    const expr = parseQuery(params.query);
    checkBlocked(limits, params.query, expr);
    if (expr.kind === 'log') checkEntriesLimit(limits, params.limit);
    const bounds = limitBounds(limits, params, this.#options.clock.nowNs());
    checkExpression(limits, expr);
    checkTenantMatchers(context.tenants, expr);
    checkStages(expr);
    const stats = new QueryStats();
    if (expr.kind === 'log') {
      if (bounds === null) return { kind: 'streams', entries: [], stats, warnings: [] };
      const entries = await this.#timed(limits, context, stats, (session) =>
        runLogQuery(
          this.#options.sources,
          session,
          expr,
          { ...params, ...bounds, periodNs: BigInt(limits.split_queries_by_interval * NS_PER_MS) },
          context.tenants,
          stats,
        ),
      );
      stats.entriesReturned = entries.length;
      return { kind: 'streams', entries, stats, warnings: [] };
    }
    const { startNs, endNs } = alignRange((bounds ?? params).startNs, (bounds ?? params).endNs, params.stepNs);
    const plan = planQuery(expr, { ...params, startNs, endNs, instant: false });
    return this.#metric(plan as MetricPlan, limits, context, stats, bounds === null);
  }

  /** `query`: one point in time. */
  async instant(params: InstantParams, context: QueryContext): Promise<QueryAnswer> {
    const limits = this.limitsOf(context.tenants);
    const expr = parseQuery(params.query);
    checkBlocked(limits, params.query, expr);
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
    return this.#metric(plan as MetricPlan, limits, context, new QueryStats(), false);
  }

  /** Entries of a log query, for callers inside the program (tail's history, detected fields). */
  async entries(expr: LogSelectorExpr, params: LogQueryParams, context: QueryContext): Promise<readonly LogEntry[]> {
    const stats = new QueryStats();
    return this.#timed(this.limitsOf(context.tenants), context, stats, (session) =>
      runLogQuery(this.#options.sources, session, expr, params, context.tenants, stats),
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
    const limits = this.limitsOf(context.tenants);
    const expr = parseQuery(query);
    if (expr.kind !== 'log') throw new BadRequestError('only log selector is supported');
    checkEntriesLimit(limits, limit);
    checkExpression(limits, expr);
    checkBlocked(limits, query, expr);
    checkTenantMatchers(context.tenants, expr);
    checkStages(expr);
    const bounds = limitBounds(limits, asked, this.#options.clock.nowNs());
    if (bounds === null) return [];
    const periodNs = BigInt(limits.split_queries_by_interval * NS_PER_MS);
    return this.entries(expr, { ...bounds, limit, direction: 'backward', intervalNs: 0n, periodNs }, context);
  }

  limitsOf(tenants: Tenants): Limits {
    return strictest(tenants.ids.map((id) => this.#options.limits.for(id)));
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
    const matrices = await this.#timed(limits, context, stats, async (session): Promise<Matrix[]> => {
      const units = empty
        ? plan.scans.map(() => [])
        : await Promise.all(plan.scans.map((_, scan) => this.#unitsOf(plan, scan, context.tenants, stats)));
      const partials = await session.scanMetric(plan, units);
      return plan.scans.map((scan, i) => mergePartials(scan, partials[i]!));
    });
    let result = evaluatePlan(plan, matrices, maxSeries);
    const warnings: string[] = [];
    if (truncate > 0 && result.kind !== 'scalar' && result.matrix.series.length > truncate) {
      const { timesMs, series } = result.matrix;
      result = { kind: result.kind, matrix: { timesMs, series: series.slice(0, truncate) } };
      warnings.push(`maximum number of series (${truncate}) reached for a single query; returning partial results`);
    }
    stats.entriesReturned = result.kind === 'scalar' ? 1 : result.matrix.series.length;
    if (stats.scan.corruptBlocks > 0) warnings.push(corruptWarning(stats.scan.corruptBlocks));
    return { kind: 'metric', result, instant: plan.instant, stats, warnings };
  }

  async #unitsOf(plan: MetricPlan, scan: number, tenants: Tenants, stats: QueryStats): Promise<ScanUnit[]> {
    const { matchers, readAfterNs, readUntilNs } = plan.scans[scan]!;
    const selection = {
      tenants,
      matchers,
      tenantMatchers: 'ignore' as const,
      startNs: readAfterNs + 1n,
      endNs: readUntilNs,
    };
    const streams = await selectStreams(this.#options.sources, selection, stats);
    return streams.flatMap((stream) => groupOverlapping(stream.labels, stream.blocks, stream.tenant));
  }

  /** Runs work under the tenant's `query_timeout`; once more when a worker was lost under it. */
  async #timed<T>(
    limits: Limits,
    context: QueryContext,
    stats: QueryStats,
    work: (session: ScanSession) => Promise<T>,
  ): Promise<T> {
    const timeout = limits.query_timeout > 0 ? AbortSignal.timeout(limits.query_timeout) : null;
    const signal = timeout ? AbortSignal.any([context.signal, timeout]) : context.signal;
    for (let attempt = 1; ; attempt++) {
      try {
        await using session = new ScanSession(this.#options.pool, stats, signal);
        return await work(session);
      } catch (error: unknown) {
        if (timeout?.aborted && !context.signal.aborted) throw new QueryTimeoutError();
        if (!(error instanceof WorkerLostError) || attempt > 1) throw error;
      }
    }
  }
}

function corruptWarning(blocks: number): string {
  return `${blocks} corrupt blocks were left out of this answer`;
}
