import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRewrittenByLoki } from './regex-rewrite.ts';

test('patterns that Loki turns into comparisons are recognised', () => {
  const simple = [
    '',
    'foo',
    'foo|bar',
    '.*',
    '.+',
    'foo.*',
    '.*foo.*',
    '(foo|bar)',
    'b(ar|uzz)',
    'foo|foobar',
    '(?i)foo',
    'a{1}b',
    '[a]bc',
  ];
  for (const pattern of simple) assert.equal(isRewrittenByLoki(pattern), true, pattern);
});

test('patterns that stay patterns are recognised', () => {
  const complex = [
    '5..',
    'a|b',
    '[ab]',
    'bar|baz',
    'foo.*bar',
    'foo.+',
    'a{3}',
    '^foo$',
    'foo?',
    '(foo)(bar)',
    'foo(?i)bar',
    '\\d+',
    '(?s).*',
  ];
  for (const pattern of complex) assert.equal(isRewrittenByLoki(pattern), false, pattern);
});
