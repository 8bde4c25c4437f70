import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Registry } from 'prom-client';
import { silentLogger } from '../../storage/host/logger.ts';
import { BlockMemory } from './block-memory.ts';
import { Cutter } from './cutter.ts';
import { ingesterMetrics } from './metrics.ts';
import type { Cut, Stream } from './stream.ts';
import { encoderOf, FakeClock } from './testdata/fixture.ts';

const MB = 1 << 20;

/** A cutter whose encodings end when the test says so. */
function heldCutter(concurrency: number) {
  const clock = new FakeClock();
  const running: PromiseWithResolvers<[]>[] = [];
  const cutter = new Cutter({
    encoder: {
      encode: () => {
        const encoding = Promise.withResolvers<[]>();
        running.push(encoding);
        return encoding.promise;
      },
      encodeTogether: () => Promise.reject(new Error('none is small')),
    },
    blocks: new BlockMemory(MB),
    concurrency,
    maxBacklogBytes: 64 * MB,
    memory: { headBytes: 0, cutBytes: 0, encodedBytes: 0 },
    metrics: ingesterMetrics(new Registry()),
    clock,
    logger: silentLogger,
  });
  return { cutter, clock, running };
}

test('more cuts are encoded at once when one of them has waited for long', async () => {
  const { cutter, clock, running } = heldCutter(2);
  const stream = { cut: () => ({ memoryBytes: MB, heads: [{ pieces: () => ({}), release: () => {} }], blocks: null }) };
  for (let i = 0; i < 8; i++) cutter.cut(stream as unknown as Stream);
  const ended = async (count: number) => {
    for (let i = 0; i < count; i++) running.shift()!.resolve([]);
    await clock.advance(0);
  };

  assert.equal(running.length, 2);
  await ended(1);
  assert.equal(running.length, 2);
  await clock.advance(1000);
  await ended(1);
  assert.equal(running.length, 4);
  await ended(4);
  assert.equal(running.length, 2);
  await ended(2);
  await cutter.stop();
});

test('small cuts are encoded together, and one that fails holds up none of the others', async () => {
  const clock = new FakeClock();
  const memory = { headBytes: 5000, cutBytes: 0, encodedBytes: 0 };
  let isBroken = true;
  const asked: number[] = [];
  const cutter = new Cutter({
    encoder: encoderOf(async (head) => {
      const id = head as unknown as number;
      asked.push(id);
      if (id === 3 && isBroken) throw new Error('broken');
      return [];
    }),
    blocks: new BlockMemory(MB),
    concurrency: 1,
    maxBacklogBytes: 64 * MB,
    memory,
    metrics: ingesterMetrics(new Registry()),
    clock,
    logger: silentLogger,
  });
  const cuts = [1, 2, 3, 4, 5].map((id) => ({
    memoryBytes: 1000,
    heads: [{ pieces: () => id, release: () => {} }] as unknown,
    blocks: null as unknown,
  }));
  for (const cut of cuts) cutter.cut({ cut: () => cut } as unknown as Stream);
  assert.deepEqual(asked, []);
  await cutter.whenEncoded(cuts[4] as unknown as Cut);
  assert.deepEqual(asked.slice(0, 5), [1, 2, 3, 4, 5]);
  assert.deepEqual(
    cuts.map(({ blocks }) => blocks !== null),
    [true, true, false, true, true],
  );
  assert.deepEqual(memory, { headBytes: 0, cutBytes: 1000, encodedBytes: 0 });

  const last = cutter.whenEncoded(cuts[2] as unknown as Cut);
  asked.length = 0;
  await clock.advance(1000);
  assert.deepEqual(asked, [3]);
  isBroken = false;
  await clock.advance(1000);
  await last;
  assert.deepEqual([asked, cuts[2]!.blocks], [[3, 3], []]);
  assert.equal(memory.cutBytes, 0);
  await cutter.stop();
});

test('stopping gives up what cannot be encoded', async () => {
  const cutter = new Cutter({
    encoder: encoderOf(() => Promise.reject(new Error('broken'))),
    blocks: new BlockMemory(MB),
    concurrency: 1,
    maxBacklogBytes: 64 * MB,
    memory: { headBytes: 0, cutBytes: 0, encodedBytes: 0 },
    metrics: ingesterMetrics(new Registry()),
    clock: new FakeClock(),
    logger: silentLogger,
  });
  const cut = { memoryBytes: 1000, heads: [{ pieces: () => ({}), release: () => {} }], blocks: null };
  cutter.cut({ cut: () => cut } as unknown as Stream);
  const encoded = cutter.whenEncoded(cut as unknown as Cut);
  await new Promise((resolve) => setImmediate(resolve));
  await cutter.stop();
  await encoded;
  assert.equal(cut.blocks, null);
});

test('a line that never ends does not keep those who had their turn', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const { cutter, clock, running } = heldCutter(1);
  const cut = () => ({ memoryBytes: MB, heads: [{ pieces: () => ({}), release: () => {} }], blocks: null });
  const heapAfter = async (cuts: number): Promise<number> => {
    for (let i = 0; i < cuts; i++) {
      cutter.cut({ cut } as unknown as Stream);
      running.shift()?.resolve([]);
      await clock.advance(0);
    }
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  for (let i = 0; i < 4; i++) cutter.cut({ cut } as unknown as Stream);
  const before = await heapAfter(5000);
  const after = await heapAfter(20_000);
  assert.ok(after - before < MB, `${after - before} bytes more`);
  while (running.length > 0) {
    running.shift()!.resolve([]);
    await clock.advance(0);
  }
  await cutter.stop();
});
