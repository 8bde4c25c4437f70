import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CorruptPushBatchError, decodePushBatch, encodePushBatch } from './push-batch.ts';

const LINES = Buffer.from('one,two');
const BATCH = encodePushBatch('tenant', [
  {
    labels: '{app="a"}',
    baseNs: 1_795_168_800_000_000_000n,
    rowCount: 2,
    offsetsNs: Float64Array.of(0, 5),
    source: LINES,
    lineStarts: Uint32Array.of(0, 4),
    lineLengths: Uint32Array.of(3, 3),
    metaIndexes: Uint32Array.of(0, 0),
    metaSetCount: 0,
    metaEnds: new Uint32Array(0),
    metaBytes: new Uint8Array(0),
    ascending: true,
  },
]);

test('a batch comes back as it was', () => {
  const { tenant, rowCount, streams } = decodePushBatch(BATCH);
  assert.deepEqual([tenant, rowCount, streams.length], ['tenant', 2, 1]);
  const [stream] = streams;
  assert.deepEqual(
    [stream!.labels, stream!.baseNs, [...stream!.offsetsNs]],
    ['{app="a"}', 1_795_168_800_000_000_000n, [0, 5]],
  );
  assert.equal(stream!.lineBytes.toString(), 'onetwo');
});

test('a length that passes the end is refused, whatever it is and wherever it stands', () => {
  const original = new Uint32Array(BATCH.buffer, BATCH.byteOffset, BATCH.length / 4);
  for (let place = 0; place < original.length; place++) {
    for (const length of [0xffff_fff9, 0xffff_fff0, 0x8000_0000, 0x7fff_ffff, BATCH.length + 1]) {
      const words = original.slice();
      words[place] = length;
      try {
        decodePushBatch(new Uint8Array(words.buffer)); // not every word is a length
      } catch (error: unknown) {
        assert.ok(error instanceof CorruptPushBatchError, `${place}: ${error}`);
      }
    }
  }
});
