import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRegex, MAX_UNROLLED_SIZE, validateRegex } from './compile.ts';
import { unrolledSize } from './unrolled-size.ts';

test('repeats count by what they add', () => {
  for (const [pattern, size] of [
    ['abc*d+', 0],
    ['a{10}', 9],
    ['a{2,5}', 4],
    ['a{3,}', 2],
    ['a{0}', 0],
    ['(?:a{9}){0}b{3}', 2],
    ['a{0,}', 0],
    ['(?:a{9}){0,}', 8],
    ['(ab{5}){3}', 16],
    ['(?:[a-z{3}]{4}|\\d{2})', 4],
    ['\\p{Greek}{3}[]\\]x]{3}', 4],
    ['\\Qa{9}\\E', 0],
    ['a{5}{5}', 24],
    ['(a{100}', 99],
    ['){3}', 2],
    ['[a{7}', 6],
  ] as const) {
    assert.equal(unrolledSize(pattern), size, pattern);
  }
});

test('a pattern whose repeats add too many states is refused before it is compiled', () => {
  const message = { name: 'RegexError', message: 'error parsing regexp: expression too large' };
  assert.throws(() => compileRegex('(?:a{0,1000}b){0,1000}'), message);
  assert.throws(() => compileRegex(`${'[a-z]{0,999}'.repeat(11)}!`), message);
  assert.throws(() => validateRegex(`${'(?:x{1,999}|y)*'.repeat(4000)}`), message);
  assert.ok(compileRegex(`a{${1000}}b{${1000}}`).test('a'.repeat(1000) + 'b'.repeat(1000)));
  assert.ok(unrolledSize('(?:\\w{1,63}\\.){1,100}') < MAX_UNROLLED_SIZE);
});

test('a count with a leading zero is literal text, as in Go', () => {
  assert.ok(compileRegex('^a{00,2}$').test('a{00,2}'));
  assert.ok(compileRegex('^a{05}$').test('a{05}'));
  assert.ok(compileRegex('^a{1,02}$').test('a{1,02}'));
  assert.ok(!compileRegex('a{05}').test('aaaaa'));
  assert.ok(compileRegex('^a{0,2}$').test('aa'));
  assert.ok(compileRegex('^a{10,}$').test('a'.repeat(11)));
});
