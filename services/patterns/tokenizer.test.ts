import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findText } from './json-tokenizer.ts';
import { detectFormat, type LogFormat, tokenizerFor } from './log-format.ts';
import { joinWords, mergePlaceholders, splitWords } from './tokenizer.ts';

const FIELDS = ['log', 'message', 'msg'];

function tokensOf(format: LogFormat, line: string): readonly string[] | string {
  const bytes = Buffer.from(line, 'utf8');
  const found = tokenizerFor(format, FIELDS, 3000).tokenize(bytes, 0, bytes.length);
  return typeof found === 'string' ? found : found.tokens;
}

test('the format of a stream is guessed from its first line', () => {
  const cases: [line: string, format: LogFormat][] = [
    ['{"a":1}', 'json'],
    ['{not json}', 'json'],
    ['{', 'unknown'],
    ['', 'unknown'],
    ['level=info msg="all is well" took=5ms', 'logfmt'],
    ['level=info msg="he said \\"no\\" again"', 'logfmt'],
    ['level=info  two=spaces', 'unknown'],
    ['level=info and text', 'unknown'],
    ['2026-11-23 INFO key=value', 'unknown'],
  ];
  for (const [line, format] of cases) assert.equal(detectFormat(line), format, line);
});

test('words end at spaces, punctuation and the sign of equality, not at _-.:/ and symbols', () => {
  assert.deepEqual(splitWords('GET /a-b_c.d:1?x=2, "q" <e> $5+1').tokens, [
    ...['GET', '/a-b_c.d:1', '?', 'x', '=', '2', ',', '"', 'q', '"', '<e>', '$5+1'],
  ]);
  assert.deepEqual(splitWords('ä—b ▶ “c”').tokens, ['ä', '—', 'b', '▶', '“', 'c', '”']);
});

test('the words of a line put together are the line', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 70 }), (line) => {
      const { tokens, spaces } = splitWords(line);
      assert.equal(joinWords(tokens, spaces), line);
    }),
  );
});

test('logfmt gives keys and values, and times and traces as placeholders', () => {
  assert.deepEqual(tokensOf('logfmt', 'ts=2026 T=1 t=2 TraceID=ab level=info msg="a \\"b\\" c" bare empty='), [
    ...[
      'ts',
      '<_>',
      'T',
      '1',
      't',
      '<_>',
      'TraceID',
      '<_>',
      'level',
      'info',
      'msg',
      'a "b" c',
      'bare',
      '',
      'empty',
      '',
    ],
  ]);
  assert.equal(tokensOf('logfmt', 'a=b c="open d=e f=g'), 'not_in_format');
});

test('logfmt is written with quotes where they are needed', () => {
  const { join } = tokenizerFor('logfmt', FIELDS, 3000);
  assert.equal(
    join(['a', '<_>', 'b', 'x y', 'c', '', 'd', 'q"\\', 'e', 'k=v', 'f', 'null', 'g', 'l\n\t\u0001'], []),
    'a=<_> b="x y" c= d="q\\"\\\\" e="k=v" f=null g="l\\n\\t\\u0001"',
  );
});

test('the message of JSON is the first of the fields that is a text, with its escapes', () => {
  const cases: [json: string, text: string | null][] = [
    ['{"msg":"a","message":"b"}', 'b'],
    ['{"msg" : "a b" , "x":1}', 'a b'],
    ['{"message":5,"msg":"a"}', 'a'],
    ['{"inner":{"msg":"no"},"list":["msg",{"msg":"no"}],"msg":"yes"}', 'yes'],
    ['{"msg":"say \\"hi\\" \\\\"}', 'say \\"hi\\" \\\\'],
    ['{"note":"msg","x":"msg"}', null],
    ['{"msg":{"text":"no"}}', null],
    ['{"msg":"early","broken":quo"te","z":1}', 'early'],
    ['{"msg":"never ends', null],
  ];
  for (const [json, text] of cases) assert.equal(findText(json, FIELDS), text, json);
});

test('only placeholders that touch are merged', () => {
  assert.equal(mergePlaceholders('<_><_><_> <_> a<_><_>b <_><->'), '<_> <_> a<_>b <_><->');
});
