import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Labels } from '../labels.ts';
import { parseLogSelector, parseMatchers } from '../syntax/index.ts';
import { compileMatchers, compilePipeline, StageError } from './index.ts';
import { blockOf } from './testing/block-of.ts';
import { runLines } from './testing/run-lines.ts';

const print = (labels: Labels): string => labels.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(' ');

describe('stages', () => {
  let named = '';
  for (const text of readFileSync(new URL('./testdata/parsers.txt', import.meta.url), 'utf8').split('\n')) {
    if (text.startsWith('| ')) named = text;
    const at = text.indexOf(' =>');
    if (text.startsWith('#') || text.startsWith('| ') || at < 0) continue;
    const stages = named;
    const input = text.slice(0, at);
    it(`${stages} on ${input}`, () => {
      const [ran] = runLines(stages, [input]);
      const line = ran === undefined || ran.line === input ? '' : ` line:${ran.line}`;
      const actual = ran === undefined ? '-' : `${print(ran.labels.parsed)}${line}`;
      assert.equal(actual, text.slice(at + 3).trim());
    });
  }
});

describe('line filters', () => {
  const kept = (stages: string, lines: readonly (string | Uint8Array)[]): number[] =>
    runLines(stages, lines).map((ran) => ran.row);

  it('find no text that runs from one line into the next', () => {
    assert.deepEqual(kept('|= "ab"', ['xa', 'bx', 'ab']), [2]);
    assert.deepEqual(kept('|~ "a[b]"', ['xa', 'bx', 'a', 'bab']), [3]);
    assert.deepEqual(kept('|~ "a[bc][de]"', ['xab', 'dabe', 'x']), [1]);
  });

  it('keep or drop by any operand of a chain', () => {
    const lines = ['a', 'b', 'c', ''];
    assert.deepEqual(kept('|= "a" or "b"', lines), [0, 1]);
    assert.deepEqual(kept('!= "a" or "b"', lines), [2, 3]);
    assert.deepEqual(kept('|= ""', lines), [0, 1, 2, 3]);
  });

  it('match patterns without holding them to the beginning of the line', () => {
    const lines = ['10.0.0.1 x', 'y 10.0.0.1 x', '10.0.0.1', ''];
    assert.deepEqual(kept('|> "10.0.0.1<_>"', lines), [0, 1]);
    assert.deepEqual(kept('|> "<_>10.0.0.1<_>"', lines), [1]);
    assert.deepEqual(kept('|> "<_>0.1"', lines), [2]);
    assert.deepEqual(kept('|> ""', lines), [3]);
  });

  it('find addresses of both families', () => {
    const lines = ['from 10.1.2.3:80', 'v=1.5 ip=2001:db8::7]', '10.0.0.300', '::1'];
    assert.deepEqual(kept('|= ip("10.0.0.0/8")', lines), [0]);
    assert.deepEqual(kept('|= ip("2001:db8::/32")', lines), [1]);
    assert.deepEqual(kept('!= ip("10.1.2.1-10.1.2.9")', lines), [1, 2, 3]);
    assert.throws(() => runLines('|= ip("zz")', []), { message: /ip: invalid pattern: "zz"/ });
  });

  it('fold case as Loki does: only A to Z where a text begins', () => {
    assert.deepEqual(kept('|~ "(?i)error"', ['an ERRor', 'err', 'é Error']), [0, 2]);
    assert.deepEqual(kept('|~ "(?i)ω"', ['Ω', 'ω']), [1]);
    assert.deepEqual(kept('|~ "(?i)xω"', ['XΩ']), [0]);
  });

  it('run before decolorize, but after line_format', () => {
    assert.deepEqual(kept('| decolorize |= "ab"', ['a\x1b[31mb', 'ab']), [1]);
    assert.deepEqual(kept('| line_format "x" |= "x"', ['a']), [0]);
  });

  it('see bytes that are not UTF-8 as U+FFFD', () => {
    assert.deepEqual(kept('|~ "^a.b$"', [Uint8Array.of(0x61, 0xff, 0x62), 'aéb', 'aéxb']), [0, 1]);
  });

  const line = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'é', ' ', '1', 'A', '😀'), maxLength: 8 });
  const operand = fc.constantFrom('|= "ab"', '!= "a"', '|= "é"', '|~ "a.c"', '|~ "[ab]1"', '!~ "b+c"', '|~ "(?i)ab"');
  const more = fc.constantFrom(
    '|~ "^a"',
    '|~ "a$|1"',
    '|> "<_>a<_>"',
    '|~ "é?b"',
    '|~ "ab.*1"',
    '|= "b" or "c"',
    '|~ "."',
  );

  it('give the same rows over a block as line by line', () => {
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 40 }),
        fc.array(fc.oneof(operand, more), { minLength: 1, maxLength: 3 }),
        (lines, filters) => {
          const stages = filters.join(' ');
          const alone = lines.flatMap((text, row) => (runLines(stages, [text]).length > 0 ? [row] : []));
          assert.deepEqual(kept(stages, lines), alone);
          // Behind a line_format filters run row by row.
          assert.deepEqual(kept(`| line_format "{{__line__}}" ${stages}`, lines), alone);
        },
      ),
      { numRuns: Number(process.env.LOPTR_FUZZ_RUNS ?? 300) },
    );
  });
});

describe('labels', () => {
  it('come in three categories, metadata named as a stream label with a suffix', () => {
    const [ran] = runLines('| logfmt', ['user=parsed app=p'], { metadata: [{ app: 'meta', user: 'm' }] });
    assert.equal(print(ran!.labels.stream), 'app="x"');
    assert.equal(print(ran!.labels.structuredMetadata), 'user="m"');
    assert.equal(print(ran!.labels.parsed), 'app_extracted="p" user_extracted="parsed"');
  });

  it('are kept by name or value', () => {
    const [ran] = runLines('| logfmt | keep a, b="2"', ['a=1 b=2 c=3'], { metadata: [{ m: '1' }] });
    assert.equal(print(ran!.labels.merged), 'a="1" b="2"');
  });

  it('that are equal share a group, whatever their order in the line', () => {
    const rows = runLines('| logfmt', ['a=1 b=2', 'b=2 a=1', 'a=1']);
    assert.equal(rows[0]!.labels, rows[1]!.labels);
    assert.notEqual(rows[0]!.labels, rows[2]!.labels);
  });

  it('are those of the grouping in metric queries', () => {
    const lines = ['a=1 b=2', 'a=1 b=3', 'b=4'];
    const by = runLines('| logfmt', lines, { grouping: { kind: 'by', labels: ['a', 'app'] } });
    assert.deepEqual(
      by.map((ran) => print(ran.labels.merged)),
      ['a="1" app="x"', 'a="1" app="x"', 'app="x"'],
    );
    const without = runLines('| logfmt', lines, { grouping: { kind: 'without', labels: ['b'] } });
    assert.deepEqual(
      without.map((ran) => print(ran.labels.merged)),
      ['a="1" app="x"', 'a="1" app="x"', 'app="x"'],
    );
  });

  it('of a row with an error are never grouped away', () => {
    const [ran] = runLines('| json', ['x'], { grouping: { kind: 'by', labels: ['a'] } });
    assert.equal(ran!.labels.error, 'JSONParserErr');
    assert.ok(print(ran!.labels.merged).includes('app="x"'));
  });
});

describe('metric pipelines', () => {
  it('run no parser when no label is needed', () => {
    const [ran] = runLines('| json', ['x'], { grouping: { kind: 'by', labels: [] } });
    assert.equal(ran!.labels.error, '');
  });

  it('treat errors as labels when the query names them', () => {
    const [ran] = runLines('| json', ['x'], { grouping: { kind: 'by', labels: ['__error__'] } });
    assert.equal(ran!.labels.error, '');
    assert.equal(print(ran!.labels.merged), '__error__="JSONParserErr"');
  });

  it('fail for an error that the line itself names', () => {
    const line = '{"__error__":"mine"}';
    for (const grouping of [{ kind: 'all' }, { kind: 'by', labels: ['__error__', '__error__'] }] as const) {
      const [ran] = runLines('| json | drop __error__', [line], { grouping, stream: [] });
      assert.equal(ran!.labels.error, 'mine');
      assert.equal(print(ran!.labels.merged), '__error__="mine"');
    }
  });

  it('stop parsing when all needed labels are found', () => {
    const [ran] = runLines('| json', ['{"a":1, broken'], { grouping: { kind: 'by', labels: ['a'] } });
    assert.equal(print(ran!.labels.merged), 'a="1"');
  });

  it('say which columns they look at', () => {
    const pipeline = compilePipeline({ stages: [], grouping: { kind: 'by', labels: ['app'] } });
    assert.equal(pipeline.needsLines, false);
    assert.deepEqual(pipeline.needsMetadata, new Set(['app']));
    const reading = compilePipeline({ stages: parseLogSelector('{a="b"} |= "x"').stages, grouping: { kind: 'all' } });
    assert.equal(reading.needsLines, true);
    assert.equal(reading.needsMetadata, null);
  });

  it('unwrap numbers, sizes and durations', () => {
    const unwrap = (conversion: 'bytes' | 'duration' | null) => ({
      grouping: { kind: 'all' } as const,
      unwrap: { label: 'v', conversion, postFilters: [] },
    });
    const values = (conversion: 'bytes' | 'duration' | null, lines: string[]) =>
      runLines('| logfmt', lines, unwrap(conversion)).map((ran) => [ran.value, ran.labels.error]);
    assert.deepEqual(values(null, ['v=1.5', 'w=1', 'v=x']), [
      [1.5, ''],
      [0, 'SampleExtractionErr'],
    ]);
    assert.deepEqual(values('bytes', ['v=1KB']), [[1000, '']]);
    assert.deepEqual(values('duration', ['v=1500ms']), [[1.5, '']]);
  });
});

describe('hostile lines', () => {
  it('do not overflow the stack or take long', () => {
    const deep = '{"a":'.repeat(50_000);
    assert.equal(runLines('| json', [deep])[0]!.labels.error, 'JSONParserErr');
    const closed = `${deep}1${'}'.repeat(50_000)}`;
    assert.equal(runLines('| json', [closed]).length, 1);
    assert.equal(runLines('| json x="a.a.a"', [closed]).length, 1);
    assert.equal(runLines('| logfmt', ['"'.repeat(200_000)]).length, 1);
  });

  it('turn invalid UTF-8 in values into spaces', () => {
    const bytes = Buffer.from('{"a":"x?y"}');
    bytes[7] = 0xff;
    assert.equal(print(runLines('| json', [bytes])[0]!.labels.parsed), 'a="x y"');
  });
});

describe('compileMatchers', () => {
  it('matches whole values and takes a missing label for the empty one', () => {
    const matches = (text: string, labels: Labels) => compileMatchers(parseMatchers(text))(labels);
    assert.equal(matches('{app=~"a|b"}', [['app', 'a']]), true);
    assert.equal(matches('{app=~"a|b"}', [['app', 'ab']]), false);
    assert.equal(matches('{app="a", x=""}', [['app', 'a']]), true);
    assert.equal(matches('{app="a", x!=""}', [['app', 'a']]), false);
    assert.equal(matches('{app="a", x!~"y.*"}', [['app', 'a']]), true);
  });
});

it('a pipeline is reused from block to block', () => {
  const pipeline = compilePipeline({
    stages: parseLogSelector('{a="b"} |= "x" | logfmt').stages,
    grouping: { kind: 'categories' },
  });
  const seen: string[] = [];
  for (const [stream, lines] of [
    ['one', ['x=1', 'y=1']],
    ['two', ['x=1', 'x=2', 'x=3']],
  ] as const) {
    pipeline.open(blockOf(lines), [['s', stream]]);
    const rows = Uint32Array.from(lines, (_, row) => row);
    for (const row of rows.subarray(0, pipeline.filter(rows, rows.length))) {
      if (pipeline.run(row)) seen.push(print(pipeline.groups[pipeline.group]!.merged));
    }
  }
  assert.deepEqual(seen, ['s="one" x="1"', 's="two" x="1"', 's="two" x="2"', 's="two" x="3"']);
  assert.throws(
    () =>
      compilePipeline({
        stages: [{ kind: 'line_filter', op: '|~', operands: [{ fn: 'ip', value: '1.1.1.1' }] }],
        grouping: { kind: 'all' },
      }),
    StageError,
  );
});
