import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJsonPath } from './json-path.ts';
import { parseLogfmtKey } from './logfmt-key.ts';

test('a key is a name or a text in quotes', () => {
  assert.equal(parseLogfmtKey('level'), 'level');
  assert.equal(parseLogfmtKey(' _a1 '), '_a1');
  assert.equal(parseLogfmtKey('"a b"'), 'a b');
});

const refused: [parse: (expression: string) => unknown, expression: string, reason: string][] = [
  [parseLogfmtKey, '', 'syntax error: unexpected $end, expecting STRING or KEY'],
  [parseLogfmtKey, '-', 'syntax error: unexpected $end, expecting STRING or KEY'],
  [parseLogfmtKey, 'b c', 'syntax error: unexpected KEY'],
  [parseLogfmtKey, 'b.c', 'unexpected char .'],
  [parseLogfmtKey, 'k-y', 'unexpected char -'],
  [parseJsonPath, '', 'syntax error: unexpected $end, expecting LSB or FIELD'],
  [parseJsonPath, '-', 'syntax error: unexpected $end, expecting LSB or FIELD'],
  [parseJsonPath, 'a-b', 'unexpected char -'],
  [parseJsonPath, 'b c', 'syntax error: unexpected FIELD'],
  [parseJsonPath, 'b..c', 'syntax error: unexpected DOT, expecting FIELD'],
  [parseJsonPath, 'b[', 'syntax error: unexpected $end, expecting STRING or INDEX'],
];
for (const [parse, expression, reason] of refused) {
  test(`${parse.name} refuses ${JSON.stringify(expression)} in Loki's words`, () =>
    assert.throws(() => parse(expression), { message: `cannot parse expression [${expression}]: ${reason}` }));
}
