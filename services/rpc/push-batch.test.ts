import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CorruptPushBatchError, decodePushBatch, encodePushBatch, openPushBatch } from './push-batch.ts';

const LINES = Buffer.from('one,two');
const BATCH = encodePushBatch('tenant', [
  {
    labels: '{app="a"}',
    baseNs: 1_795_168_800_000_000_000n,
    firstRow: 0,
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

test('streams may share columns, each with its own range of rows', () => {
  const lengths = Uint32Array.from({ length: 120 }, (_, row) => row % 7);
  let start = 0;
  const columns = {
    baseNs: 7n,
    offsetsNs: Float64Array.from(lengths.keys()),
    source: Buffer.from(
      Array.from(lengths, (length, row) => String.fromCharCode(97 + (row % 26)).repeat(length)).join(''),
    ),
    lineStarts: Uint32Array.from(lengths, (length) => (start += length) - length),
    lineLengths: lengths,
    metaIndexes: Uint32Array.from(lengths, (_, row) => row % 3),
    metaSetCount: 2,
    metaEnds: Uint32Array.of(4, 8, 99),
    metaBytes: Buffer.from('\x01k\x01v\x01k\x01w and more'),
    ascending: true,
  };
  const ranges = [
    ['{a="1"}', 0, 3],
    ['{a="2"}', 3, 100],
    ['{a="3"}', 103, 0],
    ['{a="4"}', 103, 17],
  ] as const;
  const shared = ranges.map(([labels, firstRow, rowCount]) => ({ ...columns, labels, firstRow, rowCount }));
  const own = ranges.map(([labels, firstRow, rowCount]) => ({
    ...columns,
    labels,
    firstRow: 0,
    rowCount,
    offsetsNs: columns.offsetsNs.slice(firstRow, firstRow + rowCount),
    lineStarts: columns.lineStarts.slice(firstRow, firstRow + rowCount),
    lineLengths: columns.lineLengths.slice(firstRow, firstRow + rowCount),
    metaIndexes: columns.metaIndexes.slice(firstRow, firstRow + rowCount),
  }));
  assert.deepEqual(encodePushBatch('t', shared), encodePushBatch('t', own));
});

test('lines of any length and distance are copied whole, and nothing of what the memory held shows', () => {
  const length = fc.oneof(fc.nat(40), fc.nat(1500), fc.constantFrom(31, 32, 33, 511, 512, 513));
  const line = fc.tuple(length, fc.constantFrom(0, 0, 1, 17, 40));
  fc.assert(
    fc.property(fc.array(fc.array(line, { maxLength: 12 }), { maxLength: 5 }), (pushed) => {
      let end = 0;
      const places = pushed.map((rows) => rows.map(([bytes, gap]) => (end += bytes + gap) - bytes));
      const source = Buffer.from(Uint8Array.from({ length: end }, (_, i) => 1 + ((i * 31) % 255)));
      const streams = pushed.map((rows, i) => ({
        labels: `{a="${i}"}`,
        baseNs: 0n,
        firstRow: 0,
        rowCount: rows.length,
        offsetsNs: Float64Array.from(rows.keys()),
        source,
        lineStarts: Uint32Array.from(places[i]!),
        lineLengths: Uint32Array.from(rows, ([bytes]) => bytes),
        metaIndexes: new Uint32Array(rows.length),
        metaSetCount: 0,
        metaEnds: new Uint32Array(0),
        metaBytes: new Uint8Array(0),
        ascending: true,
      }));
      const batch = encodePushBatch('t', streams, (bytes) => Buffer.alloc(bytes, 0xee));
      decodePushBatch(batch).streams.forEach((stream, i) => {
        const lines = streams[i]!.lineLengths;
        const expected = places[i]!.map((start, row) => source.subarray(start, start + lines[row]!));
        assert.ok(Buffer.concat(expected).equals(stream.lineBytes));
      });
      assert.ok(batch.equals(encodePushBatch('t', streams, (bytes) => Buffer.alloc(bytes))));
    }),
    { numRuns: 300 },
  );
});

test('streams of a batch are looked at in any order, any number of times', () => {
  const rowsOf = (labels: string, lines: readonly string[]) => ({
    labels,
    baseNs: 7n,
    firstRow: 0,
    rowCount: lines.length,
    offsetsNs: Float64Array.from(lines, (_, i) => i),
    source: Buffer.from(lines.join('')),
    lineStarts: Uint32Array.from(lines, (_, i) => lines.slice(0, i).join('').length),
    lineLengths: Uint32Array.from(lines, (line) => line.length),
    metaIndexes: Uint32Array.from(lines, () => 1),
    metaSetCount: 1,
    metaEnds: Uint32Array.of(4),
    metaBytes: Buffer.from('\x01k\x01v'),
    ascending: true,
  });
  const streams = [rowsOf('{a="1"}', ['x']), rowsOf('{a="23"}', ['yy', '', 'z']), rowsOf('{}', [])];
  const batch = openPushBatch(encodePushBatch('t', streams));
  assert.deepEqual([batch.tenant, batch.rowCount, batch.labels], ['t', 4, ['{a="1"}', '{a="23"}', '{}']]);
  for (const i of [2, 0, 1, 1, 0]) {
    const stream = batch.stream(i);
    assert.deepEqual(
      [stream.labels, stream.rowCount, stream.lineBytes.toString(), [...stream.lineLengths], stream.metaBytes.length],
      [streams[i]!.labels, streams[i]!.rowCount, streams[i]!.source.toString(), [...streams[i]!.lineLengths], 4],
    );
  }
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
