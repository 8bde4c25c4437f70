import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { columnsOfHead, encodeMetadataSet } from '../../storage/block/index.ts';
import { decodePushBatch, encodePushBatch } from '../rpc/push-batch.ts';
import { HeadMemory } from './head-memory.ts';
import { type Held, Stream } from './stream.ts';
import { headRows, streamRows, type TestRow } from './testdata/fixture.ts';

const T0 = 1_795_000_000_000_000_000n;
const DAY_NS = 86_400_000_000_000n;
const batchOf = (rows: readonly TestRow[]) =>
  decodePushBatch(encodePushBatch('t', [streamRows({ labels: '{a="b"}', rows })])).streams[0]!;
const all = { startNs: -(2n ** 63n), endNs: 2n ** 63n - 1n };
const memory = new HeadMemory(0);
const headsOf = (stream: Stream, held: Held[] = []) => stream.recent(all.startNs, all.endNs, held)?.heads ?? [];
const rowsOf = (stream: Stream) => headsOf(stream).flatMap(headRows);

/** As `headRows` writes it. */
const textOf = ([ns, line, metadata]: TestRow): string => {
  if (metadata === undefined) return `${ns} ${line}`;
  const set = encodeMetadataSet(Object.entries(metadata)).toString('latin1');
  return `${ns} ${line} ${JSON.stringify(set)}`;
};

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
        const stream = new Stream([['a', 'b']], '{a="b"}', memory);
        const whole = new Stream([['a', 'b']], '{a="b"}', memory);
        for (const { rows, keep, cut } of pushes) {
          const accepted = rows.map((_, i) => i).filter(() => keep.next().value);
          if (accepted.length === 0) continue;
          stream.append(batchOf(rows), Uint32Array.from(accepted), 0);
          whole.append(batchOf(accepted.map((i) => rows[i]!)), null, 0);
          if (cut) stream.cut();
        }
        assert.deepEqual(rowsOf(stream), rowsOf(whole));
        for (const head of headsOf(stream).map((held) => columnsOfHead(held))) {
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
    const stream = new Stream([['a', 'b']], '{a="b"}', memory);
    const rows = [
      { id: 'é1', detected_level: 'info' },
      {},
      { id: 'é1', detected_level: 'warn' },
      { detected_level: 'x' },
    ];
    stream.append(batchOf(rows.map((metadata, i) => [T0 + BigInt(i), 'line', metadata])), Uint32Array.of(0, 1, 3), 0);
    stream.append(batchOf(rows.map((metadata, i) => [T0 + 9n + BigInt(i), 'line', metadata])), null, 0);
    const bytes = headsOf(stream).map((head) => head.metadataBytes);
    assert.deepEqual(bytes, [3 * Buffer.byteLength('idé1')]);
  });

  it('leaves a reader its rows while more are appended', () => {
    const stream = new Stream([['a', 'b']], '{a="b"}', memory);
    const many = (from: number, to: number): TestRow[] =>
      Array.from({ length: to - from }, (_, i) => [
        T0 + BigInt(from + i),
        `line ${from + i}`,
        { id: String(from + i) },
      ]);
    stream.append(batchOf(many(0, 10)), null, 0);
    const before = headsOf(stream)[0]!;
    const seen = headRows(before);
    for (let i = 10; i < 2000; i += 90) stream.append(batchOf(many(i, i + 90)), null, 0);
    assert.deepEqual(headRows(before), seen);
    assert.equal(rowsOf(stream).length, 10 + 23 * 90);
  });

  it('takes rows of any size, however many come at once, and refused rows leave nothing behind', () => {
    const row = fc.record({
      bytes: fc.oneof(fc.nat(200), fc.integer({ min: 0, max: 90_000 })),
      id: fc.option(fc.string({ maxLength: 300 })),
      accepted: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(fc.array(row, { minLength: 1, maxLength: 60 }), { maxLength: 6 }), (pushes) => {
        const stream = new Stream([['a', 'b']], '{a="b"}', memory);
        const expected: string[] = [];
        let ns = T0;
        let sets = 0;
        for (const push of pushes) {
          const rows = push.map(({ bytes, id }, i): TestRow => {
            const line = String.fromCharCode(97 + (i % 26)).repeat(bytes);
            return id === null ? [++ns, line] : [++ns, line, { id }];
          });
          const accepted = push.flatMap(({ accepted }, i) => (accepted ? [i] : []));
          if (accepted.length === 0) continue;
          stream.append(batchOf(rows), accepted.length === rows.length ? null : Uint32Array.from(accepted), 0);
          const kept = accepted.map((i) => rows[i]!);
          sets += kept.filter(([, , metadata]) => metadata !== undefined).length;
          expected.push(...kept.map(textOf));
        }
        assert.deepEqual(rowsOf(stream), expected);
        for (const head of headsOf(stream)) {
          assert.ok(head.rowCount > 0 && 'memories' in head);
          assert.ok(head.setCount <= sets, 'a set is kept once a record at most');
        }
      }),
      { numRuns: 60 },
    );
  });

  it('hands its memory on when it is encoded and nobody holds it any more', () => {
    const own = new HeadMemory(64 * 1024 * 1024);
    const stream = new Stream([['a', 'b']], '{a="b"}', own);
    stream.append(batchOf([[T0, 'x'.repeat(60_000)]]), null, 0);
    const idle = own.idleBytes;
    const first: Held[] = [];
    const second: Held[] = [];
    const seen = headsOf(stream, first)[0]!;
    headsOf(stream, second);
    const cut = stream.cut()!;
    for (const held of second) held.letGo();
    for (const head of cut.heads!) head.release();
    assert.equal(own.idleBytes, idle, 'somebody reads it');
    assert.deepEqual(headRows(seen), [`${T0} ${'x'.repeat(60_000)}`]);
    for (const held of first) held.letGo();
    assert.equal(own.idleBytes, idle + 64 * 1024);
  });

  it('shows only whole rows, and takes others, after memory could not be had', (t) => {
    for (let fails = 1; fails < 9; fails++) {
      const own = new HeadMemory(64 * 1024 * 1024);
      const stream = new Stream([['a', 'b']], '{a="b"}', own);
      const rows = Array.from(
        { length: 6 },
        (_, i): TestRow => [T0 + BigInt(i), `${i}`.repeat(40_000 * (1 + (i % 3)))],
      );
      let takes = 0;
      const take = own.take.bind(own);
      const gives = t.mock.method(own, 'give');
      const taken = t.mock.method(own, 'take', (bytes: number) => {
        if (++takes === fails) throw new RangeError('Array buffer allocation failed');
        return take(bytes);
      });
      const before: string[] = [];
      for (const row of rows) {
        try {
          stream.append(batchOf([row]), null, 0);
          before.push(textOf(row));
        } catch (error: unknown) {
          assert.ok(error instanceof RangeError);
        }
      }
      const held: Held[] = [];
      assert.deepEqual(headsOf(stream, held).flatMap(headRows), before, `the ${fails}th time`);
      for (const one of held) one.letGo();
      assert.ok(stream.isLast(batchOf([rows.at(-1)!]), 0, 0) || fails >= takes);
      for (const head of stream.cut()!.heads!) head.release();
      assert.equal(gives.mock.callCount(), taken.mock.calls.filter(({ error }) => error === undefined).length);
    }
  });

  it('is not copied for a thread', () => {
    const stream = new Stream([['a', 'b']], '{a="b"}', memory);
    stream.append(batchOf([[T0, 'line']]), null, 0);
    const head = headsOf(stream)[0]!;
    assert.ok('memories' in head && head.memories.every((one) => one instanceof SharedArrayBuffer));
  });

  it('keeps a hundred thousand small streams small', () => {
    const batch = batchOf(
      Array.from({ length: 20 }, (_, i) => [
        T0 + BigInt(i),
        'x'.repeat(100),
        { detected_level: i % 3 ? 'info' : 'warn' },
      ]),
    );
    const stream = new Stream([['a', 'b']], '{a="b"}', memory);
    for (let i = 0; i < 20; i++) stream.append(batch, Uint32Array.of(i), 0);
    assert.equal(stream.headRows, 20);
    assert.ok(stream.headBytes < 4_500, `${stream.headBytes} bytes for 2000 bytes of lines`);
  });
});
