import { LogMerger } from '../../logql/aggregate/index.ts';
import { conditionOf, type LogPlan, planQuery } from '../../logql/plan/index.ts';
import type { LogSelectorExpr } from '../../logql/syntax/ast.ts';
import { groupOverlapping, type ScanUnit } from '../../storage/scan/units.ts';
import type { Tenants } from '../http/types.ts';
import type { LogEntry } from './log-response.ts';
import type { Bounds, Direction } from './params.ts';
import { JOB_UNITS, type ScanSession } from './scan-session.ts';
import { type Reader, type Sources, selectStreams } from './select.ts';
import type { QueryStats } from './stats.ts';
import { UnitQueue } from './unit-queue.ts';

/** Rows of the first jobs of a query: where the limit is reached soon, little is read for nothing. */
const FIRST_JOB_ROWS = 16 * 1024;
const MAX_JOB_ROWS = 128 * 1024;
const JOBS_IN_FLIGHT = 4;
/** While no job has answered: what it finds may bound what others have to look at, or end the query. */
const FIRST_JOBS = 2;
/** Shorter than elsewhere: a limit is often reached within the first of them. */
const PIECE_BYTES = { least: 2 * 1024 * 1024, most: 16 * 1024 * 1024 };

export interface LogQueryParams extends Bounds {
  readonly limit: number;
  readonly direction: Direction;
  readonly intervalNs: bigint;
  /** `split_queries_by_interval`: an interval between entries starts anew in each such period, as in Loki. */
  readonly periodNs: bigint;
}

/**
 * The entries of a log query in the order of its direction, at most `limit`. `onSelected` sees what will be read before
 * it is, and ends the query by throwing.
 */
export async function runLogQuery(
  sources: Sources,
  session: ScanSession,
  expr: LogSelectorExpr,
  params: LogQueryParams,
  tenants: Tenants,
  stats: QueryStats,
  onSelected?: (units: readonly ScanUnit[]) => void,
): Promise<readonly LogEntry[]> {
  const { startNs, endNs, intervalNs, periodNs, limit, direction } = params;
  if (startNs >= endNs) return [];
  const units = await unitsOfLog(sources, expr, params, tenants, stats, session);
  onSelected?.(units);
  const plan = planQuery(expr, {
    startNs,
    endNs,
    stepNs: 0n,
    intervalNs,
    logSplitNs: periodNs,
    limit,
    direction,
    instant: false,
  });
  return scanUnits(session, plan as LogPlan, units);
}

/** What a log query would read. */
export async function unitsOfLog(
  sources: Sources,
  expr: LogSelectorExpr,
  { startNs, endNs }: Bounds,
  tenants: Tenants,
  stats: QueryStats,
  reader: Reader,
): Promise<ScanUnit[]> {
  if (startNs >= endNs) return [];
  const selection = {
    tenants,
    matchers: expr.matchers,
    tenantMatchers: 'choose' as const,
    startNs,
    endNs: endNs - 1n,
    condition: conditionOf(expr.stages),
  };
  const streams = await selectStreams(sources, selection, stats, reader);
  return streams.flatMap((stream) =>
    groupOverlapping(stream.labels, stream.blocks, stream.tenant, stream.deletes, PIECE_BYTES),
  );
}

/** Sends units to the workers, the ones nearest to the start of the answer first, until no other can matter. */
async function scanUnits(session: ScanSession, plan: LogPlan, units: readonly ScanUnit[]): Promise<LogEntry[]> {
  const backward = plan.direction === 'backward';
  const inRange = units.filter((unit) => unit.maxNs >= plan.startNs && unit.minNs < plan.endNs);
  const queue = new UnitQueue(inRange, plan.direction);
  const merger = new LogMerger(plan);
  let jobRows = FIRST_JOB_ROWS;
  let sentRows = 0;
  let answeredRows = 0;
  const outOfReach = (unit: ScanUnit, beyondNs: bigint | null) =>
    beyondNs !== null && (backward ? unit.maxNs < beyondNs : unit.minNs > beyondNs);
  const takeJob = (beyondNs: bigint | null): ScanUnit[] => {
    const job: ScanUnit[] = [];
    let rows = 0;
    while (rows < jobRows && job.length < JOB_UNITS) {
      const unit = queue.first;
      if (unit === undefined) break;
      if (outOfReach(unit, beyondNs)) {
        queue.clear(); // those behind it are even farther
        break;
      }
      job.push(unit);
      rows += unit.rowCount;
      queue.removeFirst();
    }
    sentRows += rows;
    return job;
  };
  /** Grows, but not beyond what is still to be expected: when the answer is full, what is under way is done for nothing. */
  const nextJobRows = (): number => {
    const grown = Math.min(jobRows * 2, MAX_JOB_ROWS);
    if (merger.count === 0 || plan.intervalNs > 0n) return grown;
    const left = (answeredRows * plan.limit) / merger.count - sentRows;
    return Math.min(grown, Math.max(FIRST_JOB_ROWS, left / JOBS_IN_FLIGHT));
  };
  const drain = async (onAnswer: () => void) => {
    for (;;) {
      const beyondNs = merger.beyondNs;
      const job = takeJob(beyondNs);
      if (job.length === 0) return onAnswer();
      jobRows = nextJobRows();
      for (const partial of await session.scanLog(plan, job, beyondNs)) merger.add(partial);
      for (const { rowCount } of job) answeredRows += rowCount;
      onAnswer();
    }
  };
  // Where no stage drops a row, the first job is likely to fill the answer.
  const first = plan.stages.length === 0 ? 1 : FIRST_JOBS;
  const answered = Promise.withResolvers<void>();
  const lane = async (number: number) => {
    if (number >= first) await answered.promise;
    await drain(answered.resolve);
  };
  await Promise.all(Array.from({ length: JOBS_IN_FLIGHT }, (_, number) => lane(number)));
  const result = merger.finish();
  return result.lines.map((line, i) => ({
    timestampNs: result.timestampsNs[i]!,
    group: result.groups[result.groupIndexes[i]!]!,
    line,
  }));
}
