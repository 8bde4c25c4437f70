import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSliced } from './sliced.ts';

/** Keeps the processor busy for `ms`, and pauses after each of them. */
function* busy(ms: number): Generator<undefined, string, undefined> {
  for (let i = 0; i < ms; i++) {
    const until = performance.now() + 1;
    while (performance.now() < until);
    yield;
  }
  return 'done';
}

test('long work lets other work run in between', async () => {
  let turns = 0;
  const other = setInterval(() => turns++, 1);
  assert.equal(await runSliced(busy(100)), 'done');
  clearInterval(other);
  assert.ok(turns > 0);
});

test('work that is not wanted any more ends with the reason', async () => {
  const gone = new AbortController();
  setImmediate(() => gone.abort(new Error('hung up')));
  await assert.rejects(runSliced(busy(1_000_000), gone.signal), { message: 'hung up' });
});

test('what the work throws is thrown', async () => {
  const work = (function* (): Generator<undefined, void, undefined> {
    yield;
    throw new Error('broken');
  })();
  await assert.rejects(runSliced(work), { message: 'broken' });
});
