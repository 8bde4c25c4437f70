import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QueryScanner, scanAll } from './query-scanner.ts';

const tokens = (text: string) => scanAll(text).tokens.map(({ terminal, value }) => [terminal, value]);
const terminals = (text: string) => scanAll(text).tokens.map((token) => token.terminal);

test('a function name is a function only before a parenthesis or a grouping', () => {
  assert.deepEqual(terminals('rate ('), ['RATE', 'OPEN_PARENTHESIS']);
  assert.deepEqual(terminals('Sum \n BY\t('), ['SUM', 'BY', 'OPEN_PARENTHESIS']);
  assert.deepEqual(terminals('sum without ('), ['SUM', 'WITHOUT', 'OPEN_PARENTHESIS']);
  assert.deepEqual(terminals('rate sum ip'), ['IDENTIFIER', 'IDENTIFIER', 'IDENTIFIER']);
  assert.deepEqual(terminals('sum by a'), ['IDENTIFIER', 'BY', 'IDENTIFIER']);
  assert.deepEqual(terminals('sum bylaw ('), ['IDENTIFIER', 'IDENTIFIER', 'OPEN_PARENTHESIS']);
});

test('keywords are known in any case, and identifiers keep theirs', () => {
  assert.deepEqual(tokens('UNWRAP Group_Left App _a1 é'), [
    ['UNWRAP', 'unwrap'],
    ['GROUP_LEFT', 'group_left'],
    ['IDENTIFIER', 'App'],
    ['IDENTIFIER', '_a1'],
    ['IDENTIFIER', 'é'],
  ]);
});

test('a number takes a duration or a size that follows it, and leaves anything else', () => {
  assert.deepEqual(tokens('5 5m 1h30m 1.5h 100ns 5µs'), [
    ['NUMBER', '5'],
    ['DURATION', 300e9],
    ['DURATION', 5400e9],
    ['DURATION', 5400e9],
    ['DURATION', 100],
    ['DURATION', 5000],
  ]);
  assert.deepEqual(tokens('5B 5KB 5kB 1.5KiB 2TB'), [
    ['BYTES', 5],
    ['BYTES', 5000],
    ['BYTES', 5000],
    ['BYTES', 1536],
    ['BYTES', 2e12],
  ]);
  assert.deepEqual(tokens('5x 5kb 30m1h'), [
    ['NUMBER', '5'],
    ['IDENTIFIER', 'x'],
    ['BYTES', 5000],
    ['IDENTIFIER', 'b'],
    ['DURATION', 5400e9],
  ]);
});

test('a minus begins a duration or a flag, or is an operator', () => {
  assert.deepEqual(tokens('-5m - 5m -5 --strict --keep-empty --other'), [
    ['DURATION', -300e9],
    ['SUB', '-'],
    ['DURATION', 300e9],
    ['SUB', '-'],
    ['NUMBER', '5'],
    ['FUNCTION_FLAG', '--strict'],
    ['FUNCTION_FLAG', '--keep-empty'],
    ['SUB', '-'],
    ['SUB', '-'],
    ['IDENTIFIER', 'other'],
  ]);
});

test('signs of two characters win over signs of one', () => {
  assert.deepEqual(
    terminals('= == =~ != !~ !> |= |~ |> | > >= < <='),
    'EQ CMP_EQ RE NEQ NRE NPA PIPE_EXACT PIPE_MATCH PIPE_PATTERN PIPE GT GTE LT LTE'.split(' '),
  );
  assert.deepEqual(terminals('===~'), ['CMP_EQ', 'RE']);
});

test('strings are unquoted, raw ones keep everything', () => {
  assert.deepEqual(tokens('"a\\tb\\u00e9\\x41" `c\\t\r\nd` "\\ud800"'), [
    ['STRING', 'a\tbéA'],
    ['STRING', 'c\\t\r\nd'],
    ['STRING', '\ufffd'],
  ]);
});

test('comments of all three forms are skipped', () => {
  assert.deepEqual(tokens('a # b\nc // d\ne /* f\n */ g #'), [
    ['IDENTIFIER', 'a'],
    ['IDENTIFIER', 'c'],
    ['IDENTIFIER', 'e'],
    ['IDENTIFIER', 'g'],
  ]);
});

test('mistakes are collected in order, with line and column in characters', () => {
  const scanner = new QueryScanner('"é\\q"\n  1e [x');
  while (scanner.next() !== null);
  assert.deepEqual(
    scanner.errors.map((error) => error.message),
    ['parse error at line 1, col 1: invalid char escape', 'parse error at line 1, col 1: invalid syntax'],
  );
});

test('a token knows its text and where it starts', () => {
  const { tokens } = scanAll('{app="x"} | a>5m');
  assert.deepEqual(
    tokens.map((token) => token.image),
    ['{', 'app', '=', '"x"', '}', '|', 'a', '>', '5m'],
  );
  assert.deepEqual(tokens.at(-1)?.startOffset, 14);
});
