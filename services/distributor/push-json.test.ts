import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PushError } from './push-error.ts';
import { decodePushJson, type JsonShape } from './push-json.ts';
import type { PushRows } from './push-rows.ts';

function decode(text: string | Buffer, shape: JsonShape = 'v1'): PushRows {
  for (const work = decodePushJson(Buffer.from(text), shape); ; ) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

const nsOf = (rows: PushRows, row: number): bigint =>
  BigInt(rows.seconds[row]!) * 1_000_000_000n + BigInt(rows.nanos[row]!);
const lineOf = (rows: PushRows, row: number): string =>
  rows.source.toString('utf8', rows.lineStarts[row]!, rows.lineStarts[row]! + rows.lineLengths[row]!);
function metadataOf(rows: PushRows, row: number): [string, string][] {
  return Array.from({ length: rows.pairCounts[row]! }, (_, pair) => {
    const at = 4 * (rows.firstPairs[row]! + pair);
    const [a, b, c, d] = rows.pairs.subarray(at, at + 4) as unknown as [number, number, number, number];
    return [rows.source.toString('utf8', a, a + b), rows.source.toString('utf8', c, c + d)];
  });
}

const wellFormed = fc.string({ unit: 'grapheme', maxLength: 60 });

test('any text comes through, whatever needs escaping in it', () => {
  const values = fc.array(
    fc.tuple(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      wellFormed,
      fc.array(fc.tuple(wellFormed, wellFormed)),
    ),
    { maxLength: 8 },
  );
  const asciiOnly = (json: string) =>
    json.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  fc.assert(
    fc.property(values, fc.boolean(), (entries, escapeAll) => {
      const json = JSON.stringify({
        streams: [
          { stream: { app: 'x' }, values: entries.map(([ns, line, md]) => [String(ns), line, Object.fromEntries(md)]) },
        ],
      });
      const rows = decode(escapeAll ? asciiOnly(json) : json);
      assert.equal(rows.rowCount, entries.length);
      entries.forEach(([ns, line, md], row) => {
        assert.equal(nsOf(rows, row), ns);
        assert.equal(lineOf(rows, row), line);
        assert.deepEqual(metadataOf(rows, row), Object.entries(Object.fromEntries(md)));
      });
    }),
  );
});

const entryJson = (entry: string): string => `{"streams":[{"stream":{"app":"x"},"values":[${entry}]}]}`;

const refused: readonly string[] = [
  '[]',
  'hello',
  '"streams"',
  '{',
  '{"streams"',
  '{"streams":{}}',
  '{"streams":[5]}',
  '{"streams":[null]}',
  '{"streams":[{"stream":{"app":"push"},"values":[["1","hello"]',
  '{"streams":[{"stream":{"app":"',
  "{'streams':[]}",
  '{"streams":[{"stream":"x"}]}',
  '{"streams":[{"stream":null}]}',
  '{"streams":[{"stream":["a"]}]}',
  '{"streams":[{"values":{}}]}',
  '{"streams":[],}',
  '{"streams":[] "x":1}',
  '{"x":01,"streams":[]}',
  '{"x":tru,"streams":[]}',
  entryJson('"x"'),
  entryJson('null'),
  entryJson('{"ts":"1","line":"x"}'),
  entryJson('[1,"x"]'),
  entryJson('["abc","x"]'),
  entryJson('["1.5","x"]'),
  entryJson('["","x"]'),
  entryJson('["-","x"]'),
  entryJson('["+1","x"]'),
  entryJson('["2026-11-20T10:00:00Z","x"]'),
  entryJson('["99999999999999999999","x"]'),
  entryJson('["9223372036854775808","x"]'),
  entryJson('["-9223372036854775809","x"]'),
  entryJson('[null,"x"]'),
  entryJson('["1",5]'),
  entryJson('["1",null]'),
  entryJson('["1",{"a":1}]'),
  entryJson('["1","x",null]'),
  entryJson('["1","x",["a"]]'),
  entryJson('["1","x","a=b"]'),
  entryJson('["1","x",{"a":5}]'),
  entryJson('["1","x",{"a":true}]'),
  entryJson('["1","x",{"a":{"b":"c"}}]'),
  entryJson('["1","\\ud800"]'),
  entryJson('["1","\\udc00"]'),
  entryJson('["1","\\ud800\\u0041"]'),
  entryJson('["1","\\q"]'),
  entryJson('["1","\\u12g4"]'),
  entryJson('["1","a\nb"]'),
  entryJson('["1","\\n\nb"]'),
];
for (const text of refused) {
  test(`${JSON.stringify(text)} is refused with 400 and a reason`, () => {
    assert.throws(
      () => decode(text),
      (error: unknown) => error instanceof PushError && error.status === 400 && error.message.length > 10,
    );
  });
}

test('an empty body is refused as Loki refuses it', () => {
  for (const text of ['', '  \n']) assert.throws(() => decode(text), { status: 400, message: 'EOF' });
});

test('no document, no streams and null are pushes of nothing', () => {
  for (const text of ['null', '{}', '{"streams":[]}', '{"streams":null}']) assert.equal(decode(text).streams.length, 0);
});

const accepted: readonly (readonly [name: string, text: string, lines: readonly string[]])[] = [
  ['an entry of a time alone has an empty line', entryJson('["1"]'), ['']],
  ['items after the third are passed over', entryJson('["1","x",{},"y",{"z":[1,2]}]'), ['x']],
  ['white space is free', entryJson('[ "1" ,\t"x"\r\n, { } ]'), ['x']],
  ['text after the document is not read', `${entryJson('["1","x"]')}{"streams":`, ['x']],
  ['unknown members are passed over', `{"a":[{"b":[]},"\\""],${entryJson('["1","x"]').slice(1)}`, ['x']],
  ['members of the legacy shape mean nothing', '{"streams":[{"labels":"{}","entries":[{"line":"x"}]}]}', []],
  ['values may be null', '{"streams":[{"stream":{},"values":null}]}', []],
  ['values may be empty', '{"streams":[{"stream":{},"values":[]}]}', []],
  ['of repeated values the last count', '{"streams":[{"values":[["1","x"]],"values":[["1","y"]]}]}', ['y']],
  ['the name of the list may be in capitals', '{"STREAMS":[{"values":[["1","x"]]}]}', ['x']],
];
for (const [name, text, lines] of accepted) {
  test(name, () => {
    const rows = decode(text);
    const found = rows.streams.flatMap((s) =>
      Array.from({ length: s.rowCount }, (_, i) => lineOf(rows, s.firstRow + i)),
    );
    assert.deepEqual(found, lines);
  });
}

test('an empty entry has the zero time', () => {
  assert.equal(decode(entryJson('[]')).seconds[0], -62135596800);
});

test('bytes that are no UTF-8 stay as they are', () => {
  const body = Buffer.concat([
    Buffer.from('{"streams":[{"values":[["1","a'),
    Buffer.from([0xff, 0xfe]),
    Buffer.from('b"]]}]}'),
  ]);
  const rows = decode(body);
  assert.deepEqual([...rows.source.subarray(rows.lineStarts[0]!, rows.lineStarts[0]! + 4)], [0x61, 0xff, 0xfe, 0x62]);
});

test('the bytes of the labels stay as they were sent', () => {
  const rows = decode('{"streams":[{"stream":{"a":"\\u00e9"},"values":[["1","\\u00e9"]]}]}');
  const { labelsForm, labelsStart, labelsEnd } = rows.streams[0]!;
  assert.equal(labelsForm, 'json-object');
  assert.equal(rows.source.toString('utf8', labelsStart, labelsEnd), '{"a":"\\u00e9"}');
});

test('deep nesting in a member that nobody reads is bounded', () => {
  assert.throws(() => decode(`{"x":${'['.repeat(20_000)}`), { status: 400 });
  assert.equal(decode(`{"x":${'['.repeat(500)}${']'.repeat(500)}}`).streams.length, 0);
});

test('a member that nobody reads may be any JSON, and nothing else', () => {
  const accepts = (member: string) => {
    try {
      decode(`{"x":${member},"streams":[]}`);
      return true;
    } catch (error) {
      assert.ok(error instanceof PushError && error.status === 400);
      return false;
    }
  };
  const parses = (text: string) => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(fc.json({ stringUnit: 'binary' }), (json) => assert.ok(accepts(json), json)),
    { numRuns: 300 },
  );
  const broken = fc
    .tuple(
      fc.json(),
      fc.nat(),
      fc.constantFrom('', '"', '{', '}', '[', ']', ',', ':', '\\', '1', 'e', '-', 't', ' ', '\u0001'),
    )
    .map(([json, at, insert]) => json.slice(0, at % json.length) + insert + json.slice((at % json.length) + 1));
  fc.assert(
    fc.property(broken, (json) => {
      const whole = `{"x":${json},"streams":[]}`;
      assert.equal(accepts(json), parses(whole) || prefixParses(whole), whole);
    }),
    { numRuns: 2000 },
  );
  /** What follows the document is not read, so a document that ends early is one. */
  function prefixParses(text: string): boolean {
    for (let end = text.lastIndexOf('}', text.length - 2); end > 0; end = text.lastIndexOf('}', end - 1)) {
      if (parses(text.slice(0, end + 1))) return true;
    }
    return false;
  }
});

const legacy = (entries: string): PushRows =>
  decode(`{"streams":[{"labels":"{app=\\"x\\"}","entries":${entries}}]}`, 'legacy');

test('the legacy shape has labels as text, times as RFC 3339 and named members', () => {
  const rows = legacy('[{"ts":"2026-11-23T05:33:56.123456789+01:00","line":"a\\nb","structuredMetadata":{"k":"v"}}]');
  const { labelsForm, labelsStart, labelsEnd } = rows.streams[0]!;
  assert.equal(labelsForm, 'selector');
  assert.equal(rows.source.toString('utf8', labelsStart, labelsEnd), '{app="x"}');
  assert.equal(nsOf(rows, 0), BigInt(Date.parse('2026-11-23T04:33:56Z')) * 1_000_000n + 123456789n);
  assert.equal(lineOf(rows, 0), 'a\nb');
  assert.deepEqual(metadataOf(rows, 0), [['k', 'v']]);
});

test('the legacy shape refuses what is no time, and lines that are no text', () => {
  for (const ts of ['"1795168900000000000"', '"2026-02-30T00:00:00Z"', '"2026-11-23T25:00:00Z"', '"2026-11-23"', '5']) {
    assert.throws(() => legacy(`[{"ts":${ts},"line":"x"}]`), { status: 400 });
  }
  assert.throws(() => legacy('[{"line":5}]'), { status: 400 });
  assert.equal(legacy('[{"ts":null,"line":null}]').rowCount, 1);
});

test('members of the new shape mean nothing in the legacy one', () => {
  assert.equal(decode(entryJson('["1","x"]'), 'legacy').rowCount, 0);
});
