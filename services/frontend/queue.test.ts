import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestQueue } from './queue.ts';

function drain(queue: RequestQueue<string>): string[] {
  const items: string[] = [];
  for (let next = queue.take(); next !== null; next = queue.take()) items.push(next.item);
  return items;
}

test('tenants take turns, and each is served in its own order', () => {
  const queue = new RequestQueue<string>(100);
  for (let i = 0; i < 4; i++) queue.add('a', `a${i}`);
  for (let i = 0; i < 2; i++) queue.add('b', `b${i}`);
  queue.add('c', 'c0');
  assert.deepEqual(drain(queue), ['a0', 'b0', 'c0', 'a1', 'b1', 'a2', 'a3']);
});

test('a tenant that comes later has its turn before the rest of another', () => {
  const queue = new RequestQueue<string>(100);
  for (let i = 0; i < 3; i++) queue.add('a', `a${i}`);
  assert.equal(queue.take()?.item, 'a0');
  queue.add('b', 'b0');
  assert.deepEqual(drain(queue), ['a1', 'b0', 'a2']);
});

test('a tenant with as many waiting as allowed is refused, others are not', () => {
  const queue = new RequestQueue<string>(2);
  queue.add('a', 'a0');
  const takeBack = queue.add('a', 'a1');
  assert.throws(() => queue.add('a', 'a2'), { code: 'too_many_outstanding', message: 'too many outstanding requests' });
  queue.add('b', 'b0');
  takeBack();
  queue.add('a', 'a3');
  assert.deepEqual([queue.length, queue.lengthOf('a')], [3, 2]);
  assert.deepEqual(drain(queue), ['a0', 'b0', 'a3']);
});

test('what is taken back is gone, once, and what has left cannot be taken back', () => {
  const queue = new RequestQueue<string>(10);
  const first = queue.add('a', 'a0');
  const second = queue.add('a', 'a1');
  assert.equal(queue.take()?.item, 'a0');
  first();
  assert.equal(queue.length, 1);
  second();
  second();
  assert.equal(queue.length, 0);
  assert.equal(queue.take(), null);
  queue.add('a', 'a2');
  assert.deepEqual(drain(queue), ['a2']);
});

test('it says how long an item has waited', () => {
  let nowMs = 5;
  const queue = new RequestQueue<string>(10, () => nowMs);
  queue.add('a', 'a0');
  nowMs = 12;
  assert.deepEqual(queue.take(), { item: 'a0', waitedMs: 7 });
});

test('a long line with many taken back stays in order', () => {
  const queue = new RequestQueue<number>(10_000);
  const takeBack = Array.from({ length: 1000 }, (_, i) => queue.add('a', i));
  takeBack.forEach((back, i) => {
    if (i % 3 !== 0) back();
  });
  const left: number[] = [];
  for (let next = queue.take(); next !== null; next = queue.take()) left.push(next.item);
  assert.deepEqual(
    left,
    Array.from({ length: 334 }, (_, i) => i * 3),
  );
});
