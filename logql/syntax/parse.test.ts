import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ParseError, parseLogSelector, parseMatchers, parseQuery, printExpr } from './index.ts';

const message = (text: string) => new ParseError(text).message;
const refuses = (run: () => unknown, expected: string | RegExp) => {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof ParseError);
    if (typeof expected === 'string') assert.equal(error.message, message(expected));
    else assert.match(error.message, expected);
    return true;
  });
};

test('a query becomes a tree of plain data', () => {
  assert.deepEqual(
    parseQuery('topk(3, sum_over_time({app="x"} |= "a" | unwrap bytes(size) | size > 1KB [5m] offset 1m))'),
    {
      kind: 'vector_aggregation',
      op: 'topk',
      parameter: 3,
      grouping: null,
      expr: {
        kind: 'range_aggregation',
        op: 'sum_over_time',
        parameter: null,
        grouping: null,
        range: {
          log: {
            kind: 'log',
            matchers: [{ kind: 'matcher', name: 'app', op: '=', value: 'x' }],
            stages: [{ kind: 'line_filter', op: '|=', operands: [{ fn: null, value: 'a' }] }],
          },
          unwrap: {
            label: 'size',
            conversion: 'bytes',
            postFilters: [{ kind: 'bytes_filter', name: 'size', op: '>', valueBytes: 1000 }],
          },
          rangeNs: 300e9,
          offsetNs: 60e9,
        },
      },
    },
  );
  const tree = parseQuery('vector(1) > bool on (a) group_left (b) vector(2)');
  assert.deepEqual(structuredClone(tree), tree);
});

test('a parse error tells line and column', () => {
  refuses(() => parseQuery('{app="x"}\n  | json\n  | ='), 'parse error at line 3, col 5: syntax error: unexpected =');
  try {
    parseQuery('{app="x"}\n}');
    assert.fail();
  } catch (error: unknown) {
    assert.ok(error instanceof ParseError);
    assert.deepEqual([error.line, error.column], [2, 1]);
  }
});

test('an empty query has an error without a place, and one of spaces has one with it', () => {
  refuses(() => parseQuery(''), 'parse error : syntax error: unexpected $end');
  refuses(() => parseQuery('  '), 'parse error at line 1, col 3: syntax error: unexpected $end');
});

test('a query of 131072 bytes or more is too long', () => {
  const filler = (bytes: number) => `{app="${'é'.repeat((bytes - 8 - (bytes % 2)) / 2)}${bytes % 2 ? 'x' : ''}"}`;
  assert.equal(Buffer.byteLength(filler(131_071)), 131_071);
  assert.equal(parseQuery(filler(131_071)).kind, 'log');
  refuses(() => parseQuery(filler(131_072)), 'parse error : input size too long (131072 > 131072)');
});

test('deep nesting is refused before it can exhaust the stack', () => {
  const nested = (depth: number) => `${'('.repeat(depth)}1${')'.repeat(depth)}`;
  assert.equal(parseQuery(nested(150)).kind, 'literal');
  refuses(() => parseQuery(nested(10_000)), /nested too deeply/);
  refuses(() => parseQuery('('.repeat(10_000)), 'parse error at line 1, col 10001: syntax error: unexpected $end');
});

test('long chains are read without recursion, up to a depth that others can walk', () => {
  assert.deepEqual(parseQuery(`1${'+1'.repeat(40_000)}`), { kind: 'literal', value: 40_001 });
  assert.deepEqual(parseQuery(`1${'^1'.repeat(40_000)}`), { kind: 'literal', value: 1 });
  assert.match(printExpr(parseQuery(`vector(1)${' or vector(1)'.repeat(999)}`)), /^\({999}/);
  refuses(() => parseQuery(`vector(1)${' or vector(1)'.repeat(1001)}`), /nested too deeply/);
  refuses(() => parseQuery(`{app="x"} | a=1${',a=1'.repeat(1001)}`), /nested too deeply/);
});

test('many line filters and matchers are no depth', () => {
  const query = parseQuery(`{${'a="b",'.repeat(5000)}c="d"}${' |= "e"'.repeat(5000)}`);
  assert.ok(query.kind === 'log');
  assert.deepEqual([query.matchers.length, query.stages.length], [5001, 5000]);
});

test('only a query for lines is a log selector', () => {
  assert.equal(parseLogSelector('{app="x"} | json').stages.length, 1);
  refuses(() => parseLogSelector('rate({app="x"}[5m])'), 'only log selector is supported');
});

test('matchers come without stages', () => {
  assert.deepEqual(parseMatchers('{app="x", env=~"a.*"}'), [
    { kind: 'matcher', name: 'app', op: '=', value: 'x' },
    { kind: 'matcher', name: 'env', op: '=~', value: 'a.*' },
  ]);
  refuses(() => parseMatchers('{app="x"} | json'), 'only label matchers are supported');
  refuses(() => parseMatchers('vector(1)'), 'only label matchers are supported');
  refuses(() => parseMatchers('{}'), /^parse error : queries require at least one/);
  assert.deepEqual(parseMatchers('{}', { mayMatchAll: true }), []);
});

test('a parser is fit for use after a query that it refused', () => {
  refuses(() => parseQuery('{app=~"["}'), 'parse error : error parsing regexp: missing closing ]: `[`');
  refuses(() => parseQuery('sum(({app="x"}))'), /unexpected \)/);
  assert.equal(printExpr(parseQuery('{app="x"}')), '{app="x"}');
});
