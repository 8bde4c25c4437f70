import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OtlpValue, type Span, valueText } from './otlp-value.ts';

const texts: string[] = [];
let length = 0;
function span(text: string): Span {
  texts.push(text);
  const start = length;
  length += Buffer.byteLength(text);
  return { start, length: Buffer.byteLength(text) };
}
const string = (text: string): OtlpValue => ({ kind: 'string', span: span(text) });
const int = (value: bigint): OtlpValue => ({ kind: 'int', value });
const double = (value: number): OtlpValue => ({ kind: 'double', value });
const array = (...values: OtlpValue[]): OtlpValue => ({ kind: 'array', values });
const map = (...entries: [string, OtlpValue][]): OtlpValue => ({
  kind: 'map',
  entries: entries.map(([key, value]) => ({ key: span(key), value })),
});

const cases: [OtlpValue, string][] = [
  [{ kind: 'empty' }, ''],
  [string('<é>'), '<é>'],
  [{ kind: 'bool', value: true }, 'true'],
  [int(-9223372036854775808n), '-9223372036854775808'],
  [double(2.5), '2.5'],
  [double(1e21), '1e+21'],
  [double(1e20), '100000000000000000000'],
  [double(0.0000001), '1e-7'],
  [double(-0), '-0'],
  [double(Number.NaN), 'NaN'],
  [double(Number.NEGATIVE_INFINITY), '-Infinity'],
  [{ kind: 'bytes', base64: 'aGk=' }, 'aGk='],
  [array(), '[]'],
  [array(string('a'), int(2n), { kind: 'empty' }, { kind: 'bytes', base64: 'aGk=' }), '["a",2,null,"aGk="]'],
  [map(['n', int(5n)], ['m', string('v')], ['n', int(6n)]), '{"m":"v","n":6}'],
  [
    map(['é', array(double(1.5))], ['a', map()], ['"', { kind: 'bool', value: false }]),
    '{"\\"":false,"a":{},"é":[1.5]}',
  ],
  [array(string('<&>\u2028\n')), '["<&>\\u2028\\n"]'],
  [array(double(Number.POSITIVE_INFINITY), int(1n)), ''],
];

for (const [value, text] of cases) {
  test(`${value.kind} reads as ${JSON.stringify(text)}`, () => {
    assert.equal(valueText(value, Buffer.from(texts.join(''))), text);
  });
}
