import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRegex } from './compile.ts';
import { timedTest } from './timed-test.ts';

test('a pattern answers as it does without a bound, until its time is up', () => {
  const matches = timedTest(compileRegex('a+', { anchored: true }));
  assert.deepEqual([matches('aa'), matches('b')], [true, false]);
  const outOfTime = timedTest(compileRegex('a+'), -1);
  assert.throws(() => outOfTime('a'), { name: 'RegexError', message: /takes longer than -1 ms/ });
});

test('the time of all values counts together', () => {
  const slow = timedTest(compileRegex('(?:[a-z]{0,999}){1}!', { anchored: true }), 50);
  const value = 'a'.repeat(1000);
  assert.throws(() => {
    for (let values = 0; values < 10_000; values++) slow(value);
  }, /takes longer/);
});
