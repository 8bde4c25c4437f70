import { evaluatePlan, type Matrix, mergePartials } from '../../logql/aggregate/index.ts';
import { type MetricPlan, planQuery } from '../../logql/plan/index.ts';
import type { LogSelectorExpr, MetricExpr } from '../../logql/syntax/ast.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { bytesOf } from './byte-limits.ts';
import { type LogQueryParams, runLogQuery, unitsOfLog } from './log-query.ts';
import type { LogEntry } from './log-response.ts';
import type { Bounds } from './params.ts';
import { PartFingerprints } from './part-fingerprint.ts';
import { type Querier, type QueryContext, warningsOf } from './querier.ts';
import type { Sources } from './select.ts';
import { QueryStats } from './stats.ts';

/*
 * A query frontend divides range queries by time into parts, each of which one querier answers. The frontend has checked
 * the whole query: here nothing is refused, only read. What the rules of a plan need to know of the whole comes along.
 */

/** Who asks for a part. Of the context, tenants and signal count, and for `bytes` the header of limits. */
export interface PartAsker {
  readonly context: QueryContext;
  /** 0: no bound. */
  readonly timeoutMs: number;
}

/** Entries of a log query with `startNs <= ts < endNs`. */
export interface LogPart extends LogQueryParams {
  readonly query: string;
  /** Whether the fingerprint of what was read is asked for. */
  readonly wantsFingerprint: boolean;
}

/** Some evaluation times of a metric range query, one step apart. */
export interface MetricPart extends Bounds {
  readonly query: string;
  /** First and last of the times. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly stepNs: bigint;
  /** `split_queries_by_interval`. */
  readonly splitNs: bigint;
  /** 0: no limit. */
  readonly maxSeries: number;
  readonly wantsFingerprint: boolean;
}

/** A whole query, whose bytes are to be known. Log: as in `LogPart`; metric: as in `MetricPart`. */
export interface WholeRange extends Bounds {
  readonly query: string;
  readonly stepNs: bigint;
}

/** Parts of one query of which the fingerprints are asked for. */
export interface FingerprintRequest {
  readonly query: string;
  readonly stepNs: bigint;
  readonly ranges: readonly Bounds[];
}

interface PartAnswer {
  readonly stats: QueryStats;
  readonly warnings: readonly string[];
  /** Null when it was not asked for, or when the answer may change without it changing. */
  readonly fingerprint: string | null;
}

export interface LogPartAnswer extends PartAnswer {
  /** In the order of the direction. */
  readonly entries: readonly LogEntry[];
}

export interface MetricPartAnswer extends PartAnswer {
  readonly matrix: Matrix;
}

export interface BytesAnswer {
  /** What the query would read. */
  readonly bytes: number;
  /** What the query would read that `X-Loki-Query-Limits-Context` names; 0 for none. */
  readonly contextBytes: number;
}

/** Answers parts of queries: a querier in the process, or some querier that a frontend finds. Rejects as `Querier`. */
export interface PartRunner {
  log(part: LogPart, asker: PartAsker): Promise<LogPartAnswer>;
  metric(part: MetricPart, asker: PartAsker): Promise<MetricPartAnswer>;
  bytes(whole: WholeRange, asker: PartAsker): Promise<BytesAnswer>;
  /** In the order of the ranges; null where there is none (`PartFingerprints`). */
  fingerprints(request: FingerprintRequest, asker: PartAsker): Promise<readonly (string | null)[]>;
}

/** Answers parts by a querier of this process. */
export class QuerierParts implements PartRunner {
  readonly #querier: Querier;
  readonly #sources: Sources;
  readonly #fingerprints: PartFingerprints;

  constructor(querier: Querier, sources: Sources) {
    this.#querier = querier;
    this.#sources = sources;
    this.#fingerprints = new PartFingerprints(sources);
  }

  async log(part: LogPart, { context, timeoutMs }: PartAsker): Promise<LogPartAnswer> {
    const expr = parseQuery(part.query) as LogSelectorExpr;
    const stats = new QueryStats();
    const fingerprint = this.#watched(part.wantsFingerprint, { ...part, stepNs: 0n }, context);
    await fingerprint.before;
    const entries = await this.#querier.run(timeoutMs, context, stats, (session) =>
      runLogQuery(this.#sources, session, expr, part, context.tenants, stats),
    );
    return { entries, stats, warnings: warningsOf(stats), fingerprint: await fingerprint.after() };
  }

  async metric(part: MetricPart, { context, timeoutMs }: PartAsker): Promise<MetricPartAnswer> {
    const plan = metricPlan(part);
    const stats = new QueryStats();
    const fingerprint = this.#watched(part.wantsFingerprint, part, context);
    await fingerprint.before;
    const result = await this.#querier.run(timeoutMs, context, stats, async (session) => {
      const units = await this.#querier.unitsOf(plan, context.tenants, stats, session);
      const partials = await session.scanMetric(plan, units, part.maxSeries);
      return session.evaluate(plan, partials, part.maxSeries);
    });
    if (result.kind !== 'matrix') throw new TypeError(`a range query was answered by a ${result.kind}`);
    const { matrix } = result;
    return { matrix, stats, warnings: warningsOf(stats), fingerprint: await fingerprint.after() };
  }

  async bytes(whole: WholeRange, { context, timeoutMs }: PartAsker): Promise<BytesAnswer> {
    const expr = parseQuery(whole.query);
    const stats = new QueryStats();
    return this.#querier.run(timeoutMs, context, stats, async (session) => {
      const units =
        expr.kind === 'log'
          ? await unitsOfLog(this.#sources, expr, whole, context.tenants, stats, session)
          : (
              await this.#querier.unitsOf(metricPlan({ ...whole, splitNs: 0n }), context.tenants, stats, session)
            ).flat();
      return { bytes: bytesOf(units), contextBytes: await this.#querier.bytesOfContext(context) };
    });
  }

  fingerprints(request: FingerprintRequest, { context }: PartAsker): Promise<readonly (string | null)[]> {
    return this.#fingerprints.ofRanges(request, context);
  }

  /** The fingerprint of a range when it is the same before and after its rows were read. */
  #watched(wanted: boolean, part: WholeRange, context: QueryContext) {
    const take = async (): Promise<string | null> => {
      if (!wanted) return null;
      const { query, stepNs, startNs, endNs } = part;
      const [found] = await this.#fingerprints.ofRanges({ query, stepNs, ranges: [{ startNs, endNs }] }, context);
      return found!;
    };
    const before = take();
    return {
      before,
      after: async () => {
        const first = await before;
        return first !== null && (await take()) === first ? first : null;
      },
    };
  }
}

/** The answer of a metric query over nothing: of a range that is too old to be looked at, or a query without a selector. */
export function metricOfNothing(part: Omit<MetricPart, 'wantsFingerprint'>): Matrix {
  const plan = metricPlan(part);
  const result = evaluatePlan(
    plan,
    plan.scans.map((scan) => mergePartials(scan, [])),
    part.maxSeries,
  );
  if (result.kind !== 'matrix') throw new TypeError(`a range query was answered by a ${result.kind}`);
  return result.matrix;
}

/** `parsed`: the query, where it is at hand. Throws what planning throws. */
export function metricPlan(
  { query, startNs, endNs, stepNs, splitNs }: Omit<MetricPart, 'maxSeries' | 'wantsFingerprint'>,
  parsed?: MetricExpr,
): MetricPlan {
  return planQuery(parsed ?? parseQuery(query), {
    startNs,
    endNs,
    stepNs,
    intervalNs: 0n,
    limit: 0,
    direction: 'backward',
    instant: false,
    rangeSplitNs: splitNs,
  }) as MetricPlan;
}
