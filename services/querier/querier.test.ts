import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Registry } from 'prom-client';
import type { EncodedBlock } from '../../storage/block/types.ts';
import { systemClock } from '../../storage/host/clock.ts';
import { type LogFields, silentLogger } from '../../storage/host/logger.ts';
import { SegmentCatalog } from '../../storage/index/index.ts';
import { FilesystemStore } from '../../storage/objectstore/index.ts';
import { WorkerPool } from '../../storage/scan/worker-pool.ts';
import { defaultLimits, type Limits } from '../config/limits.ts';
import type { RecentStream } from '../rpc/ingester.ts';
import { ingesterOf } from '../rpc/testing/ingester-of.ts';
import { onlyIngester } from './ingester-set.ts';
import { Querier, type QueryContext } from './querier.ts';

const directory = mkdtempSync(join(tmpdir(), 'loptr-querier-'));
const objectStore = { kind: 'filesystem' as const, directory };
let pool: WorkerPool;
before(() => {
  pool = new WorkerPool({ size: 1, settings: { objectStore }, logger: silentLogger });
});
after(async () => {
  await pool.stop();
  rmSync(directory, { recursive: true, force: true });
});

const damaged: EncodedBlock = {
  bytes: Buffer.from('this is no block'),
  stats: { minNs: 5n, maxNs: 5n, rowCount: 1, lineBytes: 1, metadataBytes: 0, encodedBytes: 16 },
  filter: new Uint8Array(0),
};
const recentOf = (blocks: EncodedBlock[]): RecentStream[] => [{ labels: [['app', 'a']], blocks, heads: [] }];

function setup(recent: () => Promise<RecentStream[]>, limits: Partial<Limits> = {}) {
  const logged: LogFields[] = [];
  const registry = new Registry();
  const ingester = ingesterOf(recent);
  const querier = new Querier({
    sources: {
      catalog: new SegmentCatalog(new FilesystemStore(objectStore), silentLogger),
      recent: onlyIngester(ingester, systemClock),
    },
    pool,
    limits: { for: () => ({ ...defaultLimits, ...limits }) },
    clock: systemClock,
    logger: { ...silentLogger, info: (_, fields) => void logged.push(fields!) },
    registry,
    maxOutstandingPerTenant: 2,
  });
  return { querier, logged, registry };
}

const context = (tenant = 'a', signal = new AbortController().signal): QueryContext => ({
  tenants: { ids: [tenant], federated: false },
  signal,
  partialSeries: false,
});
const params = { query: '{app="a"} |= "x"', startNs: 0n, endNs: 10n, limit: 7, direction: 'forward' as const };
const range = { ...params, stepNs: 1_000_000_000n, intervalNs: 0n };

async function metricValue(registry: Registry, name: string): Promise<number> {
  const metric = await registry.getSingleMetric(name)!.get();
  return metric.values[0]!.value;
}

describe('Querier', () => {
  it('logs and counts each query when it has ended, and leaves out text that is no query', async () => {
    const { querier, logged, registry } = setup(async () => []);
    await querier.range(range, context());
    await querier.instant({ ...params, query: 'sum(rate({app="a"}[1m]))', timeNs: 10n }, context());
    await assert.rejects(querier.instant({ ...params, timeNs: 10n }, context()), { code: 'bad_request' });
    await assert.rejects(querier.range({ ...range, query: '{' }, context()), { code: 'parse_error' });
    assert.deepEqual(
      logged.map((line) => [line['query'], line['query_type'], line['range_type'], line['status'], line['org_id']]),
      [
        ['{app="a"} |= "x"', 'filter', 'range', 200, 'a'],
        ['sum(rate({app="a"}[1m]))', 'metric', 'instant', 200, 'a'],
        ['{app="a"} |= "x"', 'filter', 'instant', 400, 'a'],
      ],
    );
    assert.deepEqual([logged[0]!['step'], logged[0]!['limit'], logged[0]!['latency']], ['1s', 7, 'fast']);
    const text = await registry.metrics();
    assert.match(text, /^logql_query_duration_seconds_count\{query_type="instant"\} 2$/m);
    assert.match(
      text,
      /^loki_logql_querystats_latency_seconds_count\{status_code="400",type="filter",range="instant"\} 1$/m,
    );
  });

  it('says in any answer that a block was left out, and counts it', async () => {
    const { querier, registry } = setup(async () => recentOf([damaged]));
    const warnings = ['1 corrupt blocks were left out of this answer'];
    const lines = await querier.range(range, context());
    assert.deepEqual([lines.kind === 'streams' && lines.entries, lines.warnings], [[], warnings]);
    const counted = await querier.instant(
      { ...params, query: 'bytes_over_time({app="a"}[1m])', timeNs: 10n },
      context(),
    );
    assert.deepEqual(counted.warnings, warnings);
    assert.equal(await metricValue(registry, 'loptr_querier_corrupt_blocks_total'), 2);
  });

  it('gives up as soon as the client is gone or the time is over, whatever it waits for', async () => {
    const never = () => new Promise<RecentStream[]>(() => {});
    const { querier, registry } = setup(never, { query_timeout: 1 });
    await assert.rejects(querier.range(range, context()), { code: 'query_timeout' });
    const client = new AbortController();
    const asked = setup(never);
    const answer = asked.querier.range(range, context('a', client.signal));
    client.abort(new Error('gone'));
    await assert.rejects(answer, { message: 'gone' });
    assert.equal(asked.logged[0]!['status'], 499);
    assert.equal(await metricValue(asked.registry, 'loptr_querier_cancelled_queries_total'), 1);
    assert.equal(await metricValue(registry, 'loptr_querier_cancelled_queries_total'), 0);
  });

  it('refuses what a tenant asks beyond its bound, not what others ask, until something has ended', async () => {
    const gate = Promise.withResolvers<RecentStream[]>();
    const { querier, logged, registry } = setup(() => gate.promise);
    const waiting = [querier.range(range, context()), querier.range(range, context())];
    await assert.rejects(querier.range(range, context()), { code: 'too_many_outstanding' });
    waiting.push(querier.range(range, context('b')));
    assert.equal(await metricValue(registry, 'loki_query_frontend_queries_in_progress'), 3);
    gate.resolve([]);
    await Promise.all(waiting);
    await querier.range(range, context());
    assert.deepEqual(
      logged.map((line) => line['status']),
      [429, 200, 200, 200, 200],
    );
    assert.equal(await metricValue(registry, 'loki_query_frontend_queries_in_progress'), 0);
  });
});
