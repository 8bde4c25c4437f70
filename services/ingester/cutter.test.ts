import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { silentLogger } from '../../storage/host/logger.ts';
import { BlockMemory } from './block-memory.ts';
import { Cutter } from './cutter.ts';
import { ingesterMetrics } from './metrics.ts';
import type { Stream } from './stream.ts';
import { FakeClock } from './testdata/fixture.ts';

const MB = 1 << 20;

test('more cuts are encoded at once when one of them has waited for long', async () => {
  const clock = new FakeClock();
  const running: PromiseWithResolvers<[]>[] = [];
  const cutter = new Cutter({
    encoder: {
      encode: () => {
        const encoding = Promise.withResolvers<[]>();
        running.push(encoding);
        return encoding.promise;
      },
    },
    blocks: new BlockMemory(MB),
    concurrency: 2,
    maxBacklogBytes: 64 * MB,
    memory: { headBytes: 0, cutBytes: 0, encodedBytes: 0 },
    metrics: ingesterMetrics(new Registry()),
    clock,
    logger: silentLogger,
  });
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
