import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TreeBuilder } from './build.ts';
import { explain } from './explain.ts';
import { QueryParser } from './grammar.ts';
import { scanAll } from './query-scanner.ts';

const QUERIES = [
  '{app="x",env!="y"} |= "a" or "b" | json | level="error" or status>=500 | line_format "{{.a}}"',
  '{app="x"} | logfmt --strict a,b="c" | label_format a=b,c="d" | drop a,b="c" | keep d | decolorize',
  'sum by (a,b) (rate({app="x"} | unwrap duration(y) | __error__="" [5m] offset 1h)) / 2 > bool 5',
  'topk(5, count_over_time(({app="x"} != ip("1.1.1.1"))[1h])) without (a) or vector(0)',
  'quantile_over_time(0.9, {app="x"}[5m] | json | unwrap x) by (b) * on (a) group_left (c) vector(1)',
  'label_replace(rate({app="x"}[1m]), "a", "$1", "b", "(.*)") unless ignoring (z) group_right () (1 + 2 ^ 3)',
  'variants(rate({app="x"}[5m]), sum(rate({app="x"}[5m]))) of ({app="x"}[5m])',
  '{app="x"} | a=1 and (b<10s, c>1KB) or d=ip("::1") e=~"f"',
];
const tokens = QUERIES.map((query) => scanAll(query).tokens.map((token) => token.image));
const token = fc.constantFrom(...new Set(tokens.flat()));

/** A query of the list after some tokens were taken out, put in, or replaced by a piece of another query. */
const mutated = fc
  .record({
    base: fc.constantFrom(...tokens),
    edits: fc.array(
      fc.record({
        at: fc.nat(),
        remove: fc.nat({ max: 3 }),
        insert: fc.oneof(
          fc.array(token, { maxLength: 2 }),
          fc.tuple(fc.constantFrom(...tokens), fc.nat(), fc.nat({ max: 8 })).map(([from, at, length]) => {
            const start = at % from.length;
            return from.slice(start, start + length);
          }),
        ),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ base, edits }) => {
    const query = [...base];
    for (const { at, remove, insert } of edits) query.splice(at % (query.length + 1), remove, ...insert);
    return query.join(' ');
  });

const parser = new QueryParser();

function isAccepted(query: string): boolean {
  const { tokens, isClean } = scanAll(query);
  return isClean && parser.parse(tokens, new TreeBuilder()) !== null;
}

test('the grammar accepts exactly the queries in which the automaton finds no error', () => {
  fc.assert(
    fc.property(mutated, (query) => {
      assert.equal(isAccepted(query), explain(query) === null, query);
    }),
    { numRuns: 3000 },
  );
});

test('any text at all is either accepted or explained', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'{}()[]|=!~><"`\'\\.,+-*/%^#_0123456789eExsmhKBi \nabé\u0000') }),
      (text) => {
        assert.equal(isAccepted(text), explain(text) === null, text);
      },
    ),
    { numRuns: 3000 },
  );
});
