import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CacheObserver } from './cache.ts';
import { RemoteCache, type RemoteStore } from './remote-cache.ts';

const TTL_MS = 1000;

function setUp(change: Partial<RemoteStore> = {}, maxPendingBytes = 1000) {
  const values = new Map<string, { value: Buffer; ttlMs: number }>();
  const heard: string[] = [];
  const time = { ms: 0 };
  const state = { asked: 0, resets: 0 };
  const store: RemoteStore = {
    get: async (key) => {
      state.asked++;
      return values.get(key)?.value ?? null;
    },
    set: async (key, value, ttlMs) => void values.set(key, { value, ttlMs }),
    reset: () => void state.resets++,
    close: async () => {},
    ...change,
  };
  const observer: CacheObserver = {
    onHit: (bytes) => heard.push(`hit ${bytes}`),
    onMiss: () => heard.push('miss'),
    onSet: (bytes) => heard.push(`set ${bytes}`),
    onFailure: (operation, failure) => heard.push(`${operation} ${failure}`),
  };
  const options = { timeoutMs: 20, maxValueBytes: 500, ttlMs: TTL_MS, maxPendingBytes, nowMs: () => time.ms };
  return { cache: new RemoteCache(store, options, observer), values, heard, time, state };
}

describe('RemoteCache', () => {
  it('finds what it has kept, under keys of any kind', async () => {
    const { cache, values, heard } = setUp();
    const keys = ['plain', 'with space', 'ключ', '', 'x'.repeat(1000), `${'x'.repeat(999)}y`];
    for (const [i, key] of keys.entries()) await cache.set(key, Buffer.from(`value ${i}`));
    for (const [i, key] of keys.entries()) assert.equal(String(await cache.get(key)), `value ${i}`);
    assert.equal(await cache.get('none'), null);
    assert.equal(heard.at(-1), 'miss');
    for (const key of values.keys()) assert.match(key, /^[\x21-\x7e]{1,250}$/);
    assert.equal(values.size, keys.length);
  });

  it('passes on how long a value is to be kept, and copies the value', async () => {
    const { cache, values } = setUp();
    const buffer = Buffer.from('one');
    const first = cache.set('a', buffer);
    buffer.fill(0);
    await first;
    await cache.set('b', Buffer.from('two'), 5);
    assert.deepEqual(
      [...values.values()].map(({ value, ttlMs }) => [String(value), ttlMs]),
      [
        ['one', TTL_MS],
        ['two', 5],
      ],
    );
  });

  it('takes a server that fails or hangs for one that has nothing', async () => {
    const broken = setUp({
      get: () => Promise.reject(new Error('refused')),
      set: () => Promise.reject(new Error('no')),
    });
    assert.equal(await broken.cache.get('a'), null);
    await broken.cache.set('a', Buffer.from('x'));
    assert.deepEqual([broken.heard, broken.state.resets], [['get error', 'set error'], 2]);
    const slow = setUp({ get: () => new Promise(() => {}) });
    assert.equal(await slow.cache.get('a'), null);
    assert.deepEqual(slow.heard, ['get timeout']);
  });

  it('leaves a server alone that fails again and again, for longer each time, and comes back to it', async () => {
    let isDown = true;
    const { cache, heard, time } = setUp({ get: async () => (isDown ? Promise.reject(new Error('down')) : null) });
    const ask = async (): Promise<string> => {
      await cache.get('a');
      return heard.at(-1)!;
    };
    assert.deepEqual(
      [await ask(), await ask(), await ask(), await ask()],
      ['get error', 'get error', 'get error', 'get skipped'],
    );
    time.ms += 500;
    assert.deepEqual([await ask(), await ask()], ['get error', 'get skipped']);
    time.ms += 999;
    assert.equal(await ask(), 'get skipped');
    isDown = false;
    time.ms += 1;
    assert.deepEqual([await ask(), await ask()], ['miss', 'miss']);
  });

  it('keeps no value that is too large, nor more at a time than it may', async () => {
    const gate = Promise.withResolvers<void>();
    const { cache, heard } = setUp({ set: () => gate.promise }, 700);
    await cache.set('a', Buffer.alloc(501));
    assert.deepEqual(heard, ['set too_large']);
    const first = cache.set('a', Buffer.alloc(500));
    await cache.set('b', Buffer.alloc(300));
    assert.equal(heard.at(-1), 'set overloaded');
    gate.resolve();
    await first;
    await cache.set('b', Buffer.alloc(300));
    assert.deepEqual(heard.slice(2), ['set 500', 'set 300']);
  });
});
