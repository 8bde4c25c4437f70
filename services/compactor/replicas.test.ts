/** What becomes of a day that three ingesters stored, each its own copy, in segments of their own cut. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import type { TestRow } from '../../storage/block/testing/heads.ts';
import { findOverlaps, mergeSegments } from '../../storage/compaction/index.ts';
import { MemoryStore } from '../../test/faults/memory-store.ts';
import { ingesterOf } from '../rpc/testing/ingester-of.ts';
import type { SegmentMerger } from './service.ts';
import { flush, HOUR_MS, rowsIn, type Setup, type SetupOptions, startOver, TestClock } from './testing/setup.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * HOUR_MS;
const START_MS = Date.UTC(2026, 2, 1);
const TENANT = 'team-a';
const ns = (ms: number): bigint => BigInt(ms) * 1_000_000n;

interface Writer {
  /** Rows by stream, in order of arrival, and when the first of them arrived. */
  readonly heads: Map<string, { rows: TestRow[]; sinceMs: number }>;
  isDown: boolean;
}

/** Mulberry32: numbers in [0, 1). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Cluster {
  readonly store = new MemoryStore();
  readonly clock = new TestClock(START_MS);
  /** Every row that some writer took, as `rowsIn` prints it. */
  readonly taken = new Set<string>();
  flushedBytes = 0;
  readonly #writers: Writer[] = [0, 1, 2].map(() => ({ heads: new Map(), isDown: false }));
  readonly #random: () => number;
  readonly #streams: number;

  constructor(seed: number, streams: number) {
    this.#random = generator(seed);
    this.#streams = streams;
  }

  /** A minute: a row of each stream for two writers at least, some of them late, some twice, then what is due. */
  async minute(): Promise<void> {
    const random = this.#random;
    const { ms } = this.clock;
    for (let s = 0; s < this.#streams; s++) {
      const app = `app-${s}`;
      const lateMs = random() < 0.05 ? random() * HOUR_MS : random() * MINUTE_MS;
      const line = `level=info took=${Math.floor(random() * 1e6)} path=/p${s} id=${Math.floor(random() * 1e9)}`;
      const metadata: [string, string][] = random() < 0.3 ? [['trace', `t${Math.floor(random() * 50)}`]] : [];
      const row: TestRow = { ns: ns(Math.floor(ms - lateMs)), line, metadata };
      const rows = random() < 0.02 ? [row, row] : [row];
      this.taken.add(JSON.stringify([[['app', app]], String(row.ns), line, metadata]));
      const without = random() < 0.03 ? Math.floor(random() * 3) : -1;
      const order = [0, 1, 2].filter((w) => w !== without);
      for (const w of order) {
        const { heads, isDown } = this.#writers[w]!;
        if (isDown && order.length > 1) continue; // the two others have it
        const head = heads.get(app) ?? { rows: [], sinceMs: ms };
        heads.set(app, head);
        head.rows.push(...rows);
      }
    }
    // Each looks every 10 minutes, at a time of its own; chunks are between 40 and 120 minutes old.
    for (const [w, writer] of this.#writers.entries()) {
      if (Math.floor(ms / MINUTE_MS) % 10 === 3 * w && !writer.isDown) {
        const ageOf = (app: string) => 40 + ((Number(app.slice(4)) * 7 + w * 13) % 80);
        await this.#flush(writer, (app, sinceMs) => ms - sinceMs >= ageOf(app) * MINUTE_MS);
      }
    }
    this.clock.ms += MINUTE_MS;
  }

  /** One of them ends without a flush; what it has comes much later. Nobody else may be down. */
  stop(writer: number, isDown: boolean): void {
    this.#writers[writer]!.isDown = isDown;
  }

  async flushAll(): Promise<void> {
    for (const writer of this.#writers) await this.#flush(writer, () => true);
  }

  async #flush({ heads }: Writer, isDue: (app: string, sinceMs: number) => boolean): Promise<void> {
    const due = [...heads].filter(([app, { sinceMs }]) => isDue(app, sinceMs));
    if (due.length === 0) return;
    for (const [app] of due) heads.delete(app);
    const key = await flush(
      this.store,
      this.clock,
      due.map(([app, { rows }]) => [{ app }, rows] as const),
    );
    this.flushedBytes += this.store.objects.get(key)!.length;
  }
}

const run = ({ compactor }: Setup): Promise<void> => compactor.run();

const writtenBytes = async ({ registry }: Setup): Promise<number> =>
  Number(/^loptr_compactor_written_bytes_total (\S+)$/m.exec(await registry.metrics())![1]);

const storedBytes = ({ catalog }: Setup): number =>
  catalog.segments(TENANT).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

/** No other process is there that it could have found at its segments. */
async function assertAlone({ registry }: Setup): Promise<void> {
  assert.match(await registry.metrics(), /^loki_compactor_locked_table_successive_compaction_skips 0$/m);
}

/** Runs until the last run wrote nothing, twelve hours apart. */
async function settleDown(cluster: Cluster, setup: Setup): Promise<number> {
  for (let runs = 1; runs < 30; runs++) {
    const before = await writtenBytes(setup);
    cluster.clock.ms += DAY_MS / 2;
    await run(setup);
    await assertAlone(setup);
    if ((await writtenBytes(setup)) === before && runs > 2) return runs;
  }
  throw new Error('the compactor does not come to an end');
}

async function assertOneCopy(cluster: Cluster, setup: Setup): Promise<void> {
  const { catalog } = setup;
  assert.deepEqual(await rowsIn(catalog, cluster.store), [...cluster.taken].sort());
  const segments = catalog.segments(TENANT).map(({ key }) => key);
  const left = await findOverlaps(cluster.store, { segments, startNs: 0n, endNs: 2n ** 62n });
  assert.deepEqual(left.groups, []);
  const objects = [...cluster.store.objects.keys()];
  assert.deepEqual(objects.filter((key) => key.startsWith('segments/')).sort(), segments.toSorted());
  assert.deepEqual(
    objects.filter((key) => key.startsWith('compactions/')),
    [],
  );
}

/** A day and two hours; the third writer is away for three of them. */
async function simulate(cluster: Cluster, setup: Setup, everyMinutes: number): Promise<void> {
  for (let minute = 0; minute < 26 * 60; minute++) {
    if (minute === 300) cluster.stop(2, true);
    if (minute === 480) cluster.stop(2, false);
    await cluster.minute();
    if (minute % everyMinutes !== everyMinutes - 1) continue;
    await run(setup);
    await assertAlone(setup);
  }
  await cluster.flushAll();
}

describe('a day of three ingesters', () => {
  for (const { name, maxSegmentBytes, streams } of [
    { name: 'that fits into a segment', maxSegmentBytes: 2 ** 27, streams: 6 },
    { name: 'of many segments', maxSegmentBytes: 150_000, streams: 24 },
    { name: 'that is settled in parts while it lasts', maxSegmentBytes: 20_000, streams: 12 },
  ]) {
    it(`${name} ends as one copy, which is then left alone`, async (t) => {
      const cluster = new Cluster(7, streams);
      const options: SetupOptions = { config: { maxSegmentBytes } };
      const setup = await startOver(cluster.store, cluster.clock, options);
      await simulate(cluster, setup, 30);
      const runs = await settleDown(cluster, setup);
      await assertOneCopy(cluster, setup);
      const written = await writtenBytes(setup);
      const stored = storedBytes(setup);
      const amplification = written / cluster.flushedBytes;
      t.diagnostic(
        `${cluster.taken.size} rows; ${cluster.flushedBytes} bytes flushed by 3, ${stored} stored in ` +
          `${setup.catalog.segmentCount} segments, ${written} written by merges: ` +
          `${amplification.toFixed(2)} of flushed, ${(written / stored).toFixed(2)} of stored; quiet after ${runs} runs`,
      );
      assert.ok(cluster.flushedBytes > 2.5 * stored, 'there were three copies');
      assert.ok(amplification < 2, `${amplification} bytes written for each that was flushed`);
      // Another process, with nothing in memory, finds nothing to do either.
      const other = await startOver(cluster.store, cluster.clock, options);
      for (let i = 0; i < 3; i++) await run(other);
      assert.equal(await writtenBytes(other), 0);
    });
  }

  it('takes in what an ingester stores a day late, from its log', async () => {
    const cluster = new Cluster(11, 12);
    const setup = await startOver(cluster.store, cluster.clock, { config: { maxSegmentBytes: 100_000 } });
    for (let minute = 0; minute < 20 * 60; minute++) {
      if (minute === 600) cluster.stop(1, true);
      await cluster.minute();
      if (minute % 60 === 59) await run(setup);
    }
    cluster.stop(1, true);
    for (let i = 0; i < 4; i++) {
      cluster.clock.ms += 8 * HOUR_MS;
      await run(setup);
    }
    await cluster.flushAll();
    await settleDown(cluster, setup);
    await assertOneCopy(cluster, setup);
  });

  it('is not written again and again for a few rows that come late', async (t) => {
    const cluster = new Cluster(13, 12);
    const setup = await startOver(cluster.store, cluster.clock, { config: { maxSegmentBytes: 100_000 } });
    for (let minute = 0; minute < 20 * 60; minute++) await cluster.minute();
    await cluster.flushAll();
    await settleDown(cluster, setup);
    await assertOneCopy(cluster, setup);
    const before = await writtenBytes(setup);
    const flushed = cluster.flushedBytes;
    const atMs = START_MS + 10 * HOUR_MS;
    let flushes = 0;
    for (let hour = 0; hour < 7 * 24; hour++) {
      cluster.clock.ms += HOUR_MS;
      const app = `app-${hour % 12}`;
      const row = { ns: ns(atMs + hour * MINUTE_MS), line: `late ${hour}` };
      cluster.taken.add(JSON.stringify([[['app', app]], String(row.ns), row.line, []]));
      for (let writer = 0; writer < 3; writer++) {
        const key = await flush(cluster.store, cluster.clock, [[{ app }, [row]]]);
        cluster.flushedBytes += cluster.store.objects.get(key)!.length;
        flushes++;
      }
      await run(setup);
    }
    cluster.clock.ms += 7 * DAY_MS; // as long as late rows came
    await settleDown(cluster, setup);
    await assertOneCopy(cluster, setup);
    const rewritten = (await writtenBytes(setup)) - before - 3 * (cluster.flushedBytes - flushed);
    const times = rewritten / storedBytes(setup);
    t.diagnostic(`${flushes} late flushes: the day was written ${times.toFixed(2)} times more`);
    assert.ok(times < 8, `the day was written ${times} times more`);
  });
});

describe('segments that several ingesters stored', () => {
  const config = { maxSegmentBytes: 30_000, retentionEnabled: true, cancelPeriodMs: 0 };

  it('lose deleted rows and old streams after they were brought together, and before', async () => {
    for (const isTogether of [true, false]) {
      const cluster = new Cluster(17, 12);
      const limits = { retention_stream: [{ selector: '{app="app-3"}', priority: 1, period: 60 * HOUR_MS }] };
      const setup = await startOver(cluster.store, cluster.clock, { config, limits });
      for (let minute = 0; minute < 20 * 60; minute++) await cluster.minute();
      await cluster.flushAll();
      if (isTogether) await settleDown(cluster, setup);
      const several = setup.catalog.segments(TENANT).length;
      assert.ok(several > 3 || !isTogether, `${several} segments`);
      const query = '{app=~"app-[12]"} |~ "path=/p[12] id=[1-5]"';
      await setup.requests.add({ tenant: TENANT, query, startMs: START_MS, endMs: START_MS + 12 * HOUR_MS });
      cluster.clock.ms = START_MS + 96 * HOUR_MS;
      for (let i = 0; i < 4; i++) {
        await run(setup);
        await assertAlone(setup);
        cluster.clock.ms += 3 * HOUR_MS;
      }
      assert.equal(setup.requests.pending(TENANT).length, 0);
      for (const text of [...cluster.taken]) {
        const [[[, app]], at, line] = JSON.parse(text) as [[[string, string]], string, string];
        const inTime = BigInt(at) >= ns(START_MS) && BigInt(at) <= ns(START_MS + 12 * HOUR_MS);
        const isDeleted = /^app-[12]$/.test(app) && inTime && /path=\/p[12] id=[1-5]/.test(line);
        if (isDeleted || app === 'app-3') cluster.taken.delete(text);
      }
      await assertOneCopy(cluster, setup);
    }
  });

  it('are left to the process that leads', async () => {
    const cluster = new Cluster(19, 4);
    let leads = false;
    let asked = 0;
    const setup = await startOver(cluster.store, cluster.clock, {
      config,
      isLeader: () => {
        asked++;
        return leads;
      },
    });
    for (let minute = 0; minute < 8 * 60; minute++) await cluster.minute();
    cluster.clock.ms += 2 * DAY_MS;
    const objects = () => [...cluster.store.objects.keys()].sort();
    const before = objects();
    await run(setup);
    assert.ok(asked > 0);
    assert.deepEqual(objects(), before);
    // Lost again before the first rewrite.
    const asks: boolean[] = [true];
    const other = await startOver(cluster.store, cluster.clock, { config, isLeader: () => asks.pop() ?? false });
    await run(other);
    assert.deepEqual(objects(), before);
    leads = true;
    await run(setup);
    assert.notDeepEqual(objects(), before);
    await setup.requests.add({ tenant: TENANT, query: '{app="app-0"}', startMs: 0, endMs: cluster.clock.ms });
    cluster.clock.ms += HOUR_MS;
    await run(setup);
    await run(other);
    const statusOf = ({ requests }: Setup) => requests.list(TENANT).map(({ status }) => status);
    assert.deepEqual([statusOf(setup), statusOf(other)], [['processed'], ['processed']]);
  });

  it('are not taken for all that there is while an ingester does not answer', async () => {
    const cluster = new Cluster(23, 2);
    for (let minute = 0; minute < 120; minute++) await cluster.minute();
    await cluster.flushAll();
    let isDown = true;
    const answers = ingesterOf(async () => []);
    const away = ingesterOf(async () => {
      if (isDown) throw new Error('connection refused');
      return [];
    });
    let isKnown = false;
    const ingesters = () => {
      if (!isKnown) throw new Error('etcd is away');
      return [answers, away];
    };
    const setup = await startOver(cluster.store, cluster.clock, { config, ingesters });
    await setup.requests.add({
      tenant: TENANT,
      query: '{app="app-0"}',
      startMs: START_MS - DAY_MS,
      endMs: cluster.clock.ms,
    });
    for (let runs = 0; runs < 2; runs++) {
      cluster.clock.ms += HOUR_MS;
      await run(setup);
      assert.equal(setup.requests.pending(TENANT).length, 1);
      isKnown = true;
    }
    assert.match(await setup.registry.metrics(), /apply_retention_operation_total\{status="success"\} 2/);
    isDown = false;
    cluster.clock.ms += HOUR_MS;
    await run(setup);
    assert.equal(setup.requests.pending(TENANT).length, 0);
    const left = await rowsIn(setup.catalog, cluster.store);
    assert.ok(left.length > 0 && left.every((text) => !text.includes('"app-0"')));
  });

  it('that another process stored are known before a delete request is called processed', async () => {
    const cluster = new Cluster(29, 2);
    const setup = await startOver(cluster.store, cluster.clock, { config, ingesters: [] });
    // The catalog was read before these were stored.
    for (let minute = 0; minute < 120; minute++) await cluster.minute();
    await cluster.flushAll();
    await setup.requests.add({
      tenant: TENANT,
      query: '{app="app-0"}',
      startMs: START_MS - DAY_MS,
      endMs: cluster.clock.ms,
    });
    cluster.clock.ms += HOUR_MS;
    await setup.compactor.run();
    assert.equal(setup.requests.pending(TENANT).length, 0);
    const left = await rowsIn(setup.catalog, cluster.store);
    assert.ok(left.length > 0 && left.every((text) => !text.includes('"app-0"')));
  });

  it('of all tenants get their turn, and nothing else waits for long, however much there is to bring together', async () => {
    const store = new MemoryStore();
    const clock = new TestClock(START_MS);
    for (const tenant of ['a', 'b', 'c']) {
      for (let day = 0; day < 4; day++) {
        const rows = [{ ns: ns(START_MS + day * DAY_MS), line: 'x' }];
        for (let writer = 0; writer < 2; writer++) await flush(store, clock, [[{ app: 'x' }, rows]], tenant);
      }
    }
    clock.ms += 10 * DAY_MS;
    const merged: string[] = [];
    const merger: SegmentMerger = {
      merge: (request, signal) => {
        clock.ms += 6 * MINUTE_MS;
        if (request.cutsNs.length > 0) merged.push(request.tenant);
        return mergeSegments(store, request, signal);
      },
      findOverlaps: (search, signal) => findOverlaps(store, search, signal),
      release: async () => {},
    };
    // None is small enough to be merged with its neighbour alone.
    const setup = await startOver(store, clock, { merger, config: { maxSegmentBytes: 1 } });
    const turns: string[] = [];
    for (let runs = 0; runs < 6; runs++) {
      await run(setup);
      turns.push(merged.splice(0).join(''));
    }
    assert.deepEqual(turns, ['aa', 'bb', 'cc', 'aa', 'bb', 'cc']);
  });

  it('are left without a claim by a compactor that is told to stop', async () => {
    const cluster = new Cluster(31, 4);
    for (let minute = 0; minute < 8 * 60; minute++) await cluster.minute();
    cluster.clock.ms += 2 * DAY_MS;
    const { store } = cluster;
    const before = [...store.objects.keys()].sort();
    const reached = Promise.withResolvers<void>();
    let isReleased = false;
    const merger: SegmentMerger = {
      merge: async (request, signal) => {
        await mergeSegments(store, request);
        reached.resolve();
        await once(signal, 'abort');
        throw signal.reason;
      },
      findOverlaps: (search, signal) => findOverlaps(store, search, signal),
      release: async () => {
        isReleased = true;
      },
    };
    const setup = await startOver(store, cluster.clock, { merger, config });
    const running = run(setup);
    await reached.promise;
    assert.ok(store.objects.size > before.length);
    await setup.compactor.stop();
    await running;
    assert.ok(isReleased);
    assert.deepEqual([...store.objects.keys()].sort(), before);
  });
});
