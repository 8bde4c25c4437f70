import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheObserver } from './cache.ts';
import { MemoryCache } from './memory-cache.ts';

const KB = 1024;

test('what was set is found again, until it is set anew', async () => {
  const cache = new MemoryCache({ maxBytes: 10 * KB, ttlMs: 0 });
  assert.equal(await cache.get('a'), null);
  await cache.set('a', Buffer.from('one'));
  assert.equal(String(await cache.get('a')), 'one');
  await cache.set('a', Buffer.from('two'));
  assert.equal(String(await cache.get('a')), 'two');
  await cache.close();
  assert.equal(await cache.get('a'), null);
});

test('a value is a copy: the caller may go on with its buffer', async () => {
  const cache = new MemoryCache({ maxBytes: 10 * KB, ttlMs: 0 });
  const buffer = Buffer.from('one');
  await cache.set('a', buffer);
  buffer.fill(0);
  assert.equal(String(await cache.get('a')), 'one');
});

test('there is never more than the bound, and what was asked for last stays', async () => {
  const cache = new MemoryCache({ maxBytes: 10 * KB, ttlMs: 0 });
  for (let i = 0; i < 100; i++) {
    await cache.set(`k${i}`, Buffer.alloc(2 * KB));
    await cache.get('k0');
    assert.ok(cache.sizeBytes <= 10 * KB);
  }
  assert.notEqual(await cache.get('k0'), null);
  assert.notEqual(await cache.get('k99'), null);
  assert.equal(await cache.get('k50'), null);
});

test('a value beyond the bound is not kept, and drives nothing out', async () => {
  const cache = new MemoryCache({ maxBytes: 10 * KB, ttlMs: 0 });
  await cache.set('a', Buffer.alloc(KB));
  await cache.set('b', Buffer.alloc(11 * KB));
  assert.equal(await cache.get('b'), null);
  assert.notEqual(await cache.get('a'), null);
});

test('the observer hears of hits, misses and values', async () => {
  const heard: string[] = [];
  const observer: CacheObserver = {
    onHit: (bytes) => heard.push(`hit ${bytes}`),
    onMiss: () => heard.push('miss'),
    onSet: (bytes) => heard.push(`set ${bytes}`),
    onFailure: (operation, failure) => heard.push(`${operation} ${failure}`),
  };
  const cache = new MemoryCache({ maxBytes: KB, ttlMs: 0 }, observer);
  await cache.get('a');
  await cache.set('a', Buffer.alloc(3));
  await cache.get('a');
  await cache.set('b', Buffer.alloc(2 * KB));
  assert.deepEqual(heard, ['miss', 'set 3', 'hit 3', 'set too_large']);
});
