import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { conditionOf } from '../../logql/plan/index.ts';
import { compilePipeline } from '../../logql/stages/index.ts';
import type { LogSelectorExpr } from '../../logql/syntax/ast.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { encodeBlocks, openBlock } from '../block/index.ts';
import { headOf, type TestRow } from '../block/testing/heads.ts';
import { compileFilterTest, encodeFilter } from './index.ts';
import { encodeTextBits } from './text-encoder.ts';

const STREAM = [['app', 'web']] as const;

function mayHave(query: string, filter: Uint8Array): boolean {
  const test = compileFilterTest(conditionOf((parseQuery(query) as LogSelectorExpr).stages));
  return test === null || test(STREAM, filter);
}

function filterOf(...rows: (string | TestRow)[]): Uint8Array {
  const [block] = encodeBlocks(
    headOf(rows.map((row, i) => (typeof row === 'string' ? { ns: BigInt(i), line: row } : row))),
  );
  return block!.filter;
}

/** Whether the query, run over the block, keeps a row. */
function keepsRow(query: string, rows: readonly TestRow[]): boolean {
  const { stages } = parseQuery(query) as LogSelectorExpr;
  const pipeline = compilePipeline({ stages, grouping: { kind: 'categories' } });
  const columns = openBlock(encodeBlocks(headOf(rows))[0]!.bytes).columns({ lines: true, metadata: null });
  pipeline.open(columns, STREAM);
  const selected = Uint32Array.from({ length: columns.rowCount }, (_, row) => row);
  const count = pipeline.filter(selected, selected.length);
  return selected.subarray(0, count).some((row) => pipeline.run(row));
}

const word = fc.stringMatching(/^[a-zA-Z0-9]{1,9}$/);
const piece = fc.oneof(
  word,
  fc.constantFrom(' ', '=', '"', ': ', '[', '{', '@', '/', 'ключ', 'K', 'ſ', 'İ'),
  fc.string(),
);
const line = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(''));
const rows = fc.array(fc.record({ line, trace: fc.option(word) }), { minLength: 1, maxLength: 40 }).map((all) =>
  all.map(
    ({ line: text, trace }, i): TestRow => ({
      ns: BigInt(i),
      line: text,
      metadata: trace === null ? [] : [['trace', trace]],
    }),
  ),
);

describe('a block’s filter', () => {
  it('never denies a text that a line contains, in whatever case and place', () => {
    fc.assert(
      fc.property(rows, fc.nat(), fc.nat(), fc.nat({ max: 30 }), fc.boolean(), (block, r, from, length, folds) => {
        const filter = encodeBlocks(headOf(block))[0]!.filter;
        const characters = [...block[r % block.length]!.line];
        const start = from % (characters.length + 1);
        const needle = characters.slice(start, start + length).join('');
        const pattern = needle.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
        assert.ok(mayHave(`{app="web"} |= ${JSON.stringify(needle)}`, filter));
        // Loki compares such a pattern by characters in lower case, of which `ſ` is none of `s`.
        if (/[^\x00-\x7f]/.test(needle)) return;
        const changed = folds ? pattern.replace(/[a-z]/g, (letter) => letter.toUpperCase()) : pattern;
        assert.ok(mayHave(`{app="web"} |~ ${JSON.stringify(`(?i)${changed}`)}`, filter));
        assert.ok(mayHave(`{app="web"} |~ ${JSON.stringify(`(${pattern}|nothing at all).*`)}`, filter));
      }),
      { numRuns: 300 },
    );
  });

  it('lets every block through that holds a row of the answer', () => {
    const text = fc.oneof(word, line).map((t) => JSON.stringify(t.slice(0, 12)));
    const patterns = fc
      .array(
        fc.oneof(word, fc.constantFrom('.*', '(?i)', '|', 'a+', '[0-9]', '(ab)?', '(cd){2,3}', '\\b', 'K', 's', 'ſ')),
        {
          maxLength: 6,
        },
      )
      .map((parts) => JSON.stringify(parts.join('')));
    const stage = fc.oneof(
      text.map((t) => `|= ${t}`),
      fc.tuple(text, text).map(([a, b]) => `|= ${a} or ${b}`),
      text.map((t) => `!= ${t}`),
      patterns.map((p) => `|~ ${p}`),
      word.map((w) => `| trace="${w}"`),
      word.map((w) => `| trace="${w}" or trace=""`),
      word.map((w) => `| line_format "${w}" |= "${w}"`),
      word.map((w) => `| label_format trace="${w}" | trace="${w}"`),
      fc.constant('| logfmt | trace="a"'),
    );
    fc.assert(
      fc.property(rows, fc.array(stage, { maxLength: 3 }), (block, stages) => {
        const query = `{app="web"} ${stages.join(' ')}`;
        const filter = encodeBlocks(headOf(block))[0]!.filter;
        if (!mayHave(query, filter)) assert.equal(keepsRow(query, block), false);
      }),
      { numRuns: 500 },
    );
  });

  it('finds a text at both parities, at the borders of its chunks and at the end of the lines', () => {
    const needle = 'Needle-7f';
    for (const before of [0, 1, 2, 3, 16_377, 16_380, 16_381, 16_383, 16_384, 32_767]) {
      for (const behind of [0, 1, 2, 3]) {
        const text = Buffer.from('.'.repeat(before) + needle + '.'.repeat(behind));
        assert.ok(mayHave('{a="b"} |= "Needle-7f"', encodeFilter(text, [])), `${before} ${behind}`);
      }
    }
  });

  it('is the same for few bytes, of which each gram is listed, as it would be for many', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), (lines) => {
        const bytes = Buffer.from(lines.join('')).subarray(0, 4096);
        assert.deepEqual(encodeTextBits(bytes), encodeTextBits(bytes, -1));
      }),
    );
  });

  it('denies texts and values that are not there', () => {
    const lines = Array.from({ length: 2000 }, (_, i) => `GET /items/${i} 200 in ${i * 7} ms`);
    const filter = filterOf(...lines, { ns: 5000n, line: 'last', metadata: [['trace', 'abc']] });
    assert.ok(!mayHave('{app="web"} |= "a needle in the hay"', filter));
    assert.ok(!mayHave('{app="web"} |~ "(?i)ANOTHER NEEDLE OF GREAT LENGTH"', filter));
    assert.ok(!mayHave('{app="web"} |~ "it was refused|connection.*reset"', filter));
    assert.ok(!mayHave('{app="web"} |> "<_> POST /other/things <_>"', filter));
    assert.ok(!mayHave('{app="web"} | trace="abd"', filter));
    assert.ok(!mayHave('{app="web"} | other="abc"', filter));
    assert.ok(!mayHave('{app="web"} | trace="abd" and trace!="x"', filter));
    assert.ok(mayHave('{app="web"} | trace="abc"', filter));
    assert.ok(mayHave('{app="web"} | json | trace="abd"', filter));
  });

  it('denies single words, of four letters and more', () => {
    const lines = Array.from({ length: 2000 }, (_, i) => `${i * 7919} accepted from 10.0.${i % 256}.${i % 7}, ok_${i}`);
    const filter = filterOf(...lines);
    for (const there of ['accepted', 'CCEP', 'from', 'from 10.0', 'cepted from']) {
      assert.ok(mayHave(`{app="web"} |= "${there}"`, filter), there);
    }
    for (const other of ['fail', 'reset', 'refused', 'panic:', '(error)', '] warn ', '10 timeouts 20']) {
      assert.ok(!mayHave(`{app="web"} |= "${other}"`, filter), other);
    }
    // Shorter ones, and four bytes that are no letters, have no piece that must be there.
    for (const short of ['bug', '54', '5432', 'a-b_']) assert.ok(mayHave(`{app="web"} |= "${short}"`, filter), short);
  });

  it('is read as the first release wrote it, without letters', () => {
    const lines = ['connection accepted from 10.0.0.1', 'connection closed'];
    const filter = filterOf(...lines, { ns: 5000n, line: 'last', metadata: [['trace', 'abc']] });
    const view = new DataView(filter.buffer, filter.byteOffset);
    const first = filter.slice(0, 8 + view.getUint32(0, true) + view.getUint32(4, true));
    assert.ok(first.length < filter.length);
    assert.ok(mayHave('{app="web"} |= "accepted from"', first));
    assert.ok(mayHave('{app="web"} |= "warn"', first));
    assert.ok(!mayHave('{app="web"} |= "warn"', filter));
    assert.ok(!mayHave('{app="web"} |= "another connection refused"', first));
    assert.ok(mayHave('{app="web"} | trace="abc"', first));
    assert.ok(!mayHave('{app="web"} | trace="abd"', first));
  });

  it('proves nothing when it does not add up', () => {
    const filter = filterOf('one line');
    assert.ok(!mayHave('{app="web"} |= "something else"', filter));
    for (const bytes of [0, 7, 8, 12, filter.length - 12]) {
      assert.ok(mayHave('{app="web"} |= "something else"', filter.subarray(0, bytes)), String(bytes));
    }
  });

  it('says nothing of a label that the stream has itself', () => {
    const filter = filterOf('one line');
    assert.ok(mayHave('{app="web"} | app="other"', filter));
    assert.ok(mayHave('{app="web"} | app_extracted="other"', filter));
  });

  it('seldom lets a random text through, in a few kilobytes', () => {
    const hex = (number: number): string => createHash('md5').update(String(number)).digest('hex');
    const lines = Array.from({ length: 1000 }, (_, i) => `level=info msg="done" trace=${hex(i)}`);
    const filter = filterOf(...lines);
    assert.ok(filter.length < 3000, String(filter.length));
    let passed = 0;
    for (let i = 0; i < 1000; i++) if (mayHave(`{app="web"} |= "${hex(-1 - i)}"`, filter)) passed++;
    assert.ok(passed < 20, String(passed));
  });
});
