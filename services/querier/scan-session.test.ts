import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type MetricPlan, planQuery } from '../../logql/plan/index.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import type { WorkerRequest } from '../../storage/scan/messages.ts';
import { newScanStats } from '../../storage/scan/scan-stats.ts';
import type { TimeBuckets } from '../../storage/scan/time-buckets.ts';
import type { ScanUnit } from '../../storage/scan/units.ts';
import { WorkerLostError, type WorkerPool, type WorkOptions } from '../../storage/scan/worker-pool.ts';
import type { ReadLease } from '../rpc/read-lease.ts';
import { divideUnits, JOB_UNITS, ScanSession } from './scan-session.ts';
import { QueryStats } from './stats.ts';

const unit = (rowCount: number, lineBytes: number): ScanUnit => ({
  labels: [],
  rank: 0,
  tenant: null,
  minNs: 0n,
  maxNs: 1n,
  rowCount,
  lineBytes,
  blocks: [],
});
const sizes = (parts: readonly (readonly ScanUnit[])[]): number[] => parts.map((part) => part.length);

describe('divideUnits', () => {
  it('ends a job with the unit that makes it long enough, by rows or by bytes', () => {
    assert.deepEqual(sizes(divideUnits([unit(5, 1), unit(5, 1), unit(5, 1)], 10, 100)), [2, 1]);
    assert.deepEqual(sizes(divideUnits([unit(1, 60), unit(1, 60), unit(1, 200)], 10, 100)), [2, 1]);
    assert.deepEqual(sizes(divideUnits([])), []);
  });

  it('sends no more units in one message than a worker can be handed at once', () => {
    const units = Array.from({ length: 2 * JOB_UNITS + 1 }, () => unit(1, 1));
    assert.deepEqual(sizes(divideUnits(units)), [JOB_UNITS, JOB_UNITS, 1]);
    assert.deepEqual(divideUnits(units).flat(), units);
  });
});

describe('the lease of a session', () => {
  const never = new AbortController().signal;
  /** A worker that stays at its jobs until it is told otherwise, as one does that was given up. */
  function slowPool() {
    const left: (() => void)[] = [];
    const run = (_: WorkerRequest, { signal, onLeft }: WorkOptions): Promise<unknown> => {
      left.push(onLeft!);
      return new Promise((_resolve, reject) => {
        signal!.addEventListener('abort', () => reject(signal!.reason as Error), { once: true });
      });
    };
    return { pool: { size: 2, run, broadcast: () => {} } as unknown as WorkerPool, left };
  }

  it('ends when the last worker has left its job, long after the query', async () => {
    const { pool, left } = slowPool();
    const ended: string[] = [];
    const buckets = { startsNs: [0n], endsNs: [9n] } as unknown as TimeBuckets;
    let measured: Promise<unknown>;
    {
      await using session = new ScanSession(pool, new QueryStats(), never, 'a');
      session.lease.onEnd(() => ended.push('lent'));
      measured = Promise.all([1, 2].map(() => session.measure([unit(1, 1)], buckets, () => {})));
      measured.catch(() => {}); // looked at below
    }
    await assert.rejects(measured, { message: 'the query has ended' });
    left[0]!();
    assert.deepEqual(ended, []);
    left[1]!();
    assert.deepEqual(ended, ['lent']);
  });

  it('ends with a query that sent no job, also by an error, and lends nothing afterwards', async () => {
    const ended: string[] = [];
    let lease: ReadLease | undefined;
    const query = async (): Promise<void> => {
      await using session = new ScanSession(slowPool().pool, new QueryStats(), never, 'a');
      lease = session.lease;
      lease.onEnd(() => ended.push('lent'));
      throw new Error('too many bytes');
    };
    await assert.rejects(query(), { message: 'too many bytes' });
    assert.deepEqual(ended, ['lent']);
    lease!.onEnd(() => ended.push('too late'));
    assert.deepEqual(ended, ['lent', 'too late']);
  });
});

describe('a metric query', () => {
  /** Two workers; the first is replaced after so many jobs of the session. */
  function poolOf(replacedAfter: number): WorkerPool {
    const done = [0, 0];
    let jobs = 0;
    const run = async (request: WorkerRequest, { worker, onLeft }: WorkOptions): Promise<unknown> => {
      onLeft!();
      if (request.kind === 'finish_metric') return { partials: [[]], jobs: done[worker!] };
      done[worker!]!++;
      if (++jobs === replacedAfter) done[0] = 0;
      return { stats: newScanStats() };
    };
    return { size: 2, run, broadcast: () => {} } as unknown as WorkerPool;
  }

  it('does not go without what a worker had added up that died between two jobs', async () => {
    const query = 'count_over_time({app="a"}[10s])';
    const times = { startNs: 0n, endNs: 9n, stepNs: 1n, intervalNs: 0n, limit: 1, direction: 'forward' as const };
    const plan = planQuery(parseQuery(query), { ...times, instant: false }) as MetricPlan;
    const units = Array.from({ length: 9 }, () => unit(1_000_000, 1));
    const scan = async (pool: WorkerPool) => {
      await using session = new ScanSession(pool, new QueryStats(), new AbortController().signal, 'a');
      return session.scanMetric(plan, [units], 0);
    };
    assert.deepEqual(await scan(poolOf(99)), [[]]);
    await assert.rejects(scan(poolOf(9)), WorkerLostError);
    await assert.rejects(scan(poolOf(3)), WorkerLostError);
  });
});
