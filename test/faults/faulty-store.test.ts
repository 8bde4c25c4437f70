import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { FilesystemStore, ObjectStoreError } from '../../storage/objectstore/index.ts';
import { testObjectStore } from '../../storage/objectstore/testing/contract.ts';
import { FaultyStore } from './faulty-store.ts';

const root = await mkdtemp(join(tmpdir(), 'loptr-faults-'));
after(() => rm(root, { recursive: true }));
let stores = 0;
const freshStore = () => new FilesystemStore({ kind: 'filesystem', directory: join(root, String(stores++)) });
const down = new ObjectStoreError('unavailable', 'down');

describe('FaultyStore', () => {
  testObjectStore(async () => new FaultyStore(freshStore()));

  it('strikes the calls that a fault names and no other', async () => {
    const store = new FaultyStore(freshStore(), [
      { operation: 'put', key: /^a/, nth: 2, times: 2, effect: { kind: 'error', error: down } },
    ]);
    await store.put('a1', []);
    await store.put('b', []);
    await assert.rejects(store.put('a2', []), down);
    await assert.rejects(store.put('a2', []), down);
    await store.put('a2', []);
    assert.deepEqual(
      store.struck.map(({ key }) => key),
      ['a2', 'a2'],
    );
  });

  it('loses an answer after the work is done', async () => {
    const store = new FaultyStore(freshStore(), [{ operation: 'put', effect: { kind: 'error_after', error: down } }]);
    await assert.rejects(store.put('key', [Buffer.from('x')]), down);
    assert.equal((await store.head('key')).sizeBytes, 1);
  });

  it('cuts bodies, and holds calls back', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const store = new FaultyStore(freshStore(), [
      { operation: 'get', effect: { kind: 'cut', bytes: 2 } },
      { operation: 'delete', effect: { kind: 'delay', until: promise } },
    ]);
    await store.put('key', [Buffer.from('abcdef')]);
    assert.equal(Buffer.from(await store.get('key')).toString(), 'ab');
    assert.equal(Buffer.from(await store.get('key')).toString(), 'abcdef');
    const deleted = store.delete('key');
    await store.head('key');
    resolve();
    await deleted;
    await assert.rejects(store.head('key'), { code: 'not_found' });
  });
});
