import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { encodeBlocks } from '../../storage/block/index.ts';
import type { TestRow } from '../../storage/block/testing/heads.ts';
import { headOf } from '../../storage/block/testing/heads.ts';
import { findOverlaps, mergeSegments } from '../../storage/compaction/index.ts';
import { MemoryStore } from '../../test/faults/memory-store.ts';
import { defaultLimits } from '../config/limits.ts';
import type { RecentStream } from '../rpc/ingester.ts';
import { ingesterOf } from '../rpc/testing/ingester-of.ts';
import { expiryOf } from './retention.ts';
import type { SegmentMerger } from './service.ts';
import { flush, HOUR_MS, NOON_MS, rowsIn, startOver, TestClock } from './testing/setup.ts';

const MINUTE_MS = 60_000;
const ns = (ms: number): bigint => BigInt(ms) * 1_000_000n;
const rowsAt = (fromMs: number, count: number, text = 'line'): TestRow[] =>
  Array.from({ length: count }, (_, i) => ({ ns: ns(fromMs + i * 1000), line: `${text} ${i}` }));

/** Flushes six times, ten minutes apart; both streams have rows in each. */
async function sixFlushes(store: MemoryStore, clock: TestClock): Promise<void> {
  for (let i = 0; i < 6; i++) {
    clock.ms = NOON_MS + i * 10 * MINUTE_MS;
    await flush(store, clock, [
      [{ app: 'web' }, rowsAt(clock.ms - 5000, 5, `web ${i}`)],
      [{ app: 'db' }, [{ ns: ns(clock.ms), line: `db ${i}`, metadata: [['trace', `t${i}`]] }]],
    ]);
  }
  clock.ms += 5 * MINUTE_MS;
}

describe('Compactor', () => {
  it('makes one segment of many small ones and keeps every row', async () => {
    const store = new MemoryStore();
    const clock = new TestClock();
    await sixFlushes(store, clock);
    const { catalog, compactor } = await startOver(store, clock);
    const before = await rowsIn(catalog, store);
    assert.equal(before.length, 36);
    await compactor.run();
    assert.equal(catalog.segmentCount, 1);
    assert.deepEqual(await rowsIn(catalog, store), before);
  });

  it('keeps replaced objects for as long as a query may read them, then removes them', async () => {
    const store = new MemoryStore();
    const clock = new TestClock();
    await sixFlushes(store, clock);
    const { catalog, compactor } = await startOver(store, clock, { config: { retentionDeleteDelayMs: 0 } });
    const segments = () => [...store.objects.keys()].filter((key) => key.startsWith('segments/'));
    await compactor.run();
    assert.equal(segments().length, 7);
    clock.ms += 15 * MINUTE_MS;
    await compactor.run();
    assert.equal(segments().length, 7, 'an ingester names them for a quarter of an hour, query_timeout is a minute');
    clock.ms += 2 * MINUTE_MS;
    await compactor.run();
    assert.deepEqual(
      segments(),
      catalog.segments('team-a').map(({ key }) => key),
    );
  });

  it('counts a row once that several segments hold', async () => {
    const store = new MemoryStore();
    const clock = new TestClock();
    for (let i = 0; i < 4; i++) {
      await flush(store, clock, [[{ app: 'web' }, rowsAt(NOON_MS, 100)]]);
      clock.ms += MINUTE_MS;
    }
    clock.ms += 2 * MINUTE_MS;
    const { catalog, compactor } = await startOver(store, clock);
    assert.equal((await rowsIn(catalog, store)).length, 400);
    await compactor.run();
    assert.equal((await rowsIn(catalog, store)).length, 100);
  });

  it('leaves fresh segments and few of them alone', async () => {
    const store = new MemoryStore();
    const clock = new TestClock();
    await sixFlushes(store, clock);
    clock.ms = NOON_MS + 50 * MINUTE_MS + 1000;
    const { catalog, compactor } = await startOver(store, clock);
    await compactor.run();
    assert.equal(catalog.segmentCount, 2, 'the last flush is a second old');
    await compactor.run();
    assert.equal(catalog.segmentCount, 2);
  });

  it('leaves a corrupt segment as it is and goes on with others', async () => {
    const store = new MemoryStore();
    const clock = new TestClock();
    await sixFlushes(store, clock);
    const [first] = [...store.objects.keys()];
    store.objects.get(first!)!.fill(0);
    for (let i = 0; i < 4; i++) await flush(store, clock, [[{ app: 'web' }, rowsAt(NOON_MS + i, 3)]], 'team-b');
    clock.ms += 2 * MINUTE_MS;
    const config = { retentionEnabled: true, cancelPeriodMs: 0, intervalMs: 1 };
    const { catalog, compactor, requests } = await startOver(store, clock, { config });
    await compactor.run();
    assert.equal(catalog.segments('team-a').length, 6);
    assert.equal(catalog.segments('team-b').length, 1);
    assert.ok(store.objects.has(first!));
    clock.ms += 1000;
    await requests.add({ tenant: 'team-a', query: '{app="web"} |= "web 5"', startMs: NOON_MS, endMs: clock.ms });
    await compactor.run();
    assert.equal(requests.pending('team-a').length, 0, 'its neighbours are still rewritten');
  });

  it('drops segments that are older than the retention period, and only with retention enabled', async () => {
    const store = new MemoryStore();
    const clock = new TestClock();
    await flush(store, clock, [[{ app: 'old' }, rowsAt(NOON_MS - 60_000, 3)]]);
    clock.ms += 30 * HOUR_MS;
    await flush(store, clock, [[{ app: 'new' }, rowsAt(clock.ms - 60_000, 3)]]);
    const limits = { retention_period: 24 * HOUR_MS };
    const off = await startOver(store, clock, { limits });
    await off.compactor.run();
    assert.equal(off.catalog.segmentCount, 2);
    const on = await startOver(store, clock, { limits, config: { retentionEnabled: true } });
    await on.compactor.run();
    assert.deepEqual(
      new Set((await rowsIn(on.catalog, store)).map((row) => JSON.parse(row)[0][0][1])),
      new Set(['new']),
    );
  });

  it('takes single streams out of a segment whose others are kept for longer', async () => {
    const store = new MemoryStore();
    const clock = new TestClock();
    const streams = ['dev', 'prod', 'both'];
    await flush(
      store,
      clock,
      streams.map((ns) => [{ ns }, rowsAt(NOON_MS - 60_000, 3)] as const),
    );
    clock.ms += 30 * HOUR_MS;
    const limits = {
      retention_period: 24 * 30 * HOUR_MS,
      retention_stream: [
        { selector: '{ns=~"dev|both"}', priority: 1, period: 24 * HOUR_MS },
        { selector: '{ns="both"}', priority: 2, period: 48 * HOUR_MS },
      ],
    };
    const { catalog, compactor } = await startOver(store, clock, { limits, config: { retentionEnabled: true } });
    const left = async () => new Set((await rowsIn(catalog, store)).map((row) => JSON.parse(row)[0][0][1]));
    await compactor.run();
    assert.deepEqual(await left(), new Set(['prod', 'both']));
    clock.ms += 24 * HOUR_MS;
    await compactor.run();
    assert.deepEqual(await left(), new Set(['prod']));
    clock.ms += 24 * 30 * HOUR_MS;
    await compactor.run();
    assert.deepEqual(await left(), new Set());
  });

  it('refuses rules of retention that select nothing one could tell', () => {
    const limits = {
      ...defaultLimits,
      retention_stream: [{ selector: '{app="a"', priority: 0, period: 24 * HOUR_MS }],
    };
    assert.throws(() => expiryOf(limits, 0n), {
      code: 'bad_retention_rule',
      message: /^limits_config\.retention_stream: invalid labels matchers: parse error at line 1, col 9: /,
    });
  });

  it('carries out delete requests once they cannot be taken back, inclusive at both ends', async () => {
    const store = new MemoryStore();
    const clock = new TestClock();
    await sixFlushes(store, clock);
    const { catalog, requests, compactor } = await startOver(store, clock, { config: { retentionEnabled: true } });
    const before = await rowsIn(catalog, store);
    await requests.add({ tenant: 'team-a', query: '{app="web"}', startMs: NOON_MS - 4000, endMs: NOON_MS - 3000 });
    const filter = { tenant: 'team-a', query: '{app="web"} |= "web 5"', startMs: NOON_MS, endMs: clock.ms };
    await requests.add(filter);
    await compactor.run();
    assert.deepEqual(await rowsIn(catalog, store), before, 'rows stay while the requests can be cancelled');
    assert.equal(requests.pending('team-a').length, 2);
    clock.ms += 25 * HOUR_MS;
    await compactor.run();
    const expected = before.filter((row) => {
      const [, at, line] = JSON.parse(row) as [unknown, string, string];
      const isFirst = BigInt(at) >= ns(NOON_MS - 4000) && BigInt(at) <= ns(NOON_MS - 3000);
      return !isFirst && !line.startsWith('web 5');
    });
    assert.equal(expected.length, before.length - 7);
    assert.deepEqual(await rowsIn(catalog, store), expected);
    assert.equal(requests.pending('team-a').length, 0);
    assert.deepEqual(
      requests.list('team-a').map(({ status }) => status),
      ['processed', 'processed'],
    );
  });

  it('does not call a request processed while an ingester holds rows of it', async () => {
    const store = new MemoryStore();
    const clock = new TestClock();
    let recent: RecentStream[] = [
      { labels: [['app', 'web']], blocks: encodeBlocks(headOf(rowsAt(NOON_MS - 1000, 1))), heads: [] },
    ];
    const ingester = ingesterOf(async () => recent);
    const config = { retentionEnabled: true, cancelPeriodMs: 0 };
    const { requests, compactor } = await startOver(store, clock, { config, ingesters: [ingester] });
    await requests.add({ tenant: 'team-a', query: '{app="web"}', startMs: NOON_MS - 5000, endMs: NOON_MS });
    await compactor.run();
    assert.equal(requests.pending('team-a').length, 1);
    recent = [];
    clock.ms += 10 * MINUTE_MS;
    await compactor.run();
    assert.equal(requests.pending('team-a').length, 0);
  });

  it('merges no more than the largest segment at once while the day grows, however large it is', async () => {
    const store = new MemoryStore();
    const clock = new TestClock();
    for (let i = 0; i < 60; i++) {
      const rows = Array.from({ length: 40 }, (_, r) => ({
        ns: ns(clock.ms + r),
        line: createHash('sha512').update(`${i} ${r}`).digest('base64').repeat(5),
      }));
      await flush(store, clock, [[{ app: 'web' }, rows]]);
      clock.ms += MINUTE_MS;
    }
    const maxSegmentBytes = 20_000;
    const held: number[] = [];
    const merger: SegmentMerger = {
      merge: (request) => {
        held.push(request.sources.reduce((sum, key) => sum + store.objects.get(key)!.length, 0));
        return mergeSegments(store, request);
      },
      findOverlaps: (search) => findOverlaps(store, search),
      release: async () => {},
    };
    const { catalog, compactor } = await startOver(store, clock, { merger, config: { maxSegmentBytes } });
    const before = await rowsIn(catalog, store);
    const dayBytes = catalog.segments('team-a').reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (let i = 0; i < 5; i++) await compactor.run();
    assert.ok(dayBytes > 5 * maxSegmentBytes && held.length > 5, `${dayBytes} bytes, ${held.length} merges`);
    assert.ok(Math.max(...held) <= maxSegmentBytes);
    assert.ok(catalog.segmentCount <= 20);
    assert.deepEqual(await rowsIn(catalog, store), before);
  });

  it('goes on in the next run when the store failed', async () => {
    const store = new MemoryStore();
    const clock = new TestClock();
    await sixFlushes(store, clock);
    const { catalog, compactor, registry } = await startOver(store, clock);
    const before = await rowsIn(catalog, store);
    const put = store.put.bind(store);
    store.put = () => Promise.reject(new Error('no room'));
    await compactor.run();
    assert.equal(catalog.segmentCount, 6);
    store.put = put;
    await compactor.run();
    assert.equal(catalog.segmentCount, 1);
    assert.deepEqual(await rowsIn(catalog, store), before);
    assert.match(await registry.metrics(), /compact_tables_operation_total\{status="failure"\} 1/);
  });
});
