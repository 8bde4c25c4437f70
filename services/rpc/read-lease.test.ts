import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadLease } from './read-lease.ts';

test('all that is lent is let go of once, when the lease ends', () => {
  const ended: string[] = [];
  {
    using lease = new ReadLease();
    lease.onEnd(() => ended.push('a'));
    lease.onEnd(() => ended.push('b'));
    assert.deepEqual(ended, []);
    lease.end();
  }
  assert.deepEqual(ended, ['a', 'b']);
});

test('what is lent after the end is let go of at once', () => {
  const lease = new ReadLease();
  lease.end();
  let isEnded = false;
  lease.onEnd(() => {
    isEnded = true;
  });
  assert.ok(isEnded);
});
