import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodePushBatch, encodePushBatch } from '../rpc/push-batch.ts';
import { Stream } from './stream.ts';
import { headRows, streamRows, type TestRow } from './testdata/fixture.ts';

const T0 = 1_795_000_000_000_000_000n;
const DAY_NS = 86_400_000_000_000n;
const batchOf = (rows: readonly TestRow[]) =>
  decodePushBatch(encodePushBatch('t', [streamRows({ labels: '{a="b"}', rows })])).streams[0]!;
const all = { startNs: -(2n ** 63n), endNs: 2n ** 63n - 1n };
const rowsOf = (stream: Stream) => (stream.recent(all.startNs, all.endNs)?.heads ?? []).flatMap(headRows);

describe('rows of a stream in memory', () => {
  it('gives back any rows, in order of arrival, whichever of them were accepted', () => {
    const row = fc.tuple(
      fc.bigInt({ min: T0 - 300n * DAY_NS, max: T0 + 300n * DAY_NS }),
      fc.string({ maxLength: 40 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.string({ maxLength: 3 }), { maxKeys: 2 }),
    );
    // The contract of a batch: offsets below 2^53 ns, about 104 days.
    const batch = fc.array(row, { minLength: 1, maxLength: 20 }).map((rows) => {
      const base = rows[0]![0];
      return rows.map(([ns, line, metadata]): TestRow => [base + (ns - base) / 6n, line, metadata]);
    });
    const push = fc.record({ rows: batch, keep: fc.infiniteStream(fc.boolean()), cut: fc.boolean() });
    fc.assert(
      fc.property(fc.array(push, { maxLength: 8 }), (pushes) => {
        const stream = new Stream([['a', 'b']], '{a="b"}');
        const whole = new Stream([['a', 'b']], '{a="b"}');
        for (const { rows, keep, cut } of pushes) {
          const accepted = rows.map((_, i) => i).filter(() => keep.next().value);
          if (accepted.length === 0) continue;
          stream.append(batchOf(rows), Uint32Array.from(accepted), 0);
          whole.append(batchOf(accepted.map((i) => rows[i]!)), null, 0);
          if (cut) stream.cut();
        }
        assert.deepEqual(rowsOf(stream), rowsOf(whole));
        for (const head of stream.recent(all.startNs, all.endNs)?.heads ?? []) {
          const offsets = [...head.offsetsNs.subarray(0, head.rowCount)];
          assert.ok(Math.max(...offsets) - Math.min(...offsets) < 2 ** 53);
          assert.equal(
            head.ascending,
            offsets.every((offset, i) => i === 0 || offset > offsets[i - 1]!),
          );
        }
      }),
      { numRuns: 150 },
    );
  });

  it('counts the metadata of its rows, without the level that was detected', () => {
    const stream = new Stream([['a', 'b']], '{a="b"}');
    const rows = [
      { id: 'é1', detected_level: 'info' },
      {},
      { id: 'é1', detected_level: 'warn' },
      { detected_level: 'x' },
    ];
    stream.append(batchOf(rows.map((metadata, i) => [T0 + BigInt(i), 'line', metadata])), Uint32Array.of(0, 1, 3), 0);
    stream.append(batchOf(rows.map((metadata, i) => [T0 + 9n + BigInt(i), 'line', metadata])), null, 0);
    const bytes = stream.recent(all.startNs, all.endNs)!.heads.map((head) => head.metadataBytes);
    assert.deepEqual(bytes, [3 * Buffer.byteLength('idé1')]);
  });

  it('leaves a reader its rows while more are appended', () => {
    const stream = new Stream([['a', 'b']], '{a="b"}');
    const many = (from: number, to: number): TestRow[] =>
      Array.from({ length: to - from }, (_, i) => [
        T0 + BigInt(from + i),
        `line ${from + i}`,
        { id: String(from + i) },
      ]);
    stream.append(batchOf(many(0, 10)), null, 0);
    const before = stream.recent(all.startNs, all.endNs)!.heads[0]!;
    const seen = headRows(before);
    for (let i = 10; i < 2000; i += 90) stream.append(batchOf(many(i, i + 90)), null, 0);
    assert.deepEqual(headRows(before), seen);
    assert.equal(rowsOf(stream).length, 10 + 23 * 90);
    const large = stream.recent(all.startNs, all.endNs)!.heads[0]!;
    assert.ok(large.bytes.buffer instanceof SharedArrayBuffer, 'a thread gets no copy of a large head');
  });

  it('keeps a hundred thousand small streams small', () => {
    const batch = batchOf(
      Array.from({ length: 20 }, (_, i) => [
        T0 + BigInt(i),
        'x'.repeat(100),
        { detected_level: i % 3 ? 'info' : 'warn' },
      ]),
    );
    const stream = new Stream([['a', 'b']], '{a="b"}');
    for (let i = 0; i < 20; i++) stream.append(batch, Uint32Array.of(i), 0);
    assert.equal(stream.headRows, 20);
    assert.ok(stream.headBytes < 4_500, `${stream.headBytes} bytes for 2000 bytes of lines`);
  });
});
