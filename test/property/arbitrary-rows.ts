import fc from 'fast-check';
import type { Labels } from '../../logql/labels.ts';
import type { ReferenceRow } from '../reference/row.ts';

/** On a whole hour. */
export const ORIGIN_NS = 1_795_168_800_000_000_000n;
export const SPAN_SECONDS = 20;

export const STREAMS: readonly Labels[] = [
  [['app', 'a']],
  [
    ['app', 'a'],
    ['env', 'x'],
  ],
  [
    ['app', 'b'],
    ['env', 'x'],
    ['level', 'warn'],
  ],
  [
    ['app', 'b'],
    ['env', 'ü'],
  ],
];

const text = fc.constantFrom(
  'error',
  'info',
  'warn',
  'ERROR',
  'two words',
  'é€😀',
  'a=b',
  'q"q',
  'b\\s',
  '',
  'x',
  'tab\there',
  '10.0.0.7',
  '::1',
);
const quantity = fc.constantFrom(
  '0',
  '1',
  '2',
  '3.5',
  '10',
  '-4',
  '1e3',
  '250ms',
  '1.5s',
  '2m',
  '10KB',
  '1MB',
  '5 MiB',
  'NaN',
  'Inf',
  'abc',
  '',
);
const key = fc.constantFrom('level', 'ms', 'size', 'msg', 'ip', 'app', 'h-i', '1n', 'é', ' sp ', 'trace', 'a', 'b');

const jsonLeaf = fc.oneof(
  { weight: 3, arbitrary: text.map((value) => JSON.stringify(value)) },
  { weight: 3, arbitrary: quantity.map((value) => JSON.stringify(value)) },
  fc.constantFrom('1', '2.50', '1e3', '-7', '0', '12345678901234567890', 'true', 'false', 'null'),
  fc.constantFrom('"\\u00e9\\n"', '"\\ud83d\\ude00"', '"\\/"', '[]', '[1,"x",{"a":"}"}]', '{}'),
);
const { value: jsonValue } = fc.letrec<{ value: string; object: string }>((tie) => ({
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, jsonLeaf, jsonLeaf, tie('object')),
  object: fc
    .tuple(fc.array(fc.tuple(key, tie('value')), { maxLength: 3 }), fc.constantFrom(',', ' , '))
    .map(([members, comma]) => `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(comma)}}`),
}));
const jsonObject = fc
  .tuple(fc.array(fc.tuple(key, jsonValue), { maxLength: 6 }), fc.constantFrom('', ' ', '\t'))
  .map(
    ([members, space]) =>
      `{${members.map(([name, value]) => `${JSON.stringify(name)}:${space}${value}`).join(`,${space}`)}}`,
  );

const logfmtPair = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(key, text).map(([name, value]) => `${name}=${JSON.stringify(value)}`) },
  { weight: 6, arbitrary: fc.tuple(key, quantity).map(([name, value]) => `${name.trim()}=${value}`) },
  fc.constantFrom(
    'bare',
    'a=',
    '=b',
    'a==b',
    'a"b',
    'msg="open',
    'level="\\q"',
    'ms="\\u0031"',
    'msg="a\\"b\\n"',
    'é=ü',
  ),
);
const logfmtLine = fc
  .tuple(fc.array(logfmtPair, { maxLength: 6 }), fc.constantFrom(' ', '  ', '\t'))
  .map(([pairs, space]) => pairs.join(space));

const packed = fc
  .tuple(text, quantity, fc.oneof(text, logfmtLine))
  .map(([app, ms, entry]) => JSON.stringify({ app, ms, n: 1, _entry: entry }));

const plain = fc.constantFrom(
  '',
  ' ',
  'plain words and 10.0.0.7 here',
  'GET /path?x=1 200 250ms',
  'GET /é 500 2m',
  'from fe80::1 to 192.168.1.20:80',
  '\u001b[31mred\u001b[0m level=error',
  'multi\nline ms=3',
  'error error',
  '"just a string"',
  '[1,2,{"a":"b"}]',
  '[[1],[2,3]]',
  'null',
  '{',
  '{"a"',
  '{"a":tru}',
  '{"a":"b"} trailing',
);

const line = fc.oneof(
  { weight: 5, arbitrary: jsonObject },
  { weight: 4, arbitrary: logfmtLine },
  { weight: 2, arbitrary: plain },
  { weight: 1, arbitrary: packed },
  {
    weight: 1,
    arbitrary: fc.tuple(jsonObject, fc.nat({ max: 60 })).map(([whole, cut]) => [...whole].slice(0, cut).join('')),
  },
);

const metadata: fc.Arbitrary<Labels> = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  fc
    .uniqueArray(fc.tuple(fc.constantFrom('trace', 'ms', 'env', 'level', 'pod'), fc.oneof(text, quantity)), {
      selector: ([name]) => name,
      maxLength: 3,
    })
    .map((pairs) => pairs.filter(([, value]) => value !== '').sort(([a], [b]) => (a < b ? -1 : 1))),
);

/** Times on a grid of a quarter second, so that some are equal and some stand on the ends of windows; some off it. */
const timestampNs = fc
  .tuple(fc.nat({ max: SPAN_SECONDS * 4 }), fc.constantFrom(0n, 0n, 0n, 1n, -1n, 123_456n))
  .map(([quarters, ns]) => ORIGIN_NS + BigInt(quarters) * 250_000_000n + ns);

/** In order of arrival. */
export const rows: fc.Arbitrary<ReferenceRow[]> = fc.array(
  fc.record({ stream: fc.constantFrom(...STREAMS), timestampNs, line, metadata }),
  { minLength: 1, maxLength: 40 },
);

const fewLines = fc.constantFrom(
  'level=error ms=3',
  'level=info ms=10',
  '{"level":"warn","ms":"2"}',
  'GET / 200 250ms',
);
const fewTimes = fc.nat({ max: 9 }).map((n) => ORIGIN_NS + BigInt(n >> 1) * 4_000_000_000n + BigInt(n % 2));
const fewMetadata = fc.constantFrom<Labels>([], [['pod', 'x']], [['ms', '3']]);

/**
 * Rows of one or two streams that hang together in time whatever they are cut into, as up to three replicas send them,
 * one after the other; each lacks some rows. In order of arrival.
 */
export const copiedRows: fc.Arbitrary<ReferenceRow[]> = fc
  .tuple(
    fc.array(
      fc.record({
        stream: fc.constantFrom(...STREAMS.slice(0, 2)),
        timestampNs: fewTimes,
        line: fewLines,
        metadata: fewMetadata,
        missingIn: fc.nat({ max: 7 }),
      }),
      { minLength: 1, maxLength: 40 },
    ),
    fc.integer({ min: 1, max: 3 }),
  )
  .map(([all, copies]) =>
    Array.from({ length: copies }, (_, copy) => all.filter(({ missingIn }) => missingIn !== copy)).flat(),
  )
  .filter((copied) => copied.length > 0);
