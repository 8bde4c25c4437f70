import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BufferPool, freeNow } from './buffer-pool.ts';

const MB = 1024 * 1024;

test('a buffer has the length that was asked for, starts at a multiple of 8, and wastes at most a fifth', () => {
  const pool = new BufferPool(MB);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 20 * MB }), (bytes) => {
      using loan = pool.take(bytes);
      assert.equal(loan.bytes.length, bytes);
      assert.equal(loan.bytes.byteOffset % 8, 0);
      if (bytes > 4096) assert.ok(loan.bytes.buffer.byteLength <= Math.max(bytes * 1.25, bytes + 1024));
    }),
  );
});

test('what was given back is lent again, to one at a time', () => {
  const pool = new BufferPool(MB);
  const first = pool.take(100_000);
  const memory = first.bytes.buffer;
  first[Symbol.dispose]();
  const second = pool.take(99_000);
  const third = pool.take(99_000);
  assert.equal(second.bytes.buffer, memory);
  assert.notEqual(third.bytes.buffer, memory);
});

test('giving back twice counts once', () => {
  const pool = new BufferPool(MB);
  const loan = pool.take(100_000);
  loan[Symbol.dispose]();
  loan[Symbol.dispose]();
  assert.notEqual(pool.take(100_000).bytes.buffer, pool.take(100_000).bytes.buffer);
});

test('no more lies idle than the limit says', () => {
  const pool = new BufferPool(300_000);
  const loans = Array.from({ length: 5 }, () => pool.take(100_000));
  for (const loan of loans) loan[Symbol.dispose]();
  assert.ok(pool.keptBytes > 0);
  assert.ok(pool.keptBytes <= 300_000);
});

test('only memory that bytes have for themselves is freed at once', () => {
  const whole = new Uint8Array(100);
  const part = new Uint8Array(100).subarray(1);
  const shared = new Uint8Array(new SharedArrayBuffer(100));
  for (const bytes of [whole, part, shared]) freeNow(bytes);
  assert.deepEqual([whole.length, part.length, shared.length], [0, 99, 100]);
});
