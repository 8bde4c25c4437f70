/** The compactor stopped at every call of the object store in turn: after a restart every row is there, and once. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  flush,
  HOUR_MS,
  NOON_MS,
  rowsIn,
  type SetupOptions,
  startOver,
  TestClock,
} from '../../services/compactor/testing/setup.ts';
import { CatalogSink } from '../../services/segment-sink.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import type { SegmentCatalog } from '../../storage/index/index.ts';
import type { ObjectEntry, ObjectStore } from '../../storage/objectstore/index.ts';
import { MemoryStore } from '../faults/memory-store.ts';

const MINUTE_MS = 60_000;
const ns = (ms: number): bigint => BigInt(ms) * 1_000_000n;

/** Stops at call `at`: the call is lost, or done with its answer lost, and none after it reaches the store. */
function stopping(
  store: MemoryStore,
  at: number,
  isDone: boolean,
): { store: ObjectStore; readonly calls: () => number } {
  let calls = 0;
  const lost = () => new Error('the process has ended');
  const around = async <T>(call: () => Promise<T>): Promise<T> => {
    calls++;
    if (calls > at || (calls === at && !isDone)) throw lost();
    const answer = await call();
    if (calls >= at) throw lost();
    return answer;
  };
  return {
    calls: () => calls,
    store: {
      put: (key, pieces, signal) => around(() => store.put(key, pieces, signal)),
      get: (key, range) => around(() => store.get(key, range)),
      delete: (key) => around(() => store.delete(key)),
      head: (key) => around(() => store.head(key)),
      async *list(prefix) {
        yield* await around(async () => {
          const entries: ObjectEntry[] = [];
          for await (const entry of store.list(prefix)) entries.push(entry);
          return entries;
        });
      },
      close: () => {},
    },
  };
}

/** A day with rows that overlap between segments, all of them different. */
async function day(clock: TestClock): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (let i = 0; i < 6; i++) {
    clock.ms = NOON_MS + i * 5 * MINUTE_MS;
    await flush(store, clock, [
      [{ app: 'web' }, Array.from({ length: 8 }, (_, r) => ({ ns: ns(NOON_MS + r * 60_000), line: `web ${i} ${r}` }))],
      [{ app: 'db' }, [{ ns: ns(clock.ms), line: `db ${i}` }]],
    ]);
  }
  clock.ms += 3 * MINUTE_MS;
  return store;
}

/** Three copies of a day's rows, of streams that fill several segments; of some pushes one writer has none. */
async function replicas(clock: TestClock): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (let i = 0; i < 2; i++) {
    for (let writer = 0; writer < 3; writer++) {
      clock.ms = NOON_MS + i * 5 * MINUTE_MS + writer;
      const streams = ['a', 'b', 'c', 'd'].map((app, s) => {
        const rows = Array.from({ length: 6 }, (_, r) => ({ ns: ns(NOON_MS + r * 60_000), line: `${app} ${i} ${r}` }));
        return [{ app }, rows.filter((_, r) => (r + s) % 5 !== writer)] as const;
      });
      await flush(store, clock, streams);
    }
  }
  clock.ms += 24 * HOUR_MS;
  return store;
}

/** Runs over what is to be done and beyond the time for which replaced objects are kept. */
async function runs(store: ObjectStore, clock: TestClock, options: SetupOptions): Promise<void> {
  const { compactor } = await startOver(store, clock, options);
  for (let i = 0; i < 4; i++) {
    await compactor.run();
    clock.ms += 3 * HOUR_MS;
  }
}

async function stopEverywhere(
  options: SetupOptions,
  prepare: (store: MemoryStore, clock: TestClock) => Promise<void>,
  /** Whether these rows may be what a restart finds, given those before and those at the end. */
  isRight: (found: string[], before: string[], after: string[]) => boolean,
  make: (clock: TestClock) => Promise<MemoryStore> = day,
  /** 1: at every call. */
  step = 1,
): Promise<void> {
  const clock = new TestClock();
  const origin = await make(clock);
  await prepare(origin, clock);
  const { catalog } = await startOver(origin, clock, options);
  const before = await rowsIn(catalog, origin);
  const fresh = () => {
    const store = new MemoryStore();
    for (const [key, bytes] of origin.objects) store.objects.set(key, bytes);
    return store;
  };
  const whole = fresh();
  const counted = stopping(whole, Number.POSITIVE_INFINITY, false);
  await runs(counted.store, new TestClock(clock.ms), options);
  const after = await rowsIn((await startOver(whole, clock, options)).catalog, whole);
  assert.ok(counted.calls() > 20);
  for (let at = 1; at <= counted.calls(); at += step) {
    for (const isDone of [false, true]) {
      const store = fresh();
      const then = new TestClock(clock.ms);
      await runs(stopping(store, at, isDone).store, then, options).catch(() => {}); // stopped
      const restarted = await startOver(store, then, options);
      const found = await rowsIn(restarted.catalog, store);
      assert.ok(isRight(found, before, after), `stopped at call ${at}, done: ${isDone}`);
      await runs(store, then, options);
      const last = await startOver(store, then, options);
      assert.deepEqual(await rowsIn(last.catalog, store), after, `after the stop at call ${at}, done: ${isDone}`);
      assert.deepEqual(
        [...store.objects.keys()].filter((key) => key.startsWith('compactions/')),
        [],
      );
    }
  }
}

describe('a compactor that is stopped at any call of the store', () => {
  it('loses no row and doubles none by merging', async () => {
    const equal = (found: string[], before: string[]) => JSON.stringify(found) === JSON.stringify(before);
    await stopEverywhere({}, async () => {}, equal);
  });

  it('loses no row by bringing copies together in several segments, and ends with one copy', async () => {
    const config = { maxSegmentBytes: 400 };
    const texts = (rows: readonly string[]) => JSON.stringify([...new Set(rows)]);
    let several = 0;
    await stopEverywhere(
      { config },
      async (store, clock) => {
        const whole = new MemoryStore();
        for (const [key, bytes] of store.objects) whole.objects.set(key, bytes);
        const setup = await startOver(whole, clock, { config });
        await setup.compactor.run();
        several = setup.catalog.segmentCount;
      },
      (found, before, after) =>
        texts(found) === texts(before) && new Set(after).size === after.length && texts(after) === texts(before),
      replicas,
    );
    assert.ok(several > 2, `${several} segments took the place of the copies`);
  });

  it('has carried out a delete request in some segments, and does so in the others', async () => {
    const config = { retentionEnabled: true, cancelPeriodMs: 0 };
    const request = {
      tenant: 'team-a',
      query: '{app="web"} |~ "web . [2-5]"',
      startMs: NOON_MS,
      endMs: NOON_MS + HOUR_MS,
    };
    await stopEverywhere(
      { config },
      async (store, clock) => {
        clock.ms = NOON_MS + 2 * HOUR_MS;
        await (await startOver(store, clock, { config })).requests.add(request);
      },
      (found, before, after) => {
        const known = new Set(before);
        const isOnce = new Set(found).size === found.length && found.every((row) => known.has(row));
        const rows = new Set(found);
        return isOnce && after.length < before.length && after.every((row) => rows.has(row));
      },
    );
  });

  it('has carried out a delete request in some of several copies, and does so in what becomes of them', async () => {
    const config = { retentionEnabled: true, cancelPeriodMs: 0, maxSegmentBytes: 400 };
    const request = { tenant: 'team-a', query: '{app=~"a|b"} |= " 1"', startMs: NOON_MS, endMs: NOON_MS + HOUR_MS };
    await stopEverywhere(
      { config },
      async (store, clock) => {
        await (await startOver(store, clock, { config })).requests.add(request);
      },
      (found, before, after) => {
        const known = new Set(before);
        const rows = new Set(found);
        const isCopy = found.every((row) => known.has(row)) && after.every((row) => rows.has(row));
        return isCopy && new Set(after).size === after.length && after.length < known.size;
      },
      replicas,
      3,
    );
  });

  it('drops what is too old, whole or not yet', async () => {
    const limits = {
      retention_stream: [{ selector: '{app="db"}', priority: 1, period: 24 * HOUR_MS }],
    };
    await stopEverywhere(
      { config: { retentionEnabled: true }, limits },
      async (_, clock) => {
        clock.ms = NOON_MS + 26 * HOUR_MS;
      },
      (found, before, after) => {
        const known = new Set(before);
        const rows = new Set(found);
        return rows.size === found.length && found.every((r) => known.has(r)) && after.every((r) => rows.has(r));
      },
    );
  });
});

describe('compactors', () => {
  it('of two processes over one store do not disturb each other', async () => {
    for (let round = 0; round < 40; round++) {
      const clock = new TestClock();
      const isReplicated = round >= 20;
      const config = isReplicated ? { maxSegmentBytes: 400 } : {};
      const store = await (isReplicated ? replicas : day)(clock);
      const rows = async (catalog: SegmentCatalog) => [...new Set(await rowsIn(catalog, store))];
      const before = await rows((await startOver(store, clock)).catalog);
      const slow = (delay: number): ObjectStore => {
        const wait = async () => {
          for (let i = 0; i < delay; i++) await Promise.resolve();
        };
        return {
          put: (key, pieces, signal) => wait().then(() => store.put(key, pieces, signal)),
          get: (key, range) => wait().then(() => store.get(key, range)),
          delete: (key) => wait().then(() => store.delete(key)),
          head: (key) => wait().then(() => store.head(key)),
          list: (prefix) => store.list(prefix),
          close: () => {},
        };
      };
      const one = await startOver(slow(round % 5), clock, { config });
      const other = await startOver(slow((round * 7) % 11), clock, { config });
      for (let i = 0; i < 4; i++) {
        await Promise.all([one.compactor.run(), other.compactor.run()]);
        for (const { catalog } of [one, other]) {
          await catalog.refresh();
          assert.deepEqual(await rows(catalog), before, `round ${round}, run ${i}`);
        }
        clock.ms += (round % 2 === 0 ? 1 : 10) * MINUTE_MS;
      }
      clock.ms += 3 * HOUR_MS; // should both have given way each time
      await one.compactor.run();
      const { catalog } = await startOver(store, clock);
      assert.deepEqual(await rowsIn(catalog, store), before, `round ${round}: one copy`);
    }
  });

  it('tell an ingester that a segment which they replaced was stored', async () => {
    const clock = new TestClock();
    const store = await day(clock);
    const { catalog, compactor } = await startOver(store, clock);
    const ids = catalog.segments('team-a').map(({ id }) => id);
    const sink = new CatalogSink(store, catalog, clock, silentLogger);
    for (let i = 0; i < 3; i++) {
      await compactor.run();
      clock.ms += 3 * HOUR_MS;
      for (const id of ids) assert.equal(await sink.exists('team-a', id), true);
    }
    assert.equal(catalog.segmentCount, 1);
    assert.equal(await sink.exists('team-a', '0'.repeat(28)), false);
  });
});
