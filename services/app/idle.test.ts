import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../storage/host/clock.ts';
import { ManualClock } from '../querier/testing/manual-clock.ts';
import { idleMoment } from './idle.ts';

test('the first second with little to do is waited for', async () => {
  const clock = new ManualClock();
  const shares = [0.9, 0.1, 0.05];
  let isIdle = false;
  const waiting = idleMoment(clock, new AbortController().signal, () => shares.shift()!).then(() => {
    isIdle = true;
  });
  for (const left of [2, 1]) {
    await clock.pass(1000);
    assert.deepEqual([shares.length, isIdle], [left, false]);
  }
  await clock.pass(1000);
  assert.equal(isIdle, true);
  await waiting;
});

test('an idle event loop is seen as one, and the wait ends with the process', async () => {
  await idleMoment(systemClock, new AbortController().signal);
  const ending = AbortSignal.abort(new Error('over'));
  await assert.rejects(idleMoment(systemClock, ending), { message: 'over' });
});
