import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../storage/host/logger.ts';
import type { ObjectEntry } from '../../storage/objectstore/index.ts';
import { MemoryStore } from '../../test/faults/memory-store.ts';
import { defaultLimits } from '../config/limits.ts';
import { DeleteRequests } from './delete-requests.ts';
import { NOON_MS, TestClock } from './testing/setup.ts';

const TENANT = 'team-a';

/** Listings of it wait, once they have seen what there is, for the gate. */
class GatedStore extends MemoryStore {
  gate: Promise<void> = Promise.resolve();

  override async *list(prefix: string): AsyncGenerator<ObjectEntry> {
    const found: ObjectEntry[] = [];
    for await (const one of super.list(prefix)) found.push(one);
    await this.gate;
    yield* found;
  }
}

function setUp() {
  const store = new GatedStore();
  const clock = new TestClock();
  const limits = { for: () => defaultLimits };
  const open = () => new DeleteRequests({ store, keyPrefix: 'index/', limits, clock, logger: silentLogger });
  const asked = { tenant: TENANT, query: '{app="a"}', startMs: NOON_MS - 1000, endMs: NOON_MS };
  return { store, open, asked };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('DeleteRequests', () => {
  it('hides rows all along for a request that is taken in while several read the store', async () => {
    const { store, open, asked } = setUp();
    const requests = open();
    const gate = Promise.withResolvers<void>();
    store.gate = gate.promise;
    const first = requests.load();
    await turn();
    await requests.add(asked);
    const second = requests.load();
    await turn();
    gate.resolve();
    await first;
    assert.equal(requests.pending(TENANT).length, 1);
    await second;
    assert.equal(requests.pending(TENANT).length, 1);
  });

  it('does not go back to what an earlier reading saw', async () => {
    const { store, open, asked } = setUp();
    const requests = open();
    const gate = Promise.withResolvers<void>();
    store.gate = gate.promise;
    const first = requests.load();
    await turn();
    await open().add(asked);
    store.gate = Promise.resolve();
    const second = requests.load();
    await turn();
    gate.resolve();
    await Promise.all([first, second]);
    assert.equal(requests.pending(TENANT).length, 1);
  });

  it('reads again after a reading that failed', async () => {
    const { store, open, asked } = setUp();
    await open().add(asked);
    const requests = open();
    store.gate = Promise.reject(new Error('down'));
    await assert.rejects(requests.load(), { message: 'down' });
    store.gate = Promise.resolve();
    await requests.load();
    assert.equal(requests.pending(TENANT).length, 1);
  });
});
