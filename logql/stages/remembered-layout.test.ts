import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runLines } from './testing/run-lines.ts';

/*
 * Parsers remember how the last lines looked. What they make of a line must not depend on it.
 */

const key = fc.constantFrom('a', 'b', 'level', 'a.b', 'c\\"d', 'é');
const text = fc.string({ unit: fc.constantFrom('x', 'y', ' ', '1', '\\"', '\\\\', '\\u00e9', 'é'), maxLength: 11 });
const space = fc.constantFrom('', '', '', '', ' ', '\t ', '\x01');
const scalar = fc.oneof(
  text.map((content) => `"${content}"`),
  fc.constantFrom('1', '2.5', '-3', '1e5', 'true', 'null', '[1,"]"]', '0x1', 'wrong'),
);
const { object } = fc.letrec<{ object: string; value: string }>((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, scalar, tie('object')),
  object: fc
    .array(fc.tuple(space, key, space, space, tie('value'), space), { maxLength: 4 })
    .map((members) => `{${members.map(([a, k, b, c, v, d]) => `${a}"${k}"${b}:${c}${v}${d}`).join(',')}}`),
}));
const pairs = fc
  .array(fc.tuple(key, fc.constantFrom('=', '=', ' ', '=='), fc.oneof(scalar, fc.constantFrom('', 'x', 'é'))), {
    maxLength: 4,
  })
  .map((all) => all.map((pair) => pair.join('')).join(' '));

/** Lines and what somebody made of them: mostly alike, some broken. */
function linesOf(line: fc.Arbitrary<string>): fc.Arbitrary<string[]> {
  const broken = fc
    .tuple(line, fc.nat({ max: 60 }), fc.constantFrom('', '"', '{', '}', ',', ':', ' ', '\\'))
    .map(([whole, at, inserted]) => whole.slice(0, at) + inserted + whole.slice(at + (inserted === '' ? 1 : 0)));
  return fc.array(fc.oneof(line, broken), { minLength: 1, maxLength: 6 }).map((all) => [...all, ...all.toReversed()]);
}

const stages = fc.constantFrom('', ' | level="x"', ' | a > 1', ' | line_format "{{.b}}" | json');
const grouping = fc.constantFrom(
  { kind: 'categories' } as const,
  { kind: 'by', labels: ['a'] } as const,
  { kind: 'by', labels: ['level', 'a_b'] } as const,
);

for (const [name, parsers, line] of [
  ['json', ['| json', '| json x="a.b", b', '| unpack'], object],
  ['logfmt', ['| logfmt', '| logfmt --strict', '| logfmt --keep-empty', '| logfmt x="a"'], pairs],
  ['pattern', ['| pattern `<a>=<b> <_>`', '| pattern `a="<a>"<_>`', '| pattern `<level> "<a>"`'], pairs],
] as const) {
  test(`${name}: what is made of a line does not depend on the lines before it`, () => {
    fc.assert(
      fc.property(fc.constantFrom(...parsers), stages, grouping, linesOf(line), (parser, behind, grouping, lines) => {
        const together = runLines(parser + behind, lines, { grouping });
        const alone = lines.flatMap((one, row) =>
          runLines(parser + behind, [one], { grouping }).map((ran) => ({ ...ran, row })),
        );
        assert.deepEqual(together, alone);
      }),
      { numRuns: 400 },
    );
  });
}

test('json: strings of every length end at their quote', () => {
  for (const content of ['', 'x'.repeat(20), `${'\\"'.repeat(9)}`, `xxxx\\\\${'y'.repeat(8)}`, '!#!#[]][![\xa2']) {
    for (let length = 0; length <= content.length; length++) {
      const piece = content.slice(0, length);
      if (/(?<!\\)(\\\\)*\\$/.test(piece)) continue;
      const [ran] = runLines('| json', [`{"a":"${piece}","b":"z"}`]);
      assert.deepEqual(ran!.labels.parsed, [
        ['a', JSON.parse(`"${piece}"`)],
        ['b', 'z'],
      ]);
    }
  }
});
