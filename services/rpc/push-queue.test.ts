import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PushQueue, type PushQueueOptions } from './push-queue.ts';
import { RpcError } from './rpc-error.ts';

interface Call {
  readonly sizes: readonly number[];
  readonly batches: readonly Uint8Array[];
  answer(...results: (Error | null)[]): Promise<void>;
  fail(error: Error): Promise<void>;
}

function setUp(options: Partial<PushQueueOptions> = {}) {
  const calls: Call[] = [];
  const queue = new PushQueue({
    name: 'i',
    timeoutMs: 5000,
    maxCallBytes: 2_000_000,
    maxBytes: 10_000_000,
    call: (batches) => {
      const { promise, resolve, reject } = Promise.withResolvers<(Error | null)[]>();
      const settled = () => new Promise<void>((done) => setImmediate(done));
      calls.push({
        sizes: batches.map(({ length }) => length),
        batches,
        answer: (...results) => {
          resolve(results.length > 0 ? results : batches.map(() => null));
          return settled();
        },
        fail: (error) => {
          reject(error);
          return settled();
        },
      });
      return promise;
    },
    ...options,
  });
  return { queue, calls, push: (size: number, signal?: AbortSignal) => queue.push(new Uint8Array(size), signal) };
}

describe('pushes to one ingester', () => {
  it('gather while a call is under way, and go in one', async () => {
    const { push, calls, queue } = setUp();
    const all = [push(1), push(2), push(3)];
    assert.deepEqual(
      calls.map(({ sizes }) => sizes),
      [[1]],
    );
    await calls[0]!.answer();
    assert.deepEqual(
      calls.map(({ sizes }) => sizes),
      [[1], [2, 3]],
    );
    await calls[1]!.answer();
    await Promise.all(all);
    assert.equal(queue.bytes, 0);
  });

  it('do not wait once they are worth a call, nor grow beyond the size of one', async () => {
    const { push, calls } = setUp();
    const all = [push(1), push(500_000), push(100_000), push(3_000_000), push(400_000)];
    assert.deepEqual(
      calls.map(({ sizes }) => sizes),
      [[1], [500_000, 100_000], [3_000_000]],
    );
    for (const call of [...calls]) await call.answer();
    assert.deepEqual(calls.at(-1)!.sizes, [400_000]);
    await calls.at(-1)!.answer();
    await Promise.all(all);
    const many = [push(1), ...Array.from({ length: 5 }, () => push(100_000)), push(1_900_000)];
    const five = Array.from({ length: 5 }, () => 100_000);
    assert.deepEqual(
      calls.slice(4).map(({ sizes }) => sizes),
      [[1], five, [1_900_000]],
    );
    for (const call of calls.slice(4)) await call.answer();
    await Promise.all(many);
  });

  it('each learn what became of them', async () => {
    const { push, calls } = setUp();
    const first = push(1);
    const all = Promise.allSettled([push(2), push(3), push(4)]);
    await calls[0]!.answer();
    await first;
    await calls[1]!.answer(null, new Error('refused'), null);
    assert.deepEqual(
      (await all).map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
  });

  it('fail with a call that comes to nothing, also those who waited behind it', async () => {
    const { push, calls, queue } = setUp();
    const all = [push(1), push(2)].map((pushed) => assert.rejects(pushed, { code: 'deadline_exceeded' }));
    await calls[0]!.fail(new RpcError('deadline_exceeded', 'late'));
    await Promise.all(all);
    assert.equal(calls.length, 1);
    assert.equal(queue.bytes, 0);
  });

  it('do not fail with a call whose fault was its own', async () => {
    const { push, calls } = setUp();
    const bad = assert.rejects(push(1), { code: 'resource_exhausted' });
    const good = push(2);
    await calls[0]!.fail(new RpcError('resource_exhausted', 'too large'));
    await bad;
    await calls[1]!.answer();
    await good;
  });

  it('are waited for by who wants to know that none is left', async () => {
    const { push, calls, queue } = setUp();
    await queue.idle();
    const all = [push(1), push(2)];
    let isIdle = false;
    const idle = queue.idle().then(() => {
      isIdle = true;
    });
    await calls[0]!.answer();
    assert.equal(isIdle, false, 'the second one is on its way');
    await calls[1]!.answer();
    await Promise.all([...all, idle]);
    const failed = assert.rejects(push(1), /no way/);
    const after = queue.idle();
    await calls[2]!.fail(new RpcError('unavailable', 'no way'));
    await Promise.all([failed, after]);
  });

  it('are given up: those that wait are not sent', async () => {
    const { push, calls, queue } = setUp();
    const abort = new AbortController();
    const first = push(1);
    const given = [push(2, abort.signal), push(3, abort.signal)].map((pushed) =>
      assert.rejects(pushed, { message: 'stop' }),
    );
    const last = push(4);
    abort.abort(new Error('stop'));
    await Promise.all(given);
    await calls[0]!.answer();
    assert.deepEqual(calls[1]!.sizes, [4]);
    await calls[1]!.answer();
    await Promise.all([first, last]);
    assert.equal(queue.bytes, 0);
  });

  it('fail at once beyond the bound, though one of any size may go alone', async () => {
    const { push, calls } = setUp({ maxBytes: 100 });
    const first = push(1000);
    await assert.rejects(push(1), { code: 'resource_exhausted', message: /1000 bytes wait for i, which is too slow/ });
    await calls[0]!.answer();
    await first;
    const next = push(1);
    await calls[1]!.answer();
    await next;
  });
});
