import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PendingDelete } from '../rpc/deletes.ts';
import { HeldDeletes } from './held-deletes.ts';

const request = (id: string): PendingDelete => ({
  rule: { id, startNs: 0n, endNs: 1n, stages: [] } as unknown as PendingDelete['rule'],
  matches: () => true,
});

function setUp() {
  const inStore = new Map<string, PendingDelete[]>();
  let loaded = new Map<string, PendingDelete[]>();
  const loadElsewhere = (): void => {
    loaded = new Map(inStore);
  };
  const held = new HeldDeletes({
    load: async () => loadElsewhere(),
    tenants: () => [...loaded.keys()],
    pending: (tenant) => loaded.get(tenant) ?? [],
  });
  const ids = (tenant = 't'): string[] => held.pending(tenant).map(({ rule }) => rule.id);
  return { inStore, held, ids, loadElsewhere };
}

test('a request hides rows from the load on that finds it', async () => {
  const { inStore, held, ids } = setUp();
  inStore.set('t', [request('a')]);
  assert.deepEqual(ids(), []);
  await held.load();
  assert.deepEqual([ids(), ids('u')], [['a'], []]);
});

test('one that somebody else of this process saw go hides rows until a load and a look at the catalog', async () => {
  const { inStore, held, ids, loadElsewhere } = setUp();
  inStore.set('t', [request('a')]);
  await held.load();
  held.release();
  await held.load();
  inStore.delete('t');
  loadElsewhere();
  assert.deepEqual(ids(), ['a']);
  held.release(); // of a look that began before
  assert.deepEqual(ids(), ['a']);
  await held.load();
  assert.deepEqual(ids(), ['a']);
  held.release();
  assert.deepEqual(ids(), []);
});

test('one that was carried out goes on hiding rows until the catalog is newer', async () => {
  const { inStore, held, ids } = setUp();
  inStore.set('t', [request('a'), request('b')]);
  await held.load();
  held.release();
  inStore.set('t', [request('b'), request('c')]);
  await held.load();
  assert.deepEqual(ids().sort(), ['a', 'b', 'c']);
  inStore.delete('t');
  await held.load(); // the catalog could not be looked at in between
  assert.deepEqual(ids().sort(), ['a', 'b', 'c']);
  held.release();
  assert.deepEqual(ids(), []);
});
