/** What every object store must do. Registers tests with the running test file. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MAX_KEY_BYTES, type ObjectStore, ObjectStoreError, type ObjectStoreErrorCode } from '../index.ts';

/** Keys as tenants from outside could make them. */
export const oddKeys = [
  'plain',
  'a/b/c.seg',
  'with space/and+plus',
  'per%cent/%41/%',
  'dots/../.../..',
  './hidden',
  'unicode/ключ/日本',
  'quotes/"\'<>&;?#*',
  'control/\u0001\u007f',
  `long/${'x'.repeat(600)}/${'ж'.repeat(150)}`,
];

/** `makeStore` gives an empty store. */
export function testObjectStore(makeStore: () => Promise<ObjectStore>): void {
  const failsWith = (code: ObjectStoreErrorCode) => (error: unknown) =>
    error instanceof ObjectStoreError && error.code === code && error.retryable === (code === 'unavailable');
  const keysOf = async (store: ObjectStore, prefix: string): Promise<string[]> => {
    const keys: string[] = [];
    for await (const { key } of store.list(prefix)) keys.push(key);
    return keys.sort();
  };

  it('gives back what was put, whole and in ranges', async () => {
    const store = await makeStore();
    const shared = new Uint8Array(new SharedArrayBuffer(3));
    shared.set([4, 5, 6]);
    await store.put('some/key', [Uint8Array.of(1, 2, 3), shared, new Uint8Array(0), Uint8Array.of(7)]);
    assert.deepEqual([...(await store.get('some/key'))], [1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual([...(await store.get('some/key', { offset: 2, length: 3 }))], [3, 4, 5]);
    assert.deepEqual([...(await store.get('some/key', { offset: 6, length: 1 }))], [7]);
    assert.deepEqual([...(await store.get('some/key', { offset: 6, length: 0 }))], []);
    assert.deepEqual(await store.head('some/key'), { key: 'some/key', sizeBytes: 7 });
    if (store.getSync) {
      assert.deepEqual([...store.getSync('some/key')], [1, 2, 3, 4, 5, 6, 7]);
      assert.deepEqual([...store.getSync('some/key', { offset: 2, length: 3 })], [3, 4, 5]);
      assert.throws(() => store.getSync!('some/key', { offset: 2, length: 6 }), failsWith('invalid'));
      assert.throws(() => store.getSync!('other/key'), failsWith('not_found'));
    }
  });

  it('holds an empty object', async () => {
    const store = await makeStore();
    await store.put('empty', []);
    assert.equal((await store.get('empty')).length, 0);
    assert.equal((await store.head('empty')).sizeBytes, 0);
  });

  it('replaces an object', async () => {
    const store = await makeStore();
    await store.put('key', [Buffer.from('first, long')]);
    await store.put('key', [Buffer.from('second')]);
    assert.equal(Buffer.from(await store.get('key')).toString(), 'second');
    assert.deepEqual(await keysOf(store, ''), ['key']);
  });

  it('refuses a range past the end', async () => {
    const store = await makeStore();
    await store.put('key', [Buffer.from('0123456789')]);
    await assert.rejects(store.get('key', { offset: 5, length: 6 }), failsWith('invalid'));
    await assert.rejects(store.get('key', { offset: 10, length: 1 }), failsWith('invalid'));
    await assert.rejects(store.get('key', { offset: -1, length: 1 }), failsWith('invalid'));
  });

  it('says that a key is not there, and deletes it all the same', async () => {
    const store = await makeStore();
    await store.put('folder/key', [Buffer.from('x')]);
    for (const key of ['nothing', 'folder', 'folder/key/below', 'folder/other']) {
      await assert.rejects(store.get(key), failsWith('not_found'), key);
      await assert.rejects(store.get(key, { offset: 0, length: 1 }), failsWith('not_found'), key);
      await assert.rejects(store.head(key), failsWith('not_found'), key);
      await store.delete(key);
    }
    await store.delete('folder/key');
    await assert.rejects(store.get('folder/key'), failsWith('not_found'));
    assert.deepEqual(await keysOf(store, ''), []);
  });

  it('holds keys of any characters', async () => {
    const store = await makeStore();
    for (const key of oddKeys) await store.put(key, [Buffer.from(key)]);
    for (const key of oddKeys) assert.equal(Buffer.from(await store.get(key)).toString(), key);
    assert.deepEqual(await keysOf(store, ''), [...oddKeys].sort());
    for (const key of oddKeys) await store.delete(key);
    assert.deepEqual(await keysOf(store, ''), []);
  });

  it('refuses what is not a key', async () => {
    const store = await makeStore();
    for (const key of ['', '/a', 'a/', 'a//b', 'x'.repeat(MAX_KEY_BYTES + 1), '\ud800']) {
      await assert.rejects(async () => store.put(key, []), failsWith('invalid'), key);
      await assert.rejects(async () => store.get(key), failsWith('invalid'), key);
    }
  });

  it('lists by prefix, also by one that ends inside a part', async () => {
    const store = await makeStore();
    const keys = ['a/1', 'a/10', 'a/2', 'ab/1', 'b', 'c d/1', 'c%20d/1'];
    for (const key of keys) await store.put(key, [Buffer.from(key)]);
    for (const prefix of ['', 'a', 'a/', 'a/1', 'a/10', 'ab/', 'b', 'b/', 'c ', 'c d/', 'nothing/at/all']) {
      const expected = keys.filter((key) => key.startsWith(prefix)).sort();
      assert.deepEqual(await keysOf(store, prefix), expected, prefix);
    }
    for await (const { key, sizeBytes } of store.list('')) assert.equal(sizeBytes, Buffer.byteLength(key));
  });

  it('stops when its signal has fired', async () => {
    const store = await makeStore();
    await store.put('key', [Buffer.from('x')]);
    const signal = AbortSignal.abort();
    await assert.rejects(store.get('key', undefined, signal), failsWith('aborted'));
    await assert.rejects(store.put('other', [], signal), failsWith('aborted'));
    await assert.rejects(store.head('key', signal), failsWith('aborted'));
    assert.deepEqual(await keysOf(store, ''), ['key']);
  });
}
