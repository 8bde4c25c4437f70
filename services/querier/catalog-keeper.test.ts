import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../storage/host/logger.ts';
import { SEGMENT_NAMED_MS } from '../rpc/recent-rows.ts';
import { CatalogKeeper } from './catalog-keeper.ts';
import { HeldDeletes } from './held-deletes.ts';
import { ManualClock, settled } from './testing/manual-clock.ts';

const MINUTE_MS = 60_000;

async function setUp() {
  const clock = new ManualClock();
  const looks: string[] = [];
  const state = { isDown: false, gate: Promise.resolve(), members: ['a 1', 'b 1'] };
  const look = async (what: string): Promise<void> => {
    looks.push(what);
    await state.gate;
    if (state.isDown) throw new Error('the store is down');
  };
  const logged: string[] = [];
  const logger = {
    ...silentLogger,
    error: (message: string) => logged.push(`error: ${message}`),
    info: (message: string) => logged.push(`info: ${message}`),
  };
  const deletes = new HeldDeletes({
    load: () => look('deletes'),
    tenants: () => [],
    pending: () => [],
  });
  const keeper = new CatalogKeeper({
    catalog: { refresh: () => look('listing'), refreshReplaced: () => look('notes') },
    members: () => state.members,
    deletes,
    clock,
    logger,
  });
  const taken = (): string[] => looks.splice(0).filter((what) => what !== 'deletes');
  await keeper.start();
  return { clock, keeper, state, taken, looks, logged };
}

describe('CatalogKeeper', () => {
  it('lists at start, then looks at notes often and at everything now and then, delete requests first', async (t) => {
    const { clock, keeper, looks, taken } = await setUp();
    t.after(() => keeper.stop());
    assert.deepEqual(looks, ['deletes', 'listing']);
    taken();
    await clock.pass(15_000);
    assert.deepEqual(looks, ['deletes', 'notes']);
    taken();
    await clock.pass(10 * MINUTE_MS);
    const found = taken();
    assert.equal(found.filter((what) => what === 'listing').length, 2);
    assert.equal(found.length, 40);
  });

  it('costs a query nothing while the last look is young', async (t) => {
    const { clock, keeper, taken } = await setUp();
    t.after(() => keeper.stop());
    taken();
    await keeper.fresh();
    await clock.pass(10_000);
    await keeper.fresh();
    assert.deepEqual(taken(), []);
  });

  it('has all waiting queries share one listing when an ingester has gone or started again', async (t) => {
    const { keeper, state, taken } = await setUp();
    t.after(() => keeper.stop());
    for (const members of [['a 1'], ['a 2'], ['a 2', 'c 1'], ['a 2']]) {
      taken();
      const isGone = members.length !== 2;
      state.members = members;
      await Promise.all([keeper.fresh(), keeper.fresh(), keeper.fresh()]);
      assert.deepEqual(taken(), isGone ? ['listing'] : []);
    }
  });

  it('does not take a listing for new enough that began before the ingester had gone', async (t) => {
    const { clock, keeper, state, taken } = await setUp();
    t.after(() => keeper.stop());
    const gate = Promise.withResolvers<void>();
    await clock.pass(5 * MINUTE_MS - 10_000);
    state.gate = gate.promise;
    await clock.pass(10_000);
    taken();
    state.members = ['a 1'];
    let isFresh = false;
    const fresh = keeper.fresh().then(() => {
      isFresh = true;
    });
    await settled();
    assert.equal(isFresh, false);
    gate.resolve();
    await fresh;
    assert.deepEqual(taken(), ['listing', 'listing']);
  });

  it('fails a query, with one look for all, when the last good look is too old, and says so once', async (t) => {
    const { clock, keeper, state, taken, logged } = await setUp();
    t.after(() => keeper.stop());
    state.isDown = true;
    await clock.pass(40_000);
    await keeper.fresh();
    await clock.pass(10_000);
    taken();
    const asked = await Promise.allSettled([keeper.fresh(), keeper.fresh(), keeper.fresh()]);
    assert.deepEqual(
      asked.map(({ status }) => status),
      ['rejected', 'rejected', 'rejected'],
    );
    await clock.pass(MINUTE_MS);
    assert.equal(logged.length, 1);
    state.isDown = false;
    taken();
    await keeper.fresh();
    assert.deepEqual(logged.length, 2);
  });

  it('lists everything after a pause in which notes may have come and gone', async (t) => {
    const { clock, keeper, state, taken } = await setUp();
    t.after(() => keeper.stop());
    state.isDown = true;
    await clock.pass(70_000);
    state.isDown = false;
    taken();
    await keeper.fresh();
    assert.deepEqual(taken(), ['listing']);
  });

  it('lists again when the clock was put back: how old the listing is cannot be told', async (t) => {
    const { clock, keeper, taken } = await setUp();
    t.after(() => keeper.stop());
    taken();
    clock.putBack(60 * MINUTE_MS);
    await keeper.fresh();
    assert.deepEqual(taken(), ['listing']);
    await keeper.fresh();
    assert.deepEqual(taken(), []);
  });

  it('never lets a listing become as old as the time for which ingesters name segments', async () => {
    const clock = new ManualClock();
    let listedMs = 0;
    const keeper = new CatalogKeeper({
      catalog: { refresh: async () => void (listedMs = clock.nowMs()), refreshReplaced: async () => {} },
      members: () => [],
      clock,
      logger: silentLogger,
      listEveryMs: Number.POSITIVE_INFINITY,
    });
    await keeper.start();
    for (let i = 0; i < 300; i++) {
      await clock.pass(10_000);
      await keeper.fresh();
      assert.ok(clock.nowMs() - listedMs < SEGMENT_NAMED_MS - 4 * MINUTE_MS);
    }
    await keeper.stop();
  });
});
