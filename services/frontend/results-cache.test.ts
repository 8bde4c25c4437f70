import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import type { TestRow } from '../../storage/block/testing/heads.ts';
import { type Cache, MemoryCache } from '../../storage/cache/index.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { CachingSetup, TENANT } from '../../test/harness/caching-setup.ts';
import { HOUR_MS, NOON_MS } from '../compactor/testing/setup.ts';
import type { RangeParams } from '../querier/params.ts';
import type { MetricPartAnswer } from '../querier/parts.ts';
import { QueryStats } from '../querier/stats.ts';
import { ResultsCache } from './results-cache.ts';

const ns = (ms: number): bigint => BigInt(ms) * 1_000_000n;
const START_MS = NOON_MS - 6 * HOUR_MS;
const rowsOf = (fromMs: number, toMs: number, text: string): TestRow[] => {
  const rows: TestRow[] = [];
  for (let ms = fromMs; ms < toMs; ms += 60_000) rows.push({ ns: ns(ms), line: `${text} ${(ms - fromMs) / 60_000}` });
  return rows;
};
const common = { startNs: ns(START_MS), endNs: ns(NOON_MS), limit: 5000, intervalNs: 0n } as const;
const METRIC: RangeParams = {
  ...common,
  query: 'sum by (app) (count_over_time({app=~".+"}[5m]))',
  direction: 'backward',
  stepNs: 60_000_000_000n,
};
const LOGS: RangeParams = { ...common, query: '{app="web"} |= "2"', direction: 'forward', stepNs: 60_000_000_000n };
const QUERIES = [METRIC, LOGS];

let setup: CachingSetup;
beforeEach(async () => {
  setup = new CachingSetup();
  setup.clock.ms = NOON_MS + HOUR_MS;
  await setup.start(new MemoryCache({ maxBytes: 64 * 1024 * 1024, ttlMs: 0 }));
  await setup.flush({ app: 'web' }, rowsOf(START_MS, NOON_MS, 'web'));
  await setup.flush({ app: 'db' }, rowsOf(START_MS, NOON_MS, 'db'));
});
afterEach(() => setup.stop());

/** Asks until nothing more is kept, and checks each answer against the querier's. Parts asked for, by query and round. */
async function rounds(count: number): Promise<number[][]> {
  const asked: number[][] = QUERIES.map(() => []);
  for (let round = 0; round < count; round++) {
    for (const [q, query] of QUERIES.entries()) {
      const answer = await setup.ask(query);
      assert.equal(answer.kept, answer.direct);
      asked[q]!.push(answer.asked);
    }
  }
  return asked;
}

test('a query asked again is answered from the cache, for as long as nothing changes', async () => {
  assert.deepEqual(await rounds(3), [
    [7, 0, 0],
    [6, 0, 0],
  ]);
});

test('a query that begins later or ends earlier takes its steps from what is kept', async () => {
  await rounds(1);
  for (const query of QUERIES) {
    const shifted = { ...query, startNs: query.startNs + 17n * 60_000_000_000n };
    const later = await setup.ask(shifted);
    assert.equal(later.kept, later.direct);
    assert.equal(later.asked, 0);
    const ended = await setup.ask({ ...shifted, endNs: query.endNs - 75n * 60_000_000_000n });
    assert.equal(ended.kept, ended.direct);
    assert.equal(ended.asked, 0);
  }
  // Another limit, direction or step is another question.
  const fewer = await setup.ask({ ...LOGS, limit: 3 });
  assert.equal(fewer.kept, fewer.direct);
  const back = await setup.ask({ ...LOGS, direction: 'backward' });
  assert.deepEqual([back.kept === back.direct, back.asked], [true, 6]);
  const coarse = await setup.ask({ ...METRIC, stepNs: 300_000_000_000n });
  assert.deepEqual([coarse.kept === coarse.direct, coarse.asked], [true, 7]);
});

test('steps that are too young are never kept', async () => {
  setup.limits = { max_cache_freshness_per_query: 90 * 60_000 };
  const asked = await rounds(2);
  assert.deepEqual(asked, [
    [7, 2],
    [6, 1],
  ]);
});

test('a late row is seen at once, while an ingester holds it and when it is stored', async () => {
  await rounds(2);
  const late = [{ ns: ns(NOON_MS - 3.5 * HOUR_MS), line: 'late 2' }];
  setup.held = [{ labels: { app: 'web' }, rows: late }];
  assert.match((await setup.ask(LOGS)).kept, /late 2/);
  // Only the parts that the row belongs to are asked for again, and not kept.
  assert.deepEqual(await rounds(2), [
    [1, 1],
    [1, 1],
  ]);
  setup.held = [];
  await setup.flush({ app: 'web' }, late);
  assert.deepEqual(await rounds(2), [
    [1, 0],
    [1, 0],
  ]);
  assert.match((await setup.ask(LOGS)).kept, /late 2/);
});

test('a row that an ingester holds in a time that was empty is seen', async () => {
  const query = { ...LOGS, query: '{app="new"}' };
  assert.equal((await setup.ask(query)).asked, 6);
  assert.equal((await setup.ask(query)).asked, 0);
  setup.held = [{ labels: { app: 'new' }, rows: [{ ns: ns(START_MS + 1000), line: 'x' }] }];
  const seen = await setup.ask(query);
  assert.equal(seen.kept, seen.direct);
  assert.match(seen.kept, /"x"/);
});

test('a delete request hides rows at once, also while and after they are removed', async () => {
  await rounds(2);
  const range = { startMs: NOON_MS - 4 * HOUR_MS, endMs: NOON_MS - 3 * HOUR_MS - 1 };
  await setup.setup.requests.add({ tenant: TENANT, query: '{app="web"} |= "12"', ...range });
  await rounds(2);
  const before = (await setup.ask(LOGS)).kept;
  setup.clock.ms += 24 * HOUR_MS;
  await setup.setup.compactor.run();
  assert.equal(setup.setup.requests.pending(TENANT).length, 0);
  await rounds(2);
  assert.equal((await setup.ask(LOGS)).kept, before);
  assert.equal((await setup.ask(LOGS)).asked, 0);
});

test('compaction changes no answer', async () => {
  const before = await Promise.all(QUERIES.map(async (query) => (await setup.ask(query)).kept));
  for (let i = 0; i < 4; i++) await setup.flush({ app: 'web' }, [{ ns: ns(NOON_MS - HOUR_MS + i), line: `more ${i}` }]);
  setup.clock.ms += 24 * HOUR_MS;
  await rounds(1);
  const segments = setup.setup.catalog.segmentCount;
  await setup.setup.compactor.run();
  assert.ok(setup.setup.catalog.segmentCount < segments);
  await rounds(2);
  assert.notEqual((await setup.ask(METRIC)).kept, before[0]);
});

test('what retention removes is gone from answers', async () => {
  await setup.stop();
  setup = new CachingSetup();
  setup.limits = { retention_period: 24 * HOUR_MS };
  setup.clock.ms = NOON_MS + HOUR_MS;
  await setup.start(new MemoryCache({ maxBytes: 64 * 1024 * 1024, ttlMs: 0 }));
  await setup.flush({ app: 'web' }, rowsOf(START_MS, NOON_MS, 'web'));
  await rounds(2);
  setup.clock.ms = NOON_MS + 72 * HOUR_MS;
  await setup.setup.compactor.run();
  assert.equal(setup.setup.catalog.segmentCount, 0);
  await rounds(1);
  assert.doesNotMatch((await setup.ask(LOGS)).kept, /web/);
});

test('whatever happens between two questions, no answer is out of date', async () => {
  const moment = fc.integer({ min: -30, max: 400 }).map((minutes) => START_MS + minutes * 60_000);
  const event = fc.oneof(
    fc.record({ kind: fc.constant('late' as const), ms: moment }),
    fc.record({ kind: fc.constant('held' as const), ms: moment }),
    fc.record({ kind: fc.constant('stored' as const), ms: moment }),
    fc.record({ kind: fc.constant('delete' as const), ms: moment }),
    fc.record({ kind: fc.constant('compact' as const), ms: moment }),
    fc.record({ kind: fc.constant('nothing' as const), ms: moment }),
  );
  const question = fc.record({
    query: fc.constantFrom(
      METRIC.query,
      'sum(rate({app="web"} |= "2" [7m] offset -90m))',
      'max_over_time({app="web"} | regexp "(?P<n>[0-9]+)" | unwrap n [3m] offset 2h)',
      LOGS.query,
      '{app=~"db|web"}',
    ),
    ends: fc.tuple(moment, moment),
    limit: fc.constantFrom(3, 100, 5000),
    direction: fc.constantFrom('forward' as const, 'backward' as const),
    intervalNs: fc.constantFrom(0n, 0n, 150_000_000_000n),
    stepNs: fc.constantFrom(60_000_000_000n, 420_000_000_000n),
  });
  let served = 0;
  const rounds = fc.array(fc.tuple(event, fc.array(question, { minLength: 1, maxLength: 3 })), {
    minLength: 3,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(rounds, async (list) => {
      for (const [{ kind, ms }, questions] of list) {
        const row = { ns: ns(ms), line: `${kind} 2` };
        if (kind === 'late') await setup.flush({ app: 'web' }, [row]);
        if (kind === 'held') setup.held = [{ labels: { app: 'web' }, rows: [row] }];
        if (kind === 'stored') {
          for (const { labels, rows } of setup.held) await setup.flush(labels, rows);
          setup.held = [];
        }
        if (kind === 'delete') {
          await setup.setup.requests.add({
            tenant: TENANT,
            query: '{app="web"} |= "7"',
            startMs: ms,
            endMs: ms + HOUR_MS,
          });
        }
        if (kind === 'compact') await setup.setup.compactor.run();
        for (const { ends, ...rest } of questions) {
          const [startMs, endMs] = ends.toSorted((a, b) => a - b) as [number, number];
          const params = { ...rest, startNs: ns(startMs), endNs: ns(endMs) };
          for (let i = 0; i < 2; i++) {
            const { direct, kept, asked } = await setup.ask(params);
            assert.equal(kept, direct);
            if (asked === 0) served++;
          }
        }
      }
    }),
    { numRuns: Number(process.env['LOPTR_FUZZ_RUNS'] ?? 25) },
  );
  assert.ok(served > 0);
});

const answer: MetricPartAnswer = {
  matrix: {
    timesMs: Float64Array.of(1, 2),
    series: [{ labels: [['a', 'é']], values: Float64Array.of(1.5, Number.NaN), present: Uint8Array.of(1, 0) }],
  },
  stats: new QueryStats(),
  warnings: [],
  fingerprint: 'f',
};

test('values of others, damaged ones, and ones for another key are not there', async () => {
  const values = new Map<string, Buffer>();
  const cache: Cache = {
    get: async (key) => values.get(key) ?? null,
    set: async (key, value) => void values.set(key, Buffer.from(value)),
    close: async () => {},
  };
  const results = new ResultsCache(cache, silentLogger);
  const bounds = { startNs: -5n, endNs: 2n ** 62n };
  assert.equal(await results.keepMetric(['a'], bounds, answer), true);
  const found = await results.metric(['a']);
  assert.deepEqual([found?.startNs, found?.endNs, found?.fingerprint], [-5n, 2n ** 62n, 'f']);
  assert.deepEqual(found?.answer.matrix, answer.matrix);
  assert.equal(await results.log(['a']), null, 'an answer of another kind');
  assert.equal(await results.metric(['b']), null);

  const [[name, value]] = [...values] as [[string, Buffer]];
  for (let at = 0; at < value.length; at++) {
    const damaged = Buffer.from(value);
    damaged[at]! ^= 0x10;
    values.set(name, damaged);
    assert.equal(await results.metric(['a']), null, `byte ${at}`);
    values.set(name, value.subarray(0, at));
    assert.equal(await results.metric(['a']), null, `cut at ${at}`);
  }
  await results.keepMetric(['b'], bounds, answer);
  const other = [...values].find(([key]) => key !== name)!;
  values.set(name, other[1]);
  assert.equal(await results.metric(['a']), null, 'a value under the name of another');
});

test('an answer without a fingerprint, or too large, is not kept', async () => {
  const cache = new MemoryCache({ maxBytes: 64 * 1024 * 1024, ttlMs: 0 });
  const results = new ResultsCache(cache, silentLogger);
  const bounds = { startNs: 0n, endNs: 1n };
  assert.equal(await results.keepMetric(['a'], bounds, { ...answer, fingerprint: null }), false);
  const values = Float64Array.from({ length: 400_000 }, () => Math.random());
  const present = new Uint8Array(values.length).fill(1);
  const matrix = { timesMs: new Float64Array(values.length), series: [{ labels: [], values, present }] };
  assert.equal(await results.keepMetric(['a'], bounds, { ...answer, matrix }), false);
  assert.equal(cache.sizeBytes, 0);
});
