import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Drain, type DrainConfig } from './drain.ts';
import { detectFormat, tokenizerFor } from './log-format.ts';
import { patternConfig } from './testing/pattern-config.ts';

const FIELDS = ['log', 'message', 'msg', 'msg_', '_msg', 'content'];

function drainOf(lines: readonly string[], own: Partial<DrainConfig> = {}): Drain {
  const drain = new Drain({ ...patternConfig, ...own }, tokenizerFor(detectFormat(lines[0] ?? ''), FIELDS, 3000));
  for (const line of lines) train(drain, line);
  return drain;
}

function train(drain: Drain, line: string, timeMs = 0, weight = 1, nowMs = 0) {
  const bytes = Buffer.from(line, 'utf8');
  return drain.train(bytes, 0, bytes.length, timeMs, weight, nowMs);
}

const textsOf = (drain: Drain): string[] => [...drain.clusters].map((cluster) => drain.textOf(cluster)).sort();

/** Each file: lines, a line `----`, the patterns that are found in them. `--rewrite` writes the patterns anew. */
const directory = join(import.meta.dirname, 'testdata');
for (const name of readdirSync(directory)) {
  test(`patterns of ${name.replace('.txt', '')} are those of its file`, () => {
    const path = join(directory, name);
    const [lines, patterns] = readFileSync(path, 'utf8').split('\n----\n') as [string, string];
    const found = `${textsOf(drainOf(lines.split('\n'))).join('\n')}\n`;
    if (process.argv.includes('--rewrite')) writeFileSync(path, `${lines}\n----\n${found}`);
    else assert.equal(found, patterns);
  });
}

test('lines join a pattern when three tenths of their tokens are equal, at the same places', () => {
  assert.deepEqual(textsOf(drainOf(['a b c d e f g 1 2 3', 'a b c d e f g 4 5 6'])), ['a b c d e f g <_> <_> <_>']);
  // A first token with a digit leads both lines into the same branch, where only two of ten are equal.
  assert.equal(drainOf(['1 2 3 4 5 6 7 8 y z', '11 12 13 14 15 16 17 18 y z']).clusterCount, 2);
  assert.equal(drainOf(['1 2 3 4 5 6 7 x y z', '11 12 13 14 15 16 17 x y z']).clusterCount, 1);
});

test('lines with another number of tokens are another pattern', () => {
  assert.deepEqual(textsOf(drainOf(['user x logged in', 'user x logged in again'])), [
    'user x logged in',
    'user x logged in again',
  ]);
});

test('a node takes fourteen words, further ones share the branch of placeholders', () => {
  const words = [...'abcdefghijklmnopqrstuvwxyz'];
  const texts = textsOf(drainOf(words.map((word) => `${word} the same words here`)));
  assert.deepEqual(texts, [
    '<_> the same words here',
    ...words.slice(0, 14).map((word) => `${word} the same words here`),
  ]);
});

test('spaces stay where they are, also in front and in a row', () => {
  assert.deepEqual(textsOf(drainOf(['  took  5 ms,  done ', '  took  7 ms,  done '])), ['  took  <_> ms,  done ']);
});

test('placeholders that touch are one', () => {
  const lines = ['{"msg":"5 of 7 are done"}', '{"msg":"6 of 8 are done"}'];
  assert.deepEqual(textsOf(drainOf(lines)), ['<_> of <_> are done<_>']);
});

test('lines of too few or too many tokens, and too long ones, are passed over', () => {
  const drain = drainOf(['one two three four']);
  assert.equal(train(drain, 'one two three'), 'too_few_tokens');
  assert.equal(train(drain, 'x '.repeat(80)), null);
  assert.equal(train(drain, 'x '.repeat(81)), 'too_many_tokens');
  assert.equal(train(drain, `a b c ${'d'.repeat(3000)}`), 'line_too_long');
  assert.equal(train(drain, `a b c ${'ä'.repeat(1500)}`), 'line_too_long', 'counted in bytes');
  const json = drainOf(['{"msg":"a b c d"}']);
  assert.equal(train(json, '{"other":"a b c d"}'), 'not_in_format');
  assert.equal(train(json, `{"pad":"${'x'.repeat(4000)}","msg":"a b c d"}`), null, 'only the message counts');
});

test('the pattern without a line for longest makes room', () => {
  const drain = new Drain(
    { ...patternConfig, maxClusters: 2, maxEvictionRatio: 1 },
    tokenizerFor('unknown', FIELDS, 3000),
  );
  for (const line of ['a a a a', 'b b b b', 'a a a a', 'c c c c']) train(drain, line);
  assert.deepEqual(textsOf(drain), ['a a a a', 'c c c c']);
  assert.equal(drain.evictions, 1);
  train(drain, 'b b b b');
  assert.deepEqual(textsOf(drain), ['b b b b', 'c c c c'], 'a pattern can come back');
});

test('a stream whose lines have no patterns is left alone for ten minutes', () => {
  const drain = new Drain({ ...patternConfig, maxClusters: 1 }, tokenizerFor('unknown', FIELDS, 3000));
  const outcomes = [...'abcdef'].map((word) => train(drain, `${word} `.repeat(4), 0, 1, 1000));
  assert.deepEqual(outcomes, [null, null, 'throttled', 'throttled', 'throttled', 'throttled']);
  assert.equal(train(drain, 'g g g g', 0, 1, 600_999), 'throttled');
  assert.equal(train(drain, 'g g g g', 0, 1, 601_000), null);
});

test('the size grows with patterns and samples, and is zero when all are forgotten', () => {
  const drain = drainOf([]);
  assert.equal(drain.sizeBytes, 0);
  train(drain, 'a b c d', 10_000);
  const one = drain.sizeBytes;
  train(drain, 'a b c d', 20_000);
  assert.ok(drain.sizeBytes > one);
  train(drain, 'e f g h', 3_700_000);
  drain.prune(3_000_000);
  assert.deepEqual(textsOf(drain), ['e f g h']);
  drain.prune(4_000_000);
  assert.equal(drain.clusterCount, 0);
  assert.equal(drain.sizeBytes, 0);
});
