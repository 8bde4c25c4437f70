import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBlocks } from '../storage/block/index.ts';
import { headOf } from '../storage/block/testing/heads.ts';
import { silentLogger } from '../storage/host/logger.ts';
import { SegmentCatalog } from '../storage/index/index.ts';
import { ObjectStoreError } from '../storage/objectstore/index.ts';
import { MemoryStore } from '../test/faults/memory-store.ts';
import { ManualClock } from './querier/testing/manual-clock.ts';
import { SEGMENT_NAMED_MS } from './rpc/recent-rows.ts';
import { CatalogSink } from './segment-sink.ts';

const series = [{ labels: [['app', 'a'] as const], blocks: encodeBlocks(headOf([{ ns: 1n, line: 'x' }])) }];

async function setUp() {
  const store = new MemoryStore();
  const catalog = new SegmentCatalog(store, silentLogger);
  const clock = new ManualClock();
  const sink = new CatalogSink(store, catalog, clock, silentLogger);
  const write = async (tenant: string, into = sink): Promise<string> => {
    const id = into.newKey();
    (await into.write(tenant, id, series)).publish();
    return id;
  };
  const named = (tenant: string, of = sink): string[] => of.published(tenant).map((key) => key.split('-').at(-3)!);
  return { store, catalog, clock, sink, write, named };
}

test('a segment is named from its publication on, to its tenant, and for no longer than it takes', async () => {
  const { catalog, clock, sink, write, named } = await setUp();
  const stored = await sink.write('a', sink.newKey(), series);
  assert.deepEqual(named('a'), []);
  stored.publish();
  const first = catalog.segments('a')[0]!.id;
  assert.deepEqual(named('a'), [first]);
  await clock.pass(60_000);
  const second = await write('a');
  const other = await write('b');
  assert.deepEqual([named('a'), named('b')], [[first, second], [other]]);
  await clock.pass(SEGMENT_NAMED_MS - 60_000);
  assert.deepEqual(named('a'), [second]);
  await clock.pass(60_000);
  assert.deepEqual([named('a'), named('b')], [[], []]);
});

test('who starts anew names what it may have stored before', async () => {
  const { store, clock, write } = await setUp();
  await write('a');
  await clock.pass(SEGMENT_NAMED_MS + 1);
  const lately = await write('a');
  const loaded = new SegmentCatalog(store, silentLogger);
  await loaded.load();
  const restarted = new CatalogSink(store, null, clock, silentLogger);
  restarted.nameLatest(loaded);
  assert.deepEqual(
    restarted.published('a').map((key) => key.includes(lately)),
    [true],
  );
});

test('what is stored is known again, with a catalog and without one', async () => {
  const { store, clock, sink, write } = await setUp();
  const id = await write('a');
  const other = new CatalogSink(store, null, clock, silentLogger);
  for (const one of [sink, other]) {
    assert.equal(await one.exists('a', id), true);
    assert.equal(await one.exists('a', one.newKey()), false);
    assert.equal(await one.exists('b', id), false);
  }
});

test('where the store cannot be asked, nothing is known to be stored, and it is asked once only', async () => {
  const { store, clock, write } = await setUp();
  const id = await write('a');
  let listings = 0;
  const away = Object.assign(Object.create(store) as MemoryStore, {
    // biome-ignore lint/correctness/useYield: it fails before there is something to yield
    async *list(): AsyncGenerator<never> {
      listings++;
      throw new ObjectStoreError('unavailable', 'a fault of the test');
    },
  });
  const sink = new CatalogSink(away, null, clock, silentLogger);
  assert.deepEqual([await sink.exists('a', id), await sink.exists('a', id), listings], [false, false, 1]);
});
