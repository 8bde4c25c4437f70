import {
  type AccumulatorPartial,
  evaluatePartials,
  type LogPartial,
  type MetricResult,
  setCount,
  transferablesOf,
} from '../../logql/aggregate/index.ts';
import type { LogPlan, MetricPlan, RangeScan } from '../../logql/plan/index.ts';
import type {
  LogScanResult,
  MeasureRequest,
  MeasureResult,
  MetricEvaluationResult,
  MetricFinishResult,
  MetricScanResult,
  ReadRequest,
  ScanLogRequest,
  ScanMetricRequest,
} from '../../storage/scan/messages.ts';
import { addScanStats } from '../../storage/scan/scan-stats.ts';
import type { TimeBuckets } from '../../storage/scan/time-buckets.ts';
import type { ScanUnit } from '../../storage/scan/units.ts';
import { WorkerLostError, type WorkerPool, type WorkOptions } from '../../storage/scan/worker-pool.ts';
import { ReadLease } from '../rpc/read-lease.ts';
import type { QueryStats } from './stats.ts';

/** Rows of lines, and their bytes, that go to a worker in one job: some milliseconds of work. */
const JOB_ROWS = 128 * 1024;
const JOB_BYTES = 8 * 1024 * 1024;
/** Smaller ones cost more in messages than they gain. */
const MIN_JOB_ROWS = 8 * 1024;
const MIN_JOB_BYTES = 1024 * 1024;
const JOBS_PER_WORKER = 8;
/**
 * Units in one job. Each head in a message is a shared buffer, and Node looks through all those before it for every one:
 * 100,000 streams of a row each in one message stopped the main thread for half a minute; 500 cost 2 ms.
 */
export const JOB_UNITS = 500;
/** Values that the main thread works out itself: some 5 ms. More would hold up everybody else's requests. */
const VALUES_AT_ONCE = 20_000;

let nextSession = 1;

/**
 * One query's work on the worker threads. Use with `await using`: leaving the block, also by an error, makes the
 * workers give up and forget what they hold for it.
 */
export class ScanSession {
  /** Of what the query looks at: ends when no worker works for it any more, also not in vain. */
  readonly lease = new ReadLease();
  readonly #pool: WorkerPool;
  readonly #stats: QueryStats;
  readonly #signal: AbortSignal;
  readonly #owner: string;
  readonly #id = nextSession++;
  readonly #cancel = new Int32Array(new SharedArrayBuffer(4));
  readonly #stop = new AbortController();
  /** Jobs that a worker has or may get. */
  #jobs = 0;
  #isOver = false;

  /** `signal`: the client hung up, or the query's time is over. `owner`: who takes turns with others on the workers. */
  constructor(pool: WorkerPool, stats: QueryStats, signal: AbortSignal, owner: string) {
    this.#pool = pool;
    this.#stats = stats;
    this.#owner = owner;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  /** Aborted when nobody waits for the query any more. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    Atomics.store(this.#cancel, 0, 1);
    this.#stop.abort(new Error('the query has ended'));
    this.#pool.broadcast({ kind: 'close', session: this.#id });
    this.#isOver = true;
    if (this.#jobs === 0) this.lease.end();
  }

  /** Scans units of a log query in one job. */
  async scanLog(plan: LogPlan, units: readonly ScanUnit[], beyondNs: bigint | null): Promise<readonly LogPartial[]> {
    const request: ScanLogRequest = {
      kind: 'scan_log',
      session: this.#id,
      plan,
      cancel: this.#cancel,
      units,
      beyondNs,
    };
    this.#stats.subqueries++;
    const result = await this.#run<LogScanResult>(request);
    addScanStats(this.#stats.scan, result.stats);
    return result.partials;
  }

  /**
   * Scans everything for a metric query; partials of each scan of the plan, one a worker that had part in it. Rejects with
   * WorkerLostError when one of these was replaced meanwhile.
   */
  async scanMetric(
    plan: MetricPlan,
    unitsOfScan: readonly (readonly ScanUnit[])[],
    maxSeries: number,
  ): Promise<(readonly AccumulatorPartial[])[]> {
    const jobs: ScanMetricRequest['parts'][] = [];
    unitsOfScan.forEach((units, scan) => {
      for (const part of divideUnits(units, ...jobSize(units, this.#pool.size))) jobs.push([{ scan, units: part }]);
    });
    const scans: readonly RangeScan[] = plan.scans;
    let next = 0;
    const workers = Math.min(this.#pool.size, jobs.length);
    const found = await Promise.all(
      Array.from({ length: workers }, async (_, worker) => {
        let done = 0;
        const drain = async () => {
          while (next < jobs.length) {
            const request: ScanMetricRequest = {
              kind: 'scan_metric',
              session: this.#id,
              scans,
              cancel: this.#cancel,
              maxSeries: seriesOfScanAreAnswer(plan) ? maxSeries : 0,
              parts: jobs[next++]!,
            };
            this.#stats.subqueries++;
            const result = await this.#run<MetricScanResult>(request, { worker });
            addScanStats(this.#stats.scan, result.stats);
            done++;
          }
        };
        await Promise.all([drain(), drain()]); // the next job's message is there when one ends
        const finish = { kind: 'finish_metric' as const, session: this.#id };
        const result = await this.#run<MetricFinishResult>(finish, { worker });
        // It may have died between two jobs, when it had nothing of ours in its hands but what it had added up.
        if (result.jobs !== done) throw new WorkerLostError('a worker thread ended that had a part of the answer');
        return result;
      }),
    );
    return scans.map((_, scan) => found.flatMap((result) => result.partials[scan] ?? []));
  }

  /** Counts rows and bytes of units in buckets; `add` is told of what is found, also several times of one pair. */
  async measure(
    units: readonly ScanUnit[],
    buckets: TimeBuckets,
    add: (unit: ScanUnit, bucket: number, rows: number, bytes: number) => void,
  ): Promise<void> {
    const jobs = divideUnits(units, ...jobSize(units, this.#pool.size));
    let next = 0;
    const drain = async () => {
      while (next < jobs.length) {
        const job = jobs[next++]!;
        const request: MeasureRequest = { kind: 'measure', cancel: this.#cancel, units: job, buckets };
        this.#stats.subqueries++;
        const found = await this.#run<MeasureResult>(request);
        addScanStats(this.#stats.scan, found.stats);
        for (let i = 0; i < found.units.length; i++) {
          add(job[found.units[i]!]!, found.buckets[i]!, found.rows[i]!, found.bytes[i]!);
        }
      }
    };
    const lanes = Math.min(2 * this.#pool.size, jobs.length); // the next job's message is there when one ends
    await Promise.all(Array.from({ length: lanes }, drain));
  }

  /** The answer of a metric query from its partials, which are used up. Throws what `evaluatePartials` throws. */
  async evaluate(
    plan: MetricPlan,
    partials: readonly (readonly AccumulatorPartial[])[],
    maxSeries: number,
  ): Promise<MetricResult> {
    if (valuesOf(plan, partials) <= VALUES_AT_ONCE) return evaluatePartials(plan, partials, maxSeries);
    const { result } = await this.#run<MetricEvaluationResult>(
      { kind: 'evaluate_metric', plan, partials, maxSeries },
      { transfer: partials.flat().flatMap(transferablesOf) },
    );
    return result;
  }

  #run<T>(request: ReadRequest, options: Pick<WorkOptions, 'worker' | 'transfer'> = {}): Promise<T> {
    this.#jobs++;
    const onLeft = () => {
      if (--this.#jobs === 0 && this.#isOver) this.lease.end();
    };
    return this.#pool.run<T>(request, { ...options, signal: this.#signal, owner: this.#owner, onLeft });
  }
}

/** Whether each series of the scan is one of the answer, so that a limit on those can end the scan. */
function seriesOfScanAreAnswer({ root, scans }: MetricPlan): boolean {
  return root.kind === 'range' && scans[root.scan]!.op !== 'absent_over_time';
}

/** Values that a metric query works out on the way: the larger of those that it merges and those of its windows. */
function valuesOf(plan: MetricPlan, partials: readonly (readonly AccumulatorPartial[])[]): number {
  let sum = 0;
  plan.scans.forEach((scan, i) => {
    for (const { groups, groupIndexes, a } of partials[i]!) {
      sum += Math.max(setCount(groups) * scan.times.count, groupIndexes.length, a.length);
    }
  });
  return sum;
}

/** Rows and bytes of a job: small enough that no worker has nothing left to do long before another. */
function jobSize(units: readonly ScanUnit[], workers: number): [rows: number, bytes: number] {
  let rows = 0;
  let bytes = 0;
  for (const unit of units) {
    rows += unit.rowCount;
    bytes += unit.lineBytes;
  }
  const jobs = workers * JOBS_PER_WORKER;
  return [
    Math.min(JOB_ROWS, Math.max(MIN_JOB_ROWS, Math.ceil(rows / jobs))),
    Math.min(JOB_BYTES, Math.max(MIN_JOB_BYTES, Math.ceil(bytes / jobs))),
  ];
}

/** Divides units into runs of about one job's work, in order. */
export function divideUnits(units: readonly ScanUnit[], rows = JOB_ROWS, bytes = JOB_BYTES): ScanUnit[][] {
  const parts: ScanUnit[][] = [];
  let part: ScanUnit[] = [];
  let partRows = 0;
  let partBytes = 0;
  for (const unit of units) {
    part.push(unit);
    partRows += unit.rowCount;
    partBytes += unit.lineBytes;
    if (partRows >= rows || partBytes >= bytes || part.length >= JOB_UNITS) {
      parts.push(part);
      part = [];
      partRows = 0;
      partBytes = 0;
    }
  }
  if (part.length > 0) parts.push(part);
  return parts;
}
