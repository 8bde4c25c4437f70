import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { MemoryStore } from '../../test/faults/memory-store.ts';
import { MemoryCache } from '../cache/index.ts';
import { CachedStore } from './cached-store.ts';
import type { ByteRange } from './object-store.ts';

class CountingStore extends MemoryStore {
  reads = 0;
  override async get(key: string, range?: ByteRange): Promise<Uint8Array> {
    this.reads++;
    return super.get(key, range);
  }
}

const KEY = 'segments/t/x.seg';
const memory = (maxBytes = 1 << 20): MemoryCache => new MemoryCache({ maxBytes, ttlMs: 0 });

test('ranges are those of the store, whatever was read before, from memory, from afar, and without either', async () => {
  const store = new CountingStore();
  const object = randomBytes(1000);
  await store.put(KEY, [object]);
  const range = fc
    .integer({ min: 0, max: 999 })
    .chain((offset) =>
      fc.record({ offset: fc.constant(offset - (offset % 250)), length: fc.integer({ min: 0, max: 1000 - offset }) }),
    );
  await fc.assert(
    fc.asyncProperty(fc.array(range), fc.boolean(), fc.boolean(), async (ranges, hasMemory, hasRemote) => {
      const cached = new CachedStore(store, hasMemory ? memory(2000) : null, hasRemote ? memory() : null);
      for (const { offset, length } of ranges) {
        const found = await cached.get(KEY, { offset, length });
        assert.ok(object.subarray(offset, offset + length).equals(found));
        found.fill(0); // the caller's own
      }
    }),
  );
});

test('a range is read once, and so is what it begins with', async () => {
  const store = new CountingStore();
  await store.put(KEY, [Buffer.from('0123456789')]);
  const remote = memory();
  const cached = new CachedStore(store, memory(), remote);
  await cached.get(KEY, { offset: 2, length: 4 });
  await cached.get(KEY, { offset: 2, length: 3 });
  assert.equal(store.reads, 1);
  await cached.get(KEY, { offset: 2, length: 6 });
  await cached.get(KEY, { offset: 2, length: 6 });
  assert.equal(store.reads, 2);
  const other = new CachedStore(store, memory(), remote);
  assert.equal(Buffer.from(await other.get(KEY, { offset: 2, length: 6 })).toString(), '234567');
  await remote.close();
  await other.get(KEY, { offset: 2, length: 6 });
  assert.equal(store.reads, 2, 'what came from afar is at hand then');
});

test('whole objects, and those that may change, are read anew', async () => {
  const store = new CountingStore();
  await store.put(KEY, [Buffer.from('0123456789')]);
  await store.put('other', [Buffer.from('0123456789')]);
  const cached = new CachedStore(store, memory(), memory());
  for (let i = 0; i < 2; i++) {
    await cached.get(KEY);
    await cached.get('other', { offset: 0, length: 5 });
  }
  assert.equal(store.reads, 4);
  await assert.rejects(cached.get('segments/t/none', { offset: 0, length: 1 }), { code: 'not_found' });
});
