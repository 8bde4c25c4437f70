import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Registry } from 'prom-client';
import type { TestRow } from '../../storage/block/testing/heads.ts';
import { systemClock } from '../../storage/host/clock.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { FilesystemStore } from '../../storage/objectstore/index.ts';
import { PoolMerger } from '../../storage/scan/pool-merger.ts';
import { WorkerPool } from '../../storage/scan/worker-pool.ts';
import { FaultyStore } from '../../test/faults/faulty-store.ts';
import { defaultLimits } from '../config/limits.ts';
import { onlyIngester } from '../querier/ingester-set.ts';
import { Querier, type QueryAnswer } from '../querier/querier.ts';
import { ingesterOf } from '../rpc/testing/ingester-of.ts';
import { flush, HOUR_MS, NOON_MS, rowsIn, type Setup, startOver, TestClock } from './testing/setup.ts';

const directory = await mkdtemp(join(tmpdir(), 'loptr-compactor-'));
const objectStore = { kind: 'filesystem' as const, directory };
const store = new FilesystemStore(objectStore);
const pool = new WorkerPool({ size: 1, settings: { objectStore }, logger: silentLogger });
const merger = new PoolMerger({ settings: { objectStore }, logger: silentLogger });
after(async () => {
  await pool.stop();
  await merger.release();
  await rm(directory, { recursive: true });
});

const MINUTE_MS = 60_000;
const ns = (ms: number): bigint => BigInt(ms) * 1_000_000n;

const QUERIES = [
  '{app="web"}',
  '{app=~".+"} |= "status=500"',
  '{app="web"} | logfmt | status >= 500 | line_format "{{.path}}"',
  '{app="web"} | trace != ""',
  'sum by (app) (count_over_time({app=~".+"}[10m]))',
  'sum by (status) (rate({app="web"} | logfmt [5m]))',
  'bytes_over_time({app="db"}[20m])',
  'max_over_time({app="web"} | logfmt | unwrap duration(took) [10m]) by (path)',
];

/** The answer as a value that two answers can be compared by. */
function essence(answer: QueryAnswer): unknown {
  if (answer.kind === 'streams') {
    return answer.entries.map((entry) => [String(entry.timestampNs), entry.group.merged, entry.line]);
  }
  return answer.result.kind === 'scalar'
    ? answer.result
    : JSON.stringify(answer.result.matrix, (_, v) =>
        ArrayBuffer.isView(v) ? Array.from(v as unknown as ArrayLike<number>) : (v as unknown),
      );
}

const recent = onlyIngester(
  ingesterOf(async () => []),
  systemClock,
);

async function answers({ catalog, requests }: Setup, tenant: string): Promise<unknown[]> {
  const querier = new Querier({
    sources: { catalog, recent, deletes: requests },
    pool,
    limits: { for: () => defaultLimits },
    clock: new TestClock(NOON_MS + 2 * HOUR_MS),
    logger: silentLogger,
    registry: new Registry(),
    maxOutstandingPerTenant: 10,
  });
  const context = {
    tenants: { ids: [tenant], federated: false },
    signal: new AbortController().signal,
    partialSeries: false,
  };
  const found: unknown[] = [];
  for (const query of QUERIES) {
    for (const direction of ['forward', 'backward'] as const) {
      const range = { startNs: ns(NOON_MS - HOUR_MS), endNs: ns(NOON_MS + 2 * HOUR_MS), stepNs: 300_000_000_000n };
      found.push(
        essence(await querier.range({ query, direction, limit: 40, intervalNs: 0n, ...range }, context)),
        essence(await querier.range({ query, direction, limit: 5000, intervalNs: 0n, ...range }, context)),
      );
    }
  }
  return found;
}

const rowsOnce = async ({ catalog }: Setup, tenant: string) => new Set(await rowsIn(catalog, store, tenant));

/** Rows late and early, repeated in a later segment, of one time and not, with metadata and without. */
async function aDay(tenant: string): Promise<TestClock> {
  const clock = new TestClock();
  const row = (i: number, at: number): TestRow => ({
    ns: ns(NOON_MS + at * 1000),
    line: `path=/p${i % 5} status=${i % 7 === 0 ? 500 : 200} took=${i}ms i=${i}`,
    ...(i % 3 === 0 ? { metadata: [['trace', `t${i}`]] as [string, string][] } : {}),
  });
  for (let segment = 0; segment < 7; segment++) {
    clock.ms = NOON_MS + segment * 6 * MINUTE_MS;
    const rows = Array.from({ length: 120 }, (_, i) => row(i + 50 * segment, 300 * segment + (i % 60) * 7));
    await flush(
      store,
      clock,
      [
        [{ app: 'web', pod: `p${segment % 2}` }, rows],
        [{ app: 'db' }, [row(segment, segment * 400), row(segment + 1, segment * 400)]],
      ],
      tenant,
    );
  }
  clock.ms += 3 * MINUTE_MS;
  return clock;
}

/** What three ingesters store of the same pushes: each cut as it likes, of some pushes one has none. */
async function aDayOfThree(tenant: string): Promise<TestClock> {
  const clock = new TestClock();
  const apps = ['web', 'db', 'cache', 'mail'];
  const heads = [0, 1, 2].map(() => new Map<string, TestRow[]>());
  for (let push = 0; push < 120; push++) {
    clock.ms = NOON_MS + push * 20_000;
    const app = apps[push % apps.length]!;
    const rows = Array.from({ length: 6 }, (_, i): TestRow => {
      const number = push * 6 + (push % 5 === 0 ? 0 : i); // some are there twice in one push
      return {
        ns: ns(clock.ms - (push % 11 === 0 ? 600_000 : 0) + (number % 3) * 100),
        line: `path=/p${number % 5} status=${number % 7 === 0 ? 500 : 200} took=${number}ms`,
        ...(number % 3 === 0 ? { metadata: [['trace', `t${number}`]] as [string, string][] } : {}),
      };
    });
    for (const [writer, head] of heads.entries()) {
      if (push % 9 === writer) continue;
      head.set(app, [...(head.get(app) ?? []), ...rows]);
      if (push % (20 + 3 * writer) !== 7 * writer + 2) continue;
      await flush(
        store,
        clock,
        [...head].map(([name, own]) => [{ app: name }, own] as const),
        tenant,
      );
      head.clear();
    }
  }
  for (const head of heads) {
    await flush(
      store,
      clock,
      [...head].map(([name, own]) => [{ app: name }, own] as const),
      tenant,
    );
  }
  clock.ms += 24 * HOUR_MS;
  return clock;
}

describe('answers of queries', () => {
  it('are the same before, while and after the copies of several ingesters become one', async () => {
    const tenant = 'three';
    const clock = await aDayOfThree(tenant);
    const config = { maxSegmentBytes: 3000 };
    const stale = await startOver(store, clock);
    const before = await answers(stale, tenant);
    assert.ok(before.every((answer) => (answer as { length: number }).length > 0));
    const gate = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    let notes = 0;
    const held = new FaultyStore(store);
    const put = held.put.bind(held);
    held.put = async (key, pieces, signal) => {
      // The note's second form: everything is stored, and nothing of it counts.
      if (key.startsWith('compactions/') && ++notes === 2) {
        reached.resolve();
        await gate.promise;
      }
      return put(key, pieces, signal);
    };
    const setup = await startOver(held, clock, { merger, config });
    const copies = setup.catalog.segments(tenant).length;
    const run = setup.compactor.run();
    await reached.promise;
    const during = await startOver(store, clock);
    assert.equal(during.catalog.segments(tenant).length, copies);
    assert.deepEqual(await answers(during, tenant), before, 'while the outputs lie beside their sources');
    gate.resolve();
    await run;
    const after = await startOver(store, clock);
    const segments = after.catalog.segments(tenant).map(({ key }) => key);
    assert.ok(segments.length > 2, `${segments.length} segments`);
    assert.deepEqual((await rowsIn(after.catalog, store, tenant)).length, (await rowsOnce(stale, tenant)).size);
    for (const { catalog, ...rest } of [stale, during, setup, after]) {
      assert.deepEqual(await answers({ catalog, ...rest }, tenant), before);
    }
    await during.catalog.refreshReplaced();
    await stale.catalog.refresh();
    for (const { catalog, ...rest } of [stale, during]) {
      assert.deepEqual(
        catalog.segments(tenant).map(({ key }) => key),
        segments,
      );
      assert.deepEqual(await answers({ catalog, ...rest }, tenant), before);
    }
  });

  it('are the same before and after compaction', async () => {
    const clock = await aDay('same');
    const setup = await startOver(store, clock, { merger });
    const before = await answers(setup, 'same');
    assert.ok(before.every((answer) => (answer as { length: number }).length > 0));
    await setup.compactor.run();
    assert.equal(setup.catalog.segments('same').length, 1);
    assert.deepEqual(await answers(setup, 'same'), before);
  });

  it('lack deleted rows at once, and the same rows once the request is carried out', async () => {
    const clock = await aDay('deletes');
    const setup = await startOver(store, clock, { merger, config: { retentionEnabled: true } });
    const all = await answers(setup, 'deletes');
    const between = { tenant: 'deletes', startMs: NOON_MS + 5 * MINUTE_MS, endMs: NOON_MS + 21 * MINUTE_MS };
    await setup.requests.add({ ...between, query: '{app="web", pod="p0"} |= "/p3"' });
    await setup.requests.add({ ...between, query: '{app="web"} | logfmt | status = 500 | trace=~"t.*"' });
    await setup.requests.add({ ...between, query: '{app="db"}', startMs: 0 });
    const hidden = await answers(setup, 'deletes');
    assert.notDeepEqual(hidden, all);
    const lines = (hidden[1] as [string, unknown, string][]).map(([at, , line]) => ({ at: BigInt(at), line }));
    const inTime = lines.filter(({ at }) => at >= ns(between.startMs) && at <= ns(between.endMs));
    assert.ok(inTime.length > 0 && lines.length > inTime.length);
    await setup.compactor.run();
    assert.deepEqual(await answers(setup, 'deletes'), hidden);
    clock.ms += 25 * HOUR_MS;
    await setup.compactor.run();
    assert.equal(setup.requests.pending('deletes').length, 0);
    assert.deepEqual(await answers(setup, 'deletes'), hidden);
    const restarted = await startOver(store, clock, { merger, config: { retentionEnabled: true } });
    assert.deepEqual(await answers(restarted, 'deletes'), hidden);
  });

  it('come back when a request is taken back in time', async () => {
    const clock = await aDay('cancel');
    const setup = await startOver(store, clock, { merger });
    const all = await answers(setup, 'cancel');
    const request = await setup.requests.add({ tenant: 'cancel', query: '{app="web"}', startMs: 0, endMs: clock.ms });
    assert.notDeepEqual(await answers(setup, 'cancel'), all);
    await setup.requests.cancel(request);
    assert.deepEqual(await answers(setup, 'cancel'), all);
  });
});
