import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { silentLogger } from '../../storage/host/logger.ts';
import { ObjectStoreError } from '../../storage/objectstore/index.ts';
import { ManualClock } from '../querier/testing/manual-clock.ts';
import { LatestSegments } from './latest-segments.ts';

/** `answers`: of one listing after the other. */
function setUp(...answers: (() => Promise<void>)[]) {
  const clock = new ManualClock();
  const seen = { listings: 0, names: 0 };
  const list = (signal: AbortSignal): Promise<void> =>
    Promise.race([
      answers[seen.listings++]!(),
      new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
    ]);
  const latest = new LatestSegments({ list, name: () => seen.names++, clock, logger: silentLogger });
  return { clock, seen, latest };
}

const there = async () => {};
const fails = (code: 'unavailable' | 'denied' | 'invalid') => async () => {
  throw new ObjectStoreError(code, 'a fault of the test');
};
const silent = () => new Promise<void>(() => {});

test('what was stored right before is named before the start ends', async () => {
  const { clock, seen, latest } = setUp(there);
  await latest.start();
  assert.deepEqual([latest.isNamed, seen.names, clock.sleepers], [true, 1, 0]);
  await latest.stop();
});

test('a store that is away is asked again until it answers', async () => {
  const { clock, seen, latest } = setUp(fails('unavailable'), fails('unavailable'), there);
  await latest.start();
  assert.deepEqual([latest.isNamed, seen], [false, { listings: 1, names: 0 }]);
  await clock.pass(5_000);
  assert.deepEqual([latest.isNamed, seen], [false, { listings: 2, names: 0 }]);
  await clock.pass(5_000);
  assert.deepEqual([latest.isNamed, seen], [true, { listings: 3, names: 1 }]);
  assert.equal(clock.sleepers, 0);
  await latest.stop();
});

test('a store that does not answer holds up the start for ten seconds, and is heard when it does answer', async () => {
  const answer = Promise.withResolvers<void>();
  const { clock, seen, latest } = setUp(() => answer.promise);
  const start = latest.start();
  await clock.pass(10_000);
  await start;
  assert.deepEqual([latest.isNamed, seen.listings], [false, 1]);
  answer.resolve();
  await setImmediate();
  assert.deepEqual([latest.isNamed, seen], [true, { listings: 1, names: 1 }]);
  await latest.stop();
});

test('wrong credentials and a missing bucket end the start', async () => {
  for (const code of ['denied', 'invalid'] as const) {
    const { clock, latest } = setUp(fails(code));
    await assert.rejects(latest.start(), { code });
    assert.equal(clock.sleepers, 0);
  }
});

test('a stop ends the listing that is under way, and the waiting for the next one', async () => {
  for (const second of [silent, fails('unavailable')]) {
    const { clock, seen, latest } = setUp(fails('unavailable'), second);
    await latest.start();
    await clock.pass(5_000);
    await latest.stop();
    assert.deepEqual([latest.isNamed, seen.names, clock.sleepers], [false, 0, 0]);
  }
});
