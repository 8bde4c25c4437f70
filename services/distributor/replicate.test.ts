import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool } from '../rpc/buffer-pool.ts';
import { PushRejectedError } from '../rpc/ingester.ts';
import { decodePushBatch, type StreamRows } from '../rpc/push-batch.ts';
import { type Placed, replicate as replicateWith, type Send } from './replicate.ts';

const replicate = (tenant: string, streams: readonly Placed[], factor: number, send: Send): Promise<void> =>
  replicateWith(tenant, streams, { replicationFactor: factor, maxBatchBytes: null }, send, new BufferPool(1 << 20));

function stream(labels: string, ...ingesters: string[]): Placed {
  const rows: StreamRows = {
    labels,
    baseNs: 1n,
    firstRow: 0,
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
    if (sent.length === 2) throw new PushRejectedError(400, 'too much');
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
  await replicateWith('T', [{ ...wide, rows: [large] }], { replicationFactor: 3, maxBatchBytes: null }, send, pool);
  assert.equal(pool.keptBytes, 0);
  slow.resolve();
  await slow.promise;
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(pool.keptBytes >= 10_000);
});

const split = (streams: readonly Placed[], factor: number, send: Send, maxBatchBytes = 1000): Promise<void> =>
  replicateWith('T', streams, { replicationFactor: factor, maxBatchBytes }, send, new BufferPool(1 << 20));

/** Rows of `lengths`, each of one repeated letter; every other one with metadata. */
function lines(labels: string, lengths: readonly number[], ...ingesters: string[]): Placed {
  const texts = lengths.map((length, i) => String.fromCharCode(97 + (i % 26)).repeat(length));
  let start = 0;
  const rows: StreamRows = {
    labels,
    baseNs: 5n,
    firstRow: 0,
    rowCount: lengths.length,
    offsetsNs: Float64Array.from(lengths.keys()),
    lineStarts: Uint32Array.from(lengths, (length) => (start += length) - length),
    lineLengths: Uint32Array.from(lengths),
    source: Buffer.from(texts.join('')),
    metaIndexes: Uint32Array.from(lengths, (_, i) => (i % 2 === 0 ? 0 : 1 + ((i >> 1) % 3))),
    metaSetCount: 3,
    metaEnds: Uint32Array.of(3, 6, 9),
    metaBytes: Buffer.from('ONETWOTRE'),
    ascending: true,
  };
  return { rows: [rows], ingesters, bytes: start };
}

test('a stream that is too large for a message goes in runs of rows, each with the metadata of its rows', async () => {
  const batches: Uint8Array[] = [];
  const lengths = [300, 300, 300, 10, 2000, 10, 10, 500, 0, 700];
  await split([lines('{a="1"}', lengths, 'x'), lines('{b="1"}', [1, 2], 'x')], 1, async (_, batch) => {
    batches.push(batch.slice());
  });
  const streams = batches.flatMap((batch) => decodePushBatch(batch).streams);
  const rows = streams.flatMap((s) => {
    let end = 0;
    return [...s.lineLengths].map((length, row) => {
      end += length;
      const set = s.metaIndexes[row]!;
      const metadata =
        set === 0 ? '' : s.metaBytes.toString('utf8', set === 1 ? 0 : s.metaEnds[set - 2], s.metaEnds[set - 1]);
      return [s.labels, s.offsetsNs[row], s.lineBytes.toString('utf8', end - length, end), metadata] as const;
    });
  });
  const expected = lengths.map((length, i) => [
    '{a="1"}',
    i,
    String.fromCharCode(97 + i).repeat(length),
    i % 2 === 0 ? '' : ['ONE', 'TWO', 'TRE'][(i >> 1) % 3],
  ]);
  assert.deepEqual(rows.slice(0, 10), expected);
  assert.deepEqual(
    rows.slice(10).map(([labels, , line]) => [labels, line]),
    [
      ['{b="1"}', 'a'],
      ['{b="1"}', 'bb'],
    ],
  );
  const large = batches.filter((batch) => batch.length > 1200);
  assert.equal(large.length, 1);
  assert.equal(decodePushBatch(large[0]!).rowCount, 1);
  assert.ok(batches.length >= 4);
});

test('an ingester that cannot be reached costs its time once, and the others get everything', async () => {
  const sent: string[] = [];
  const big = ['a', 'b', 'c'].map((name) => lines(`{${name}="1"}`, [600, 600], 'x', 'y', 'z'));
  await split(big, 3, async (id) => {
    sent.push(id);
    if (id === 'y') throw new Error('down');
  });
  assert.equal(sent.filter((id) => id === 'y').length, 1);
  assert.equal(sent.filter((id) => id === 'x').length, 6);
  const alone = split(
    [...big.slice(1), lines('{d="1"}', [600], 'q')].map((s) => ({ ...s, ingesters: s.ingesters.slice(-1) })),
    1,
    async (id) => {
      sent.push(id);
      if (id === 'z') throw new Error('down');
    },
  );
  sent.length = 0;
  await assert.rejects(alone, { message: 'down' });
  assert.deepEqual(sent, ['q']);
});

test('of a refusal and an outage the outage is told: the client must send again', async () => {
  for (const order of ['xy', 'yx']) {
    const streams = [...order].map((id) => lines(`{${id}="1"}`, [900], id));
    const work = split(streams, 1, async (id) => {
      throw id === 'x' ? new PushRejectedError(400, 'out of order') : new Error('down');
    });
    await assert.rejects(work, { message: 'down' });
  }
});

test('what one replica refuses while another cannot be reached is sent again: it may yet find its quorum', async () => {
  for (const order of ['xy', 'yx']) {
    const work = replicate('T', [stream('{a="1"}', ...order, 'z')], 3, async (id) => {
      if (id === 'x') throw new PushRejectedError(400, 'too far behind');
      if (id === 'y') throw new Error('down');
    });
    await assert.rejects(work, { message: 'down' });
  }
});

test('what two replicas of three refuse is refused', async () => {
  const work = replicate('T', [stream('{a="1"}', 'x', 'y', 'z')], 3, async (id) => {
    if (id !== 'z') throw new PushRejectedError(400, `${id}: too far behind`);
  });
  await assert.rejects(work, { message: 'y: too far behind' });
});

test('a refused stream does not keep the client from sending another again that met an outage', async () => {
  const slow = Promise.withResolvers<void>();
  const streams = [stream('{a="1"}', 'u', 'v', 'w'), stream('{b="1"}', 'x', 'y', 'z')];
  const work = replicate('T', streams, 3, async (id) => {
    if ('uvw'.includes(id)) throw new PushRejectedError(400, 'too far behind');
    await slow.promise;
    throw new Error('down');
  });
  const told = assert.rejects(work, { message: 'down' });
  await new Promise((resolve) => setImmediate(resolve));
  slow.resolve();
  await told;
});

test('a refusal is told once every other stream is kept', async () => {
  const slow = Promise.withResolvers<void>();
  let isKept = false;
  const work = replicate('T', [stream('{a="1"}', 'u'), stream('{b="1"}', 'x')], 1, async (id) => {
    if (id === 'u') throw new PushRejectedError(400, 'too far behind');
    await slow.promise;
    isKept = true;
  });
  const told = assert.rejects(work, () => isKept);
  await new Promise((resolve) => setImmediate(resolve));
  slow.resolve();
  await told;
});
