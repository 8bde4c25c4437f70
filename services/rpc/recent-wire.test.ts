import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { columnsOfHead, encodeBlocks, type HeadRows } from '../../storage/block/index.ts';
import { headOf } from '../../storage/block/testing/heads.ts';
import type { RecentStream } from './ingester.ts';
import { CorruptMessageError, messages, type RecentItemMessage, toInt64 } from './ingester-messages.ts';
import { encodeRecent, RecentDecoder, RecentTooLargeError } from './recent-wire.ts';

const MB = 1 << 20;

function decode(parts: Iterable<Buffer>, maxBytes = 64 * MB) {
  const decoder = new RecentDecoder(maxBytes);
  for (const part of parts) decoder.add(part);
  return decoder.finish();
}

/** What is in a head, whatever room its columns have. */
function contentOf(held: HeadRows) {
  const head = columnsOfHead(held);
  const { rowCount, baseNs, ascending, metadataBytes, metaEnds, metaBytes } = head;
  const setOf = (set: number) =>
    set === 0
      ? ''
      : Buffer.from(metaBytes.subarray(set === 1 ? 0 : metaEnds[set - 2]!, metaEnds[set - 1]!)).toString('latin1');
  const rows = Array.from({ length: rowCount }, (_, r) => [
    head.offsetsNs[r],
    Buffer.from(head.bytes.subarray(r === 0 ? 0 : head.lineEnds[r - 1]!, head.lineEnds[r]!)).toString('latin1'),
    setOf(head.metaIndexes[r]!),
  ]);
  return { baseNs, ascending, metadataBytes, rows };
}

const contentsOf = (streams: readonly RecentStream[]) =>
  streams.map(({ labels, blocks, heads }) => ({
    labels,
    blocks: blocks.map(({ bytes, stats, filter }) => [Buffer.from(bytes), stats, Buffer.from(filter)]),
    heads: heads.map(contentOf),
  }));

const row = fc.record({
  ns: fc.bigInt({ min: -(2n ** 50n), max: 2n ** 50n }),
  line: fc.oneof(
    fc.string(),
    fc.integer({ min: 0, max: 300_000 }).map((length) => 'x'.repeat(length)),
  ),
  metadata: fc
    .array(fc.tuple(fc.stringMatching(/^[a-z]{1,5}$/), fc.string()), { maxLength: 2 })
    .map((pairs) => [...new Map(pairs)].sort(([a], [b]) => (a < b ? -1 : 1))),
});
const rowsOf = fc.array(row, { minLength: 1, maxLength: 12 });
const stream: fc.Arbitrary<RecentStream> = fc.record({
  labels: fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { maxKeys: 3 }).map((pairs) => Object.entries(pairs)),
  blocks: fc.array(rowsOf, { maxLength: 2 }).map((all) => all.flatMap((rows) => encodeBlocks(headOf(rows)))),
  heads: fc.array(rowsOf, { maxLength: 2 }).map((all) => all.map((rows) => headOf(rows))),
});

describe('an answer of recent rows', () => {
  it('comes back as it was, in messages of about 1 MB', () => {
    fc.assert(
      fc.property(fc.array(stream, { maxLength: 6 }), fc.array(fc.string(), { maxLength: 3 }), (streams, segments) => {
        const parts = [...encodeRecent(streams, null, segments)];
        for (const part of parts) assert.ok(part.length < 1.1 * MB, `${part.length} bytes`);
        const answer = decode(parts);
        assert.deepEqual(contentsOf(answer.streams), contentsOf(streams));
        assert.deepEqual(answer.segments, segments);
      }),
      { numRuns: 40 },
    );
  });

  it('shows only rows that were there when it was asked for, though the head grows while it is sent', () => {
    const head = headOf([
      { ns: 1n, line: 'one' },
      { ns: 2n, line: 'two' },
    ]);
    const before = { ...head, rowCount: 1 };
    const answer = decode(encodeRecent([{ labels: [['a', 'b']], blocks: [], heads: [before] }], null, []));
    assert.deepEqual(contentOf(answer.streams[0]!.heads[0]!).rows, [[0, 'one', '']]);
  });

  it('is refused as soon as it names more than its reader would hold', () => {
    const head = {
      baseNs: toInt64(0n),
      rowCount: 2 ** 31,
      setCount: 0,
      setLength: 0,
      lineLength: 0,
      ascending: true,
      metadataBytes: 0,
    };
    const items = [{ stream: { texts: ['a', 'b'] } }, { head }];
    assert.throws(() => decode([messages.recentResponse.encode({ items })]), RecentTooLargeError);
    const empty = messages.recentResponse.encode({ items: Array.from({ length: 1000 }, () => items[0]!) });
    assert.throws(
      () =>
        decode(
          Array.from({ length: 1000 }, () => empty),
          MB,
        ),
      RecentTooLargeError,
      'streams cost as well',
    );
  });

  it('is refused when it does not add up', () => {
    const stream: RecentItemMessage = { stream: { texts: ['a', 'b'] } };
    const sizes = {
      baseNs: toInt64(0n),
      rowCount: 1,
      setCount: 0,
      setLength: 0,
      lineLength: 4,
      ascending: true,
      metadataBytes: 0,
    };
    const good = Buffer.alloc(20);
    good.writeUInt32LE(4, 8);
    const withRow = (change: (data: Buffer) => void): Buffer => {
      const data = Buffer.from(good);
      change(data);
      return data;
    };
    /** One set of four bytes, which the head says to end at `end`. */
    const withSet = (set: readonly number[], end = 4): Buffer =>
      Buffer.concat([good.subarray(0, 16), Buffer.from([end, 0, 0, 0]), Buffer.from(set), good.subarray(16)]);
    const sets = { ...sizes, setCount: 1, setLength: 4 };
    decode([messages.recentResponse.encode({ items: [stream, { head: { ...sizes, data: good } }] })]);
    decode([messages.recentResponse.encode({ items: [stream, { head: { ...sets, data: withSet([1, 97, 1, 98]) } }] })]);
    const bad: (readonly RecentItemMessage[])[] = [
      [{ head: { ...sizes, data: good } }],
      [{ stream: { texts: ['a'] } }],
      [stream, {}],
      [stream, { head: { ...sizes, data: good.subarray(1) } }],
      [stream, { head: { ...sizes, data: good.subarray(1) } }, stream],
      [stream, { head: { ...sizes, data: good } }, { piece: Buffer.from('x') }],
      [stream, { head: { ...sizes, data: Buffer.alloc(21) } }],
      [stream, { head: { ...sizes, data: withRow((data) => data.writeUInt32LE(5, 8)) } }],
      [stream, { head: { ...sizes, data: withRow((data) => data.writeUInt32LE(1, 12)) } }],
      [stream, { head: { ...sizes, data: withRow((data) => data.writeDoubleLE(Number.NaN, 0)) } }],
      [stream, { head: { ...sets, data: withSet([1, 97, 2, 98]) } }],
      [stream, { head: { ...sets, data: withSet([3, 97, 98, 99]) } }],
      [stream, { head: { ...sets, data: withSet([1, 97, 1, 255]).fill(255, 20, 24) } }],
      [stream, { head: { ...sets, data: withSet([1, 97, 1, 98], 5) } }],
      [stream, { head: { ...sets, data: withSet([1, 97, 1, 98], 2) } }],
    ];
    for (const [i, items] of bad.entries()) {
      assert.throws(() => decode([messages.recentResponse.encode({ items })]), CorruptMessageError, `case ${i}`);
    }
    assert.throws(() => decode([Buffer.from('no protobuf at all')]), CorruptMessageError);
  });
});
