import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool } from '../rpc/buffer-pool.ts';
import { decodePushBatch, type StreamRows } from '../rpc/push-batch.ts';
import { type Placed, replicate as replicateWith, type Send } from './replicate.ts';

const replicate = (tenant: string, streams: readonly Placed[], factor: number, send: Send): Promise<void> =>
  replicateWith(tenant, streams, factor, send, new BufferPool(1 << 20));

function stream(labels: string, ...ingesters: string[]): Placed {
  const rows: StreamRows = {
    labels,
    baseNs: 1n,
    rowCount: 1,
    offsetsNs: new Float64Array(1),
    lineStarts: new Uint32Array(1),
    lineLengths: Uint32Array.of(1),
    source: Buffer.from('x'),
    metaIndexes: new Uint32Array(1),
    metaSetCount: 0,
    metaEnds: new Uint32Array(0),
    metaBytes: new Uint8Array(0),
    ascending: true,
  };
  return { rows: [rows], ingesters, bytes: 1 };
}

const labelsOf = (batch: Uint8Array): string[] => decodePushBatch(batch).streams.map((s) => s.labels);

test('each ingester gets one batch with its own streams', async () => {
  const sent: Record<string, string[]> = {};
  await replicate('T', [stream('{a="1"}', 'x', 'y'), stream('{b="1"}', 'y', 'z')], 2, async (id, batch) => {
    assert.equal(sent[id], undefined);
    sent[id] = labelsOf(batch);
  });
  assert.deepEqual(sent, { x: ['{a="1"}'], y: ['{a="1"}', '{b="1"}'], z: ['{b="1"}'] });
});

test('ingesters with the same streams share one encoding', async () => {
  const batches = new Set<Uint8Array>();
  await replicate('T', [stream('{a="1"}', 'x', 'y', 'z')], 3, async (_, batch) => void batches.add(batch));
  assert.equal(batches.size, 1);
});

test('two of three are enough, and the third is not waited for', async () => {
  const never = new Promise<void>(() => {});
  await replicate('T', [stream('{a="1"}', 'x', 'y', 'z')], 3, (id) => (id === 'y' ? never : Promise.resolve()));
});

test('one of three may fail', async () => {
  await replicate('T', [stream('{a="1"}', 'x', 'y', 'z')], 3, async (id) => {
    if (id === 'x') throw new Error('down');
  });
});

test('the second failure of three is the answer', async () => {
  const work = replicate('T', [stream('{a="1"}', 'x', 'y', 'z')], 3, async (id) => {
    if (id !== 'z') throw new Error(`${id} is down`);
  });
  await assert.rejects(work, { message: 'y is down' });
});

test('each stream needs its own quorum', async () => {
  const work = replicate('T', [stream('{a="1"}', 'w', 'x', 'y'), stream('{b="1"}', 'x', 'y', 'z')], 3, async (id) => {
    if (id === 'z' || id === 'x') throw new Error('down');
  });
  await assert.rejects(work, { message: 'down' });
});

test('with two replicas no failure is spared', async () => {
  const work = replicate('T', [stream('{a="1"}', 'x', 'y')], 2, async (id) => {
    if (id === 'y') throw new Error('down');
  });
  await assert.rejects(work, { message: 'down' });
});

test('a very large push goes in several batches, and a refusal of one does not stop the others', async () => {
  const sent: string[][] = [];
  const streams = ['a', 'b', 'c', 'd'].map((name) => ({ ...stream(`{${name}="1"}`, 'x'), bytes: 5 << 20 }));
  streams[0] = { ...streams[0]!, bytes: 100 << 20 };
  streams[3] = { ...streams[3]!, bytes: 1 };
  const work = replicate('T', streams, 1, async (_, batch) => {
    sent.push(labelsOf(batch));
    if (sent.length === 2) throw new Error('too much');
  });
  await assert.rejects(work, { message: 'too much' });
  assert.deepEqual(sent, [['{a="1"}'], ['{b="1"}'], ['{c="1"}', '{d="1"}']]);
});

test('the memory of a batch is used again only once the slowest ingester is done with it', async () => {
  const pool = new BufferPool(1 << 20);
  const slow = Promise.withResolvers<void>();
  const wide = stream('{a="1"}', 'x', 'y', 'z');
  const large = { ...wide.rows[0]!, labels: `{a="${'x'.repeat(10_000)}"}` };
  const send: Send = (id) => (id === 'z' ? slow.promise : Promise.resolve());
  await replicateWith('T', [{ ...wide, rows: [large] }], 3, send, pool);
  assert.equal(pool.keptBytes, 0);
  slow.resolve();
  await slow.promise;
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(pool.keptBytes >= 10_000);
});
