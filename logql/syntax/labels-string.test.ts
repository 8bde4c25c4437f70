import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ParseError, parseLabelPairs, parseLabelsString, printLabels } from './index.ts';

const refusal = (text: string): string => {
  try {
    parseLabelsString(text);
  } catch (error: unknown) {
    if (error instanceof ParseError) return error.message;
    throw error;
  }
  return 'accepted';
};

test('labels are sorted by name and lose their empty values', () => {
  assert.deepEqual(parseLabelsString('{b="2", a="1", c=""}'), [
    ['a', '1'],
    ['b', '2'],
  ]);
  assert.deepEqual(parseLabelPairs('{b="2", a="1", c=""}'), [
    ['b', '2'],
    ['a', '1'],
    ['c', ''],
  ]);
});

test('a name that stands twice stays twice, in the order of the text', () => {
  assert.deepEqual(parseLabelsString('{b="1",a="x",b="0"}'), [
    ['a', 'x'],
    ['b', '1'],
    ['b', '0'],
  ]);
});

test('no text, no labels, and every spelling of the same labels', () => {
  for (const text of ['', '{}', ' { } ', '# nothing']) assert.deepEqual(parseLabelsString(text), []);
  for (const text of [
    '{a="b"}',
    ' { a = "b" , } ',
    "{a='b'}",
    '{a=`b`}',
    '{"a"="b"}',
    '{a="\\x62"} # end',
    '{\na="b"\n}',
  ]) {
    assert.deepEqual(parseLabelsString(text), [['a', 'b']], text);
  }
});

test('a word before the braces, or a lone string in them, names the metric', () => {
  for (const text of ['web:requests{a="b"}', '{a="b", "web:requests"}', 'web:requests{__name__="other",a="b"}']) {
    assert.deepEqual(
      parseLabelsString(text),
      [
        ['__name__', 'web:requests'],
        ['a', 'b'],
      ],
      text,
    );
  }
  assert.deepEqual(parseLabelsString('sum'), [['__name__', 'sum']]);
});

test('escapes stand for what they stand for in Go', () => {
  assert.deepEqual(parseLabelPairs('{a="\\t\\"\\\\\\101\\u00e9\\U0001f600\'", b=\'"\\\'\', c=`\\t`}'), [
    ['a', '\t"\\Aé😀\''],
    ['b', '"\''],
    ['c', '\\t'],
  ]);
});

test('mistakes are told in the words of Prometheus, with a column in bytes', () => {
  const cases: Record<string, string> = {
    '{a-b="x"}': `1:3: parse error: unexpected character inside braces: '-'`,
    '{é="x"}': `1:2: parse error: unexpected character inside braces: 'é'`,
    '{a="é",b!c="x"}': `1:10: parse error: unexpected character after '!' inside braces: 'c'`,
    '{a=': '1:4: parse error: unexpected end of input inside braces',
    '{a="b"': '1:7: parse error: unexpected end of input inside braces',
    '{a="b': '1:4: parse error: unterminated quoted string',
    '{a=`b': '1:4: parse error: unterminated raw string',
    '{a="\\q"}': `1:4: parse error: unknown escape sequence U+0071 'q'`,
    '{a="\\xg0"}': `1:4: parse error: illegal character U+0067 'g' in escape sequence`,
    '{a="\\ud800"}': '1:4: parse error: escape sequence is an invalid Unicode code point',
    '{a="\ufffd"}': '1:4: parse error: invalid UTF-8 rune',
    '{a b="x"}': '1:4: parse error: unexpected identifier "b" in label set, expected "="',
    '{a=b}': '1:4: parse error: unexpected identifier "b" in label set, expected string',
    '{a=~"x"}': '1:3: parse error: unexpected <op:=~> in label set, expected "="',
    '{a!="x"}': '1:3: parse error: unexpected <op:!=> in label set, expected "="',
    '{="x"}': '1:2: parse error: unexpected "=" in label set, expected identifier or "}"',
    '{,}': '1:2: parse error: unexpected "," in label set, expected identifier or "}"',
    '{a="b" "c"}': '1:8: parse error: unexpected string "\\"c\\"" in label set, expected "," or "}"',
    '{{': `1:2: parse error: unexpected left brace '{'`,
    '{a="b"}}': `1:8: parse error: unexpected character: '}'`,
    '{a="b"} c': '1:9: parse error: unexpected identifier "c"',
    '{\n\na="b"\n} + 1': '4:3: parse error: unexpected <op:+>',
    'a="b"': '1:2: parse error: unexpected "="',
    '12': '1:1: parse error: unexpected number "12"',
    '5m': '1:1: parse error: unexpected duration "5m"',
    'on{a="b"}': '1:1: parse error: unexpected <on>',
    '"a long string"': '1:1: parse error: unexpected string "\\"a long st"...',
  };
  for (const [text, expected] of Object.entries(cases)) assert.equal(refusal(text), expected, text);
});

test('a name that only quotes make possible is refused, as queries over it would fail', () => {
  assert.equal(refusal('{"a.b"="x"}'), `1:3: parse error: unexpected character inside braces: '.'`);
  assert.equal(refusal('{""="x"}'), '1:2: parse error: unexpected "=" in label set, expected identifier or "}"');
});

test('what is printed reads back', () => {
  const label = fc.tuple(
    fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,8}$/),
    fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\ufffd')),
  );
  fc.assert(
    fc.property(fc.uniqueArray(label, { selector: ([name]) => name }), (labels) => {
      assert.deepEqual(parseLabelPairs(printLabels(labels)), labels);
    }),
  );
});

test('the quick way and the thorough way read the same', () => {
  const part = fc.constantFrom(
    'a',
    'b1',
    '_c',
    '=',
    '"x"',
    '"y z"',
    ',',
    ', ',
    '{',
    '}',
    '"é"',
    '"\\n"',
    ' ',
    '`r`',
    '"a.b"',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 10 }), (parts) => {
      const text = `{${parts.join('')}}`;
      // A leading space keeps a text from the quick way and moves only its columns.
      const moved = refusal(` ${text}`).replace(/^1:(\d+)/, (_, column: string) => `1:${Number(column) - 1}`);
      assert.equal(refusal(text), moved);
      if (moved === 'accepted') assert.deepEqual(parseLabelPairs(text), parseLabelPairs(` ${text}`));
    }),
    { numRuns: 2000 },
  );
});
