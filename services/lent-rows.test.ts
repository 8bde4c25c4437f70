import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { Registry } from 'prom-client';
import type { Labels } from '../logql/labels.ts';
import { defaultBlockLimits } from '../storage/block/index.ts';
import { systemClock } from '../storage/host/clock.ts';
import { silentLogger } from '../storage/host/logger.ts';
import { SegmentCatalog } from '../storage/index/index.ts';
import { FilesystemStore } from '../storage/objectstore/index.ts';
import { PoolBlockEncoder } from '../storage/scan/pool-block-encoder.ts';
import { WorkerPool } from '../storage/scan/worker-pool.ts';
import { defaultLimits } from './config/limits.ts';
import { HeadMemory } from './ingester/head-memory.ts';
import { defaultIngesterConfig, Ingester } from './ingester/index.ts';
import { batchOf, type TestRow } from './ingester/testdata/fixture.ts';
import { onlyIngester } from './querier/ingester-set.ts';
import { Querier, type QueryContext } from './querier/querier.ts';
import { QueryStats } from './querier/stats.ts';
import type { RecentRequest } from './rpc/ingester.ts';
import { CatalogSink } from './segment-sink.ts';

const SEED = 2026;
const PUSHES = 500;
const READERS = 4;
const STREAMS = 6;
const TENANTS = ['one', 'two'];
const BASE = BigInt(Math.floor(Date.now() / 1000) - 600) * 1_000_000_000n;
const STEP_NS = 10_000n;
const END = BASE + 500_000_000_000n;
/** What is given back looks like this: no reader may ever see it. */
const POISON = 0xee;

function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Says itself where it belongs. */
function lineOf(tenant: string, stream: number, n: number): string {
  const text = `tenant=${tenant} s=${stream} n=${n} ${'.x-'.repeat((n * 7919) % 90)}`;
  return `${text} c=${crc32(text)}`;
}

/** Rows of one stream: `0 .. sent` are on their way, `0 .. acknowledged` there. */
class Rows {
  readonly tenant: string;
  readonly stream: number;
  sent = 0;
  acknowledged = 0;

  constructor(tenant: string, stream: number) {
    this.tenant = tenant;
    this.stream = stream;
  }

  get labels(): string {
    return `{app="lent", s="${this.stream}"}`;
  }

  take(count: number): TestRow[] {
    const rows = Array.from({ length: count }, (_, i): TestRow => {
      const n = this.sent + i;
      const line = lineOf(this.tenant, this.stream, n);
      return n % 3 === 0 ? [timeOf(n), line, { row: `${n % 17}` }] : [timeOf(n), line];
    });
    // Late rows now and then, so that heads are sorted.
    if (count > 2 && this.sent % 4 === 0) rows.push(rows.shift()!);
    this.sent += count;
    return rows;
  }
}

const timeOf = (n: number): bigint => BASE + BigInt(n) * STEP_NS;

/** Throws unless the line is as it was pushed, to this tenant and stream and at this time. */
function numberOf(tenant: string | null, labels: Labels, timestampNs: bigint, line: string): number {
  const of = (name: string) => labels.find(([key]) => key === name)?.[1];
  const n = Number((timestampNs - BASE) / STEP_NS);
  assert.equal(line, lineOf(tenant ?? of('__tenant_id__')!, Number(of('s')), n));
  return n;
}

it('no query and no encoder sees a row that is not its own, whatever is cancelled while memory is handed on', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'loptr-lent-'));
  const give = HeadMemory.prototype.give;
  let given = 0;
  t.mock.method(HeadMemory.prototype, 'give', function (this: HeadMemory, address: number) {
    const start = this.startOf(address);
    this.slabOf(address).bytes.fill(POISON, start, start + this.bytesOf(address));
    given++;
    give.call(this, address);
  });
  const objectStore = { kind: 'filesystem' as const, directory: join(directory, 'store') };
  const pool = new WorkerPool({ size: 2, settings: { objectStore }, logger: silentLogger });
  const store = new FilesystemStore(objectStore);
  const catalog = new SegmentCatalog(store, silentLogger);
  const limits = { ...defaultLimits, max_query_series: 50, max_entries_limit_per_query: 0 };
  const ingester = new Ingester({
    id: 'ingester-1',
    config: {
      ...defaultIngesterConfig,
      blockBytes: 30_000,
      maxHeadBytes: 1 << 20,
      segmentBytes: 600_000,
      chunkTargetBytes: 200_000,
      flushCheckMs: 20,
    },
    limits: { for: () => limits },
    wal: { directory: join(directory, 'wal') },
    encoder: new PoolBlockEncoder(pool, defaultBlockLimits),
    sink: new CatalogSink(store, catalog, systemClock, silentLogger),
    clock: systemClock,
    logger: silentLogger,
    registry: new Registry(),
  });
  await catalog.load();
  await ingester.start();
  let lent = 0;
  let returned = 0;
  const recent = ingester.recent.bind(ingester);
  t.mock.method(ingester, 'recent', (request: RecentRequest) => {
    lent++;
    request.lease!.onEnd(() => returned++);
    return recent(request);
  });
  const querier = new Querier({
    sources: { catalog, recent: onlyIngester(ingester, systemClock) },
    pool,
    limits: { for: () => limits },
    clock: systemClock,
    logger: silentLogger,
    registry: new Registry(),
    maxOutstandingPerTenant: 100,
  });
  const all = TENANTS.flatMap((tenant) => Array.from({ length: STREAMS }, (_, stream) => new Rows(tenant, stream)));
  let isPushed = false;

  const push = async (): Promise<void> => {
    const random = randomOf(SEED);
    for (let i = 0; i < PUSHES; i++) {
      const tenant = TENANTS[random(TENANTS.length)]!;
      const touched = all.filter((rows) => rows.tenant === tenant && random(3) > 0);
      if (touched.length === 0) continue;
      const size = random(20) === 0 ? 400 : 40;
      await ingester.push(
        batchOf(tenant, ...touched.map((rows) => ({ labels: rows.labels, rows: rows.take(1 + random(size)) }))),
      );
      for (const rows of touched) rows.acknowledged = rows.sent;
      if (random(10) === 0) await nextTurn();
    }
  };

  const context = (tenants: readonly string[], signal: AbortSignal): QueryContext => ({
    tenants: { ids: tenants, federated: tenants.length > 1 },
    signal,
    partialSeries: false,
  });
  const log = async (random: (below: number) => number, signal: AbortSignal): Promise<void> => {
    const tenants = random(4) === 0 ? TENANTS : [TENANTS[random(2)]!];
    const rows = all.filter(({ tenant, stream }) => tenants.includes(tenant) && stream === 1)[0]!;
    const known = rows.acknowledged;
    const from = random(known + 1);
    const query = ['{app="lent"}', '{app="lent"} |= "c="', '{app="lent", s="1"}', '{app="lent"} | row="3"'][random(4)]!;
    const direction = random(2) === 0 ? ('forward' as const) : ('backward' as const);
    const limit = [10, 300, 4000][random(3)]!;
    const range = { startNs: timeOf(from), endNs: timeOf(known), stepNs: 1n, intervalNs: 0n, limit, direction };
    const answer = await querier.range({ query, ...range }, context(tenants, signal));
    assert.ok(answer.kind === 'streams');
    const seen = new Set<string>();
    for (const { timestampNs, group, line } of answer.entries) {
      numberOf(tenants.length > 1 ? null : tenants[0]!, group.stream, timestampNs, line);
      seen.add(`${group.stream} ${timestampNs}`);
    }
    assert.equal(seen.size, answer.entries.length);
    assert.deepEqual(answer.warnings, []);
    if (query.includes('s=') && tenants.length === 1) assert.equal(seen.size, Math.min(limit, known - from));
  };
  const metric = async (random: (below: number) => number, signal: AbortSignal): Promise<void> => {
    const rows = all[random(all.length)]!;
    const known = rows.acknowledged;
    if (known === 0) return;
    const selector = `{app="lent", s="${rows.stream}"}`;
    const counted = `sum(count_over_time(${selector} | logfmt | s="${rows.stream}" | n<${known}[1h]))`;
    const query =
      random(2) === 0 ? counted : `${counted} + sum(count_over_time(${selector} |= "." | n<0[1h])) or ${counted}`;
    const params = { query, timeNs: END, limit: 100, direction: 'backward' as const };
    const answer = await querier.instant(params, context([rows.tenant], signal));
    assert.ok(answer.kind === 'metric' && answer.result.kind !== 'scalar');
    assert.deepEqual(answer.warnings, []);
    assert.deepEqual([...answer.result.matrix.series.map(({ values }) => values[0])], [known]);
  };
  const measure = async (random: (below: number) => number, signal: AbortSignal): Promise<void> => {
    const rows = all[random(all.length)]!;
    const known = rows.acknowledged;
    if (known === 0) return;
    const matchers = [{ kind: 'matcher' as const, name: 's', op: '=' as const, value: `${rows.stream}` }];
    const buckets = [{ startNs: BASE, endNs: timeOf(known) - 1n }];
    const sizes = await querier.measure(matchers, buckets, context([rows.tenant], signal), new QueryStats());
    const sum = sizes.flatMap(({ cells }) => cells).reduce((total, cell) => total + cell.rows, 0);
    assert.equal(sum, known);
  };
  const tooMany = async (_: unknown, signal: AbortSignal): Promise<void> => {
    const query = 'count_over_time({app="lent"} | logfmt [1h])';
    const params = { query, timeNs: END, limit: 100, direction: 'backward' as const };
    await querier.instant(params, context(TENANTS, signal)).catch((error: Error & { code?: string }) => {
      if (!/series/.test(error.message)) throw error;
    });
  };
  const explain = async (_: unknown, signal: AbortSignal): Promise<void> => {
    const params = { startNs: BASE, endNs: END, stepNs: 0n, intervalNs: 0n, limit: 9 };
    await querier.explain(
      '{app="lent"} |= "n=5"',
      { ...params, direction: 'forward', instant: false },
      context(TENANTS, signal),
    );
  };
  const kinds = [log, log, log, metric, metric, measure, tooMany, explain];

  let answered = 0;
  let cancelled = 0;
  const read = async (seed: number): Promise<void> => {
    const random = randomOf(seed);
    while (!isPushed) {
      const client = new AbortController();
      const turns = random(3) === 0 ? random(12) : -1;
      const asked = kinds[random(kinds.length)]!(random, client.signal);
      const gone = (async () => {
        for (let turn = 0; turn < turns; turn++) await nextTurn();
        if (turns >= 0) client.abort(new Error('the client hung up'));
      })();
      try {
        await asked;
        answered++;
      } catch (error: unknown) {
        if (error !== client.signal.reason) throw error;
        cancelled++;
      }
      await gone;
    }
  };

  try {
    const pushed = push().finally(() => {
      isPushed = true;
    });
    await Promise.all([pushed, ...Array.from({ length: READERS }, (_, i) => read(SEED + 1 + i))]);
    await ingester.flush();
    assert.ok(answered > 20 && cancelled > 5, `${answered} answered, ${cancelled} cancelled`);
    assert.ok(given > 100, `${given} pieces were handed on`);
    for (const rows of all) {
      const range = {
        startNs: BASE,
        endNs: END,
        stepNs: 1n,
        intervalNs: 0n,
        limit: 1e6,
        direction: 'forward' as const,
      };
      const answer = await querier.range(
        { query: rows.labels, ...range },
        context([rows.tenant], new AbortController().signal),
      );
      assert.ok(answer.kind === 'streams');
      const numbers = answer.entries.map(({ timestampNs, group, line }) =>
        numberOf(rows.tenant, group.stream, timestampNs, line),
      );
      assert.deepEqual(
        numbers,
        Array.from({ length: rows.sent }, (_, n) => n),
      );
      assert.equal(answer.stats.scan.recentRows, 0);
    }
  } finally {
    isPushed = true;
    await ingester.stop(1000);
    await pool.stop();
    rmSync(directory, { recursive: true, force: true });
  }
  assert.equal(returned, lent);
});
