import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type MetricPlan, planQuery } from '../../logql/plan/index.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import type { WorkerRequest } from '../../storage/scan/messages.ts';
import { newScanStats } from '../../storage/scan/scan-stats.ts';
import type { ScanUnit } from '../../storage/scan/units.ts';
import { WorkerLostError, type WorkerPool, type WorkOptions } from '../../storage/scan/worker-pool.ts';
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
