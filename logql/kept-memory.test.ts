import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  giveBack,
  keptMemory,
  MAX_KEPT_BYTES,
  roundLength,
  takeBytes,
  takeFloat64,
  takeUint32,
} from './kept-memory.ts';

const LENGTH = 1 << 18;

/** Nothing is kept before and after. */
function withClock(t: TestContext): (ms: number) => void {
  t.mock.timers.enable({ apis: ['setInterval'] });
  return (ms) => t.mock.timers.tick(ms);
}

test('what is given back is taken again, and numbers are zeros', (t) => {
  const tick = withClock(t);
  const first = takeUint32(LENGTH).fill(7);
  const { buffer } = first;
  giveBack(first);
  const second = takeFloat64(LENGTH / 2);
  assert.equal(second.buffer, buffer);
  assert.ok(second.every((value) => value === 0));
  assert.notEqual(takeBytes(4 * LENGTH).buffer, buffer); // nobody has two
  giveBack(second);
  tick(30_000);
  assert.equal(keptMemory(), 0);
});

test('small arrays, odd sizes and more than the bound are not kept', (t) => {
  const tick = withClock(t);
  giveBack(takeBytes(1000));
  giveBack(takeBytes(100_000));
  assert.equal(keptMemory(), 0);
  const size = 1 << 20;
  const arrays = Array.from({ length: MAX_KEPT_BYTES / size + 3 }, () => takeBytes(size));
  for (const array of arrays) giveBack(array);
  assert.equal(keptMemory(), MAX_KEPT_BYTES);
  tick(30_000);
  assert.equal(keptMemory(), 0);
});

test('sizes that nobody takes are let go, others stay', (t) => {
  const tick = withClock(t);
  const rare = takeBytes(1 << 20);
  giveBack(rare);
  for (let i = 0; i < 5; i++) {
    giveBack(takeBytes(1 << 17));
    tick(9000);
  }
  assert.equal(keptMemory(), 1 << 17);
  tick(30_000);
  assert.equal(keptMemory(), 0);
});

test('lengths are rounded up to a power of two', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 1000, 1024, 1025, 2 ** 31].map(roundLength), [
    0,
    1,
    2,
    4,
    4,
    8,
    1024,
    1024,
    2048,
    2 ** 31,
  ]);
});
