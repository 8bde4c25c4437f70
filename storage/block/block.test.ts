import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CorruptBlockError, defaultBlockLimits, encodeBlocks, headToColumns, openBlock } from './index.ts';
import { arbitraryRows } from './testing/arbitrary-rows.ts';
import { expectedTexts, headOf, rowTexts, type TestRow } from './testing/heads.ts';

const everything = { lines: true, metadata: null };
const baseNs = 1_700_000_000_000_000_000n;

function ticks(count: number, line: (i: number) => string, stepNs = 1_000_000n): TestRow[] {
  return Array.from({ length: count }, (_, i) => ({ ns: baseNs + BigInt(i) * stepNs, line: line(i) }));
}

describe('encodeBlocks and openBlock', () => {
  it('give back every distinct row in order of time and arrival', () => {
    const limits = fc.constantFrom(
      defaultBlockLimits,
      { maxRows: 1, maxLineBytes: 1000, maxSpanNs: 2 ** 52 },
      { maxRows: 7, maxLineBytes: 30, maxSpanNs: 2 ** 52 },
      { maxRows: 100, maxLineBytes: 1000, maxSpanNs: 1000 },
    );
    fc.assert(
      fc.property(arbitraryRows, limits, fc.boolean(), (rows, limit, shareSets) => {
        const blocks = encodeBlocks(headOf(rows, { shareSets }), limit);
        const texts = blocks.flatMap((block) => rowTexts(openBlock(block.bytes).columns(everything)));
        assert.deepEqual(texts, expectedTexts(rows));
        for (const { bytes, stats } of blocks) {
          const columns = openBlock(bytes).columns(everything);
          assert.deepEqual(openBlock(bytes).stats, stats);
          assert.equal(stats.encodedBytes, bytes.length);
          assert.equal(stats.rowCount, columns.rowCount);
          assert.ok(stats.rowCount <= limit.maxRows);
          assert.ok(stats.lineBytes <= limit.maxLineBytes || stats.rowCount === 1);
          assert.ok(stats.maxNs - stats.minNs < BigInt(limit.maxSpanNs));
          assert.equal(stats.maxNs, columns.baseNs + BigInt(columns.offsetsNs[columns.rowCount - 1]!));
          assert.equal(
            columns.ascii,
            columns.bytes!.every((byte) => byte < 0x80),
          );
        }
      }),
    );
  });

  it('make many lines of few words smaller than they would be beside one line of many words', () => {
    const pick = (i: number, from: number): string => ['alpha', 'bravo', 'charlie', 'delta'][(i >>> from) & 3]!;
    const rows = ticks(4000, (row) => {
      const i = Math.imul(row, 0x9e3779b1) >>> 8;
      return `first=${pick(i, 0)} second=${pick(i, 2)} third=${pick(i, 4)} fourth=${pick(i, 6)} number=${i}`;
    });
    const letters = (i: number): string => String.fromCharCode(97 + (i % 26), 97 + ((i * 7) % 26), 97 + (i % 17));
    const words = Array.from({ length: 200 }, (_, i) => letters(i) + letters(3 * i + 1)).join(' ');
    const few = encodeBlocks(headOf(rows));
    const many = encodeBlocks(headOf([...rows.slice(0, -1), { ...rows.at(-1)!, line: words }]));
    assert.equal(few.length, 1);
    assert.equal(many.length, 1);
    assert.ok(few[0]!.bytes.length < 0.95 * (many[0]!.bytes.length - words.length));
    assert.deepEqual(rowTexts(openBlock(few[0]!.bytes).columns(everything)), expectedTexts(rows));
  });

  it('agree with headToColumns on the same rows', () => {
    fc.assert(
      fc.property(arbitraryRows, (rows) => {
        const head = headOf(rows);
        assert.deepEqual(rowTexts(headToColumns(head, everything)), expectedTexts(rows));
      }),
    );
  });

  it('tell values of metadata one by one, in any order, as all together', () => {
    fc.assert(
      fc.property(arbitraryRows, (rows) => {
        const blocks = encodeBlocks(headOf(rows), defaultBlockLimits);
        const open = [
          () => headToColumns(headOf(rows), everything),
          ...blocks.map(
            ({ bytes }) =>
              () =>
                openBlock(bytes).columns(everything),
          ),
        ];
        for (const columns of open) {
          const together = columns().metadata.map(({ values }) => values);
          const backwards = columns().metadata.map((column, c) =>
            together[c]!.map((_, i) => column.valueAt(together[c]!.length - 1 - i)).reverse(),
          );
          assert.deepEqual(backwards, together);
        }
      }),
    );
  });

  it('cut at rows, line bytes and span, and leave a long line alone', () => {
    const count = (rows: TestRow[], limits = {}) =>
      encodeBlocks(headOf(rows), { ...defaultBlockLimits, ...limits }).map((b) => b.stats.rowCount);
    assert.deepEqual(count(ticks(40_000, (i) => `${i}`)), [16_384, 16_384, 7232]);
    assert.deepEqual(
      count(
        ticks(5, () => 'x'.repeat(40)),
        { maxLineBytes: 100 },
      ),
      [2, 2, 1],
    );
    assert.deepEqual(
      count(
        ticks(3, (i) => 'x'.repeat(i === 1 ? 500 : 40)),
        { maxLineBytes: 100 },
      ),
      [1, 1, 1],
    );
    assert.deepEqual(count(ticks(4, () => 'x', 2n ** 51n)), [2, 2]);
  });

  it('drop a repeated row wherever it stands, also among many of one timestamp', () => {
    const rows: TestRow[] = Array.from({ length: 500 }, (_, i) => ({
      ns: baseNs,
      line: `line ${i % 100}`,
      metadata: [['pod', `p${i % 2}`]],
    }));
    const head = headOf(rows, { shareSets: false });
    assert.equal(encodeBlocks(head)[0]!.stats.rowCount, 100);
    assert.deepEqual(rowTexts(headToColumns(head, everything)), expectedTexts(rows));
  });

  it('count metadata as Loki counts a volume: without detected_level', () => {
    const metadata: [string, string][] = [
      ['detected_level', 'info'],
      ['pod', 'ab'],
    ];
    const [block] = encodeBlocks(headOf(ticks(3, (i) => `${i}`).map((row) => ({ ...row, metadata }))));
    assert.equal(block!.stats.metadataBytes, 15);
  });

  it('open only the columns that are asked for', () => {
    const rows = ticks(100, (i) => `line ${i} ${'pad'.repeat(20)}`).map((row, i) => ({
      ...row,
      metadata: [
        ['pod', `p${i % 3}`],
        ['trace_id', `${i}`],
      ] as [string, string][],
    }));
    const [block] = encodeBlocks(headOf(rows));
    const reader = openBlock(block!.bytes);
    assert.deepEqual(reader.metadataNames, ['pod', 'trace_id']);
    // What lies behind `linesOffset` is not needed when lines are not.
    const prefix = openBlock(block!.bytes.subarray(0, reader.linesOffset));
    const columns = prefix.columns({ lines: false, metadata: new Set(['pod', 'other']) });
    assert.equal(columns.bytes, null);
    assert.equal(columns.lineStarts[100], block!.stats.lineBytes);
    assert.deepEqual(
      columns.metadata.map((c) => c.name),
      ['pod'],
    );
    assert.throws(() => prefix.columns(everything), CorruptBlockError);
  });

  it('keep evenly ticking timestamps small', () => {
    const [block] = encodeBlocks(headOf(ticks(16_384, () => '')));
    assert.ok(block!.bytes.length < 400, `${block!.bytes.length} bytes`);
  });

  it('refuse a block with any byte damaged or missing', () => {
    const rows = ticks(200, (i) => `line ${i}`).map((row, i) => ({
      ...row,
      metadata: i % 2 ? ([['pod', `pod-${i % 5}`]] as [string, string][]) : [],
    }));
    const [block] = encodeBlocks(headOf(rows));
    for (let at = 0; at < block!.bytes.length; at++) {
      const damaged = Buffer.from(block!.bytes);
      damaged[at]! ^= 0x41;
      assert.throws(
        () => openBlock(damaged).columns(everything),
        (error: unknown) => error instanceof CorruptBlockError && error.code === 'corrupt_block',
        `byte ${at}`,
      );
    }
    for (let length = 0; length < block!.bytes.length; length++) {
      assert.throws(() => openBlock(block!.bytes.subarray(0, length)).columns(everything), CorruptBlockError);
    }
  });
});

describe('headToColumns', () => {
  it('gives views of an ascending head, and the rows that were there when it was taken', () => {
    const head = headOf(ticks(10, (i) => `line ${i}`));
    const columns = headToColumns({ ...head, rowCount: 4 }, everything);
    assert.equal(columns.rowCount, 4);
    assert.equal(columns.bytes!.toString(), 'line 0line 1line 2line 3');
    assert.equal(columns.offsetsNs.buffer, head.offsetsNs.buffer);
    assert.equal(columns.bytes!.buffer, head.bytes.buffer);
  });

  it('gives no rows for an empty head', () => {
    const columns = headToColumns(headOf([]), everything);
    assert.equal(columns.rowCount, 0);
    assert.deepEqual([...columns.lineStarts], [0]);
  });
});
