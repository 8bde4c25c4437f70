import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Labels } from '../../logql/labels.ts';
import {
  compactBytes,
  type DetectedField,
  FieldCollector,
  type FieldType,
  typeOf,
  ValueCollector,
} from './detected-fields.ts';
import type { LogEntry } from './log-response.ts';

function entry(line: string, labels: { metadata?: Labels; parsed?: Labels; stream?: Labels } = {}): LogEntry {
  const { metadata = [], parsed = [], stream = [['app', 'web']] } = labels;
  const merged = [...stream, ...metadata, ...parsed];
  return { timestampNs: 0n, line, group: { merged, stream, structuredMetadata: metadata, parsed, error: '' } };
}

function fieldsOf(entries: readonly LogEntry[], limit = 100): DetectedField[] {
  const collector = new FieldCollector(limit);
  for (const one of entries) collector.add(one);
  return collector.fields;
}

function valuesOf(name: string, entries: readonly LogEntry[], limit = 100): string[] {
  const collector = new ValueCollector(name, limit);
  for (const one of entries) collector.add(one);
  return collector.values;
}

const field = (label: string, change: Partial<DetectedField>): DetectedField => ({
  label,
  type: 'string',
  cardinality: 1,
  parsers: [],
  jsonPath: null,
  ...change,
});

describe('detected fields', () => {
  test('are structured metadata, and what lines say', () => {
    const found = fieldsOf([entry('{"user":{"id":7}}', { metadata: [['trace', 'x']] }), entry('dur=5ms')]);
    assert.deepEqual(found, [
      field('trace', {}),
      field('user_id', { type: 'int', parsers: ['json'], jsonPath: ['user', 'id'] }),
      field('dur', { type: 'duration', parsers: ['logfmt'] }),
    ]);
  });

  test('name every parser that found them, also beside metadata of that name', () => {
    const found = fieldsOf([entry('a=1', { metadata: [['a', '0']] }), entry('{"a":2}'), entry('a=1')]);
    assert.deepEqual(found, [
      field('a', { type: 'int', cardinality: 3, parsers: ['logfmt', 'json'], jsonPath: ['a'] }),
    ]);
  });

  test('have the type of their last value', () => {
    assert.equal(fieldsOf([entry('a=1'), entry('a=x')])[0]!.type, 'string');
    assert.equal(fieldsOf([entry('a=x'), entry('a=1')])[0]!.type, 'int');
  });

  test('get a suffix when the stream has the name, unless the query has parsed it', () => {
    assert.deepEqual(fieldsOf([entry('app=x')]), [field('app_extracted', { parsers: ['logfmt'] })]);
    assert.deepEqual(fieldsOf([entry('app=x', { parsed: [['app', 'x']] })]), [field('app', { parsers: ['logfmt'] })]);
  });

  test('are what the query has parsed, too, under the parser of the line', () => {
    const found = fieldsOf([
      entry('plain', {
        parsed: [
          ['ip', '::1'],
          ['__error__', 'e'],
          ['__error_details__', 'd'],
        ],
      }),
    ]);
    assert.deepEqual(found, [field('ip', { parsers: ['logfmt'] })]);
  });

  test('have no path when the last JSON line has them from the query only', () => {
    const lines = [entry('{"a":1}'), entry('{"b":1}', { parsed: [['a', '2']] })];
    assert.equal(fieldsOf(lines)[0]!.jsonPath, null);
  });

  test('are at most as many as asked for, the first ones', () => {
    const found = fieldsOf([entry('a=1 b=2 c=3'), entry('a=2')], 2);
    assert.deepEqual(
      found.map(({ label, cardinality }) => [label, cardinality]),
      [
        ['a', 2],
        ['b', 1],
      ],
    );
  });
});

describe('values of a field', () => {
  test('come once each, from metadata, query and line', () => {
    const entries = [
      entry('a=1', { metadata: [['a', '0']] }),
      entry('{"a":"x"}', { parsed: [['a', 'y']] }),
      entry('a=1'),
    ];
    assert.deepEqual(valuesOf('a', entries), ['0', '1', 'y', 'x']);
    assert.deepEqual(valuesOf('nope', entries), []);
  });

  test('are at most as many as asked for', () => {
    assert.deepEqual(valuesOf('a', [entry('a=1', { metadata: [['a', '0']] }), entry('a=2')], 2), ['0', '1']);
  });

  test('write sizes as a query takes them, those of metadata as they are', () => {
    assert.deepEqual(valuesOf('s', [entry('s="10 MB"', { metadata: [['s', '10 MB']] })]), ['10 MB', '10MB']);
    const cases: [string, string][] = [
      ['1024kb', '1.0MB'],
      ['5B', '5B'],
      ['3k', '3.0kB'],
      ['12', '12'],
      ['web', 'web'],
      ['10s', '10s'],
    ];
    for (const [text, compact] of cases) assert.equal(compactBytes(text), compact);
  });
});

describe('the type of a value', () => {
  const cases: [FieldType, string[]][] = [
    ['int', ['0', '-5', '+7', '9223372036854775807']],
    ['float', ['1.5', '9223372036854775808', 'NaN', 'Inf', '1e3', '0x1p-2']],
    ['boolean', ['t', 'True', 'FALSE']],
    ['duration', ['5ms', '1h2m', '-3s']],
    ['bytes', ['10MB', '5 kb', '3k']],
    ['string', ['', 'x', 'yes', '5 apples', '1 h']],
  ];
  for (const [type, values] of cases) {
    test(`is ${type} for ${values.map((value) => JSON.stringify(value)).join(', ')}`, () => {
      for (const value of values) assert.equal(typeOf(value), type, value);
    });
  }
});
