import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import type { Matcher } from '../../logql/syntax/ast.ts';
import { defaultBlockLimits, encodeBlocks } from '../../storage/block/index.ts';
import { headOf, type TestRow } from '../../storage/block/testing/heads.ts';
import { systemClock } from '../../storage/host/clock.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { SegmentCatalog } from '../../storage/index/index.ts';
import { FilesystemStore } from '../../storage/objectstore/index.ts';
import { WorkerPool } from '../../storage/scan/worker-pool.ts';
import { defaultLimits, type Limits } from '../config/limits.ts';
import type { IngesterClient, RecentStream } from '../rpc/ingester.ts';
import { onlyIngester } from './ingester-set.ts';
import { Querier, type QueryContext } from './querier.ts';
import { Sizes } from './sizes.ts';
import { QueryStats } from './stats.ts';
import { volumeBuckets } from './volume.ts';

const directory = mkdtempSync(join(tmpdir(), 'loptr-sizes-'));
const objectStore = { kind: 'filesystem' as const, directory };
let pool: WorkerPool;
before(() => {
  pool = new WorkerPool({ size: 2, settings: { objectStore }, logger: silentLogger });
});
after(async () => {
  await pool.stop();
  rmSync(directory, { recursive: true, force: true });
});

const matchers: Matcher[] = [{ kind: 'matcher', name: 'app', op: '=~', value: '.+' }];
const context: QueryContext = {
  tenants: { ids: ['a'], federated: false },
  signal: new AbortController().signal,
  partialSeries: false,
};
const byApp = { limit: 100, aggregateBy: 'series' as const, targetLabels: ['app'] };

function sizesOver(recent: () => Promise<RecentStream[]>, limits: Partial<Limits> = {}): Sizes {
  const ingester: Partial<IngesterClient> = { id: 'i', recent };
  const querier = new Querier({
    sources: {
      catalog: new SegmentCatalog(new FilesystemStore(objectStore), silentLogger),
      recent: onlyIngester(ingester as IngesterClient, systemClock),
    },
    pool,
    limits: { for: () => ({ ...defaultLimits, max_query_length: 0, ...limits }) },
    clock: systemClock,
    logger: silentLogger,
    registry: new Registry(),
    maxOutstandingPerTenant: 2,
  });
  return new Sizes({ querier, clock: systemClock });
}

const row: fc.Arbitrary<TestRow> = fc.record({
  ns: fc.bigInt(0n, 60n),
  line: fc.string({ maxLength: 9 }),
  metadata: fc.constantFrom([], [['id', 'é']], [['detected_level', 'info'] as const]) as fc.Arbitrary<
    [string, string][]
  >,
});
const rows = fc.array(row, { minLength: 1, maxLength: 25 });
/** Of each stream: some rows that were cut into blocks, and some that were not. */
const streams = fc.array(fc.record({ cut: rows, head: rows }), { minLength: 1, maxLength: 3 });

const sizeOf = ({ line, metadata }: TestRow): number => line.length + (metadata?.[0]?.[0] === 'id' ? 4 : 0);
const distinct = (list: readonly TestRow[]): TestRow[] => [
  ...new Map(list.map((r) => [`${r.ns} ${JSON.stringify([r.line, r.metadata])}`, r])).values(),
];
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe('Sizes', () => {
  it('are those of the rows in any range, however blocks lie in it', async () => {
    await fc.assert(
      fc.asyncProperty(
        streams,
        fc.bigInt(0n, 60n),
        fc.bigInt(0n, 60n),
        fc.bigInt(1n, 30n),
        async (given, a, b, step) => {
          const bounds = a < b ? { startNs: a, endNs: b } : { startNs: b, endNs: a };
          const recent = given.map(({ cut, head }, i): RecentStream => {
            const blocks = encodeBlocks(headOf(cut), { ...defaultBlockLimits, maxRows: 4 });
            return { labels: [['app', `${i}`]], blocks, heads: [headOf(head)] };
          });
          const sizes = sizesOver(async () => recent);
          const inRange = given.map(({ cut, head }) =>
            distinct([...cut, ...head]).filter(({ ns }) => ns >= bounds.startNs && ns <= bounds.endNs),
          );

          const stats = await sizes.indexStats(bounds, matchers, context);
          assert.equal(stats.streams, inRange.filter((list) => list.length > 0).length);
          assert.equal(stats.entries, inRange.flat().length);
          assert.equal(stats.bytes, sum(inRange.flat().map(sizeOf)));
          assert.ok(stats.chunks >= stats.streams);

          const buckets = volumeBuckets(bounds, step);
          const volumes = await sizes.volume(buckets, matchers, byApp, context, new QueryStats());
          const found = new Map(volumes.map(({ metric, bytes }) => [metric[0]![1], bytes]));
          inRange.forEach((list, i) => {
            const expected = buckets.map(({ startNs, endNs }) =>
              sum(list.filter(({ ns }) => ns >= startNs && ns <= endNs).map(sizeOf)),
            );
            assert.deepEqual(found.get(`${i}`) ?? buckets.map(() => 0), expected);
            assert.equal(sum(expected), sum(list.map(sizeOf)), 'no row lies between two buckets');
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('of blocks that lie in the range are known without opening them', async () => {
    const blocks = encodeBlocks(headOf([{ ns: 5n, line: 'abc', metadata: [['id', '1']] }]));
    const unreadable = blocks.map((block) => ({ ...block, bytes: Buffer.from('this is no block') }));
    const sizes = sizesOver(async () => [{ labels: [['app', 'a']], blocks: unreadable, heads: [] }]);
    assert.deepEqual(await sizes.indexStats({ startNs: 5n, endNs: 5n }, matchers, context), {
      streams: 1,
      chunks: 1,
      bytes: 6,
      entries: 1,
    });
  });

  it('are refused as queries are: when their time is over, and when there are too many', async () => {
    const gate = Promise.withResolvers<RecentStream[]>();
    const bounds = { startNs: 0n, endNs: 9n };
    const hurried = sizesOver(() => gate.promise, { query_timeout: 1 });
    await assert.rejects(hurried.indexStats(bounds, matchers, context), { code: 'query_timeout' });
    const busy = sizesOver(() => gate.promise);
    const volume = () => busy.volume([bounds], matchers, byApp, context, new QueryStats());
    const waiting = [volume(), volume()];
    await assert.rejects(volume(), { code: 'too_many_outstanding' });
    gate.resolve([]);
    assert.deepEqual(await Promise.all(waiting), [[], []]);
    const disabled = sizesOver(async () => [], { volume_enabled: false });
    await assert.rejects(disabled.volume([bounds], matchers, byApp, context, new QueryStats()), {
      code: 'volume_disabled',
    });
  });
});
