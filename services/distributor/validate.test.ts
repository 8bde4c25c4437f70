import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NOW_MS, NOW_NS, setUp } from './testing/setup.ts';

const stream = { app: 'x' };
const TEXT = '{app="x", service_name="x"}';
const ns = (offsetSeconds: number): string => `${BigInt(NOW_MS + offsetSeconds * 1000) * 1_000_000n}`;
const ADVICE = (verb: string, limit: string) =>
  `Please see \`limits_config.${limit}\` or contact your Loki administrator to ${verb} it`;

test('entries that are too old or too new are dropped, the rest is kept', async () => {
  const { json, stored } = setUp();
  const week = 7 * 86400;
  const [status, text] = await json([
    {
      stream,
      values: [
        [ns(-week), 'oldest'],
        [ns(-week - 1), 'too old'],
        [ns(600), 'newest'],
        [ns(601), 'too new'],
        [ns(0), 'now'],
      ],
    },
  ]);
  assert.equal(status, 400);
  assert.deepEqual(text.split('; '), [
    `1 errors like: entry for stream '${TEXT}' has timestamp too old: 2026-11-13T09:59:59Z, oldest acceptable timestamp is: 2026-11-13T10:00:00Z`,
    `1 errors like: entry for stream '${TEXT}' has timestamp too new: 2026-11-20T10:10:01Z`,
  ]);
  assert.deepEqual(
    stored().map((entry) => entry.line),
    ['oldest', 'newest', 'now'],
  );
});

test('an entry without a time is too old, and says year 1', async () => {
  const { json } = setUp();
  assert.deepEqual(await json([{ stream, values: [[]] }]), [
    400,
    `entry for stream '${TEXT}' has timestamp too old: 0001-01-01T00:00:00Z, oldest acceptable timestamp is: 2026-11-13T10:00:00Z`,
  ]);
});

test('when old entries are taken, the zero time is kept as Go counts it', async () => {
  const { json, stored } = setUp({ reject_old_samples: false });
  assert.deepEqual(await json([{ stream, values: [[], ['-5', 'x'], ['0', 'y'], [ns(0), 'z']] }]), [204, '']);
  assert.deepEqual(
    stored().map((entry) => entry.ns),
    [-6795364578871345152n, -5n, 0n, BigInt(NOW_NS)],
  );
});

test('rows far apart in time stay exact to the nanosecond', async () => {
  const { json, stored } = setUp({ reject_old_samples: false });
  const times = ['1', '1795168800123456789', '2', '1795168800123456790', '1700000000000000001', '1795168800123456791'];
  assert.deepEqual(await json([{ stream, values: times.map((time) => [time, time]) }]), [204, '']);
  assert.deepEqual(
    stored().map((entry) => entry.ns),
    times.map(BigInt),
  );
});

test('a line may be as long as the limit, not longer', async () => {
  const { json, stored } = setUp({ max_line_size: 10 });
  assert.deepEqual(
    await json([
      {
        stream,
        values: [
          [NOW_NS, 'x'.repeat(10)],
          [NOW_NS, 'é'.repeat(6)],
        ],
      },
    ]),
    [400, `max entry size '10' bytes exceeded for stream '${TEXT}' while adding an entry with length '12' bytes`],
  );
  assert.equal(stored().length, 1);
});

test('lines are cut, with a mark, where the tenant wants that', async () => {
  const { json, stored, limit, registry } = setUp({
    max_line_size: 10,
    max_line_size_truncate: true,
    max_line_size_truncate_identifier: '...',
  });
  await json([
    {
      stream,
      values: [
        [NOW_NS, '0123456789abc'],
        [NOW_NS, 'short'],
      ],
    },
  ]);
  assert.deepEqual(
    stored().map((entry) => entry.line),
    ['0123456...', 'short'],
  );
  assert.match(await registry.metrics(), /loki_mutated_bytes_total\{reason="line_too_long",tenant="T"\} 3/);
  limit({ max_line_size_truncate_identifier: '..........' });
  assert.equal((await json([{ stream, values: [[NOW_NS, '0123456789abc']] }]))[0], 400);
});

test('metadata is limited by permission, bytes and number', async () => {
  const { json, limit, stored } = setUp({ max_structured_metadata_size: 6, max_structured_metadata_entries_count: 2 });
  const values = (metadata: object) => [
    {
      stream,
      values: [
        [NOW_NS, 'x', metadata],
        [NOW_NS, 'y'],
      ],
    },
  ];
  assert.deepEqual(await json(values({ abc: '1234' })), [
    400,
    `stream '${TEXT}' has structured metadata too large: '7' bytes, limit: '6' bytes. ${ADVICE('increase', 'max_structured_metadata_size')}`,
  ]);
  assert.deepEqual(await json(values({ a: '1', b: '', c: '' })), [
    400,
    `stream '${TEXT}' has too many structured metadata labels: '3', limit: '2'. ${ADVICE('increase', 'max_structured_metadata_entries_count')}`,
  ]);
  assert.deepEqual(await json(values({ abc: '123', detected_level: 'not counted' })), [204, '']);
  stored();
  limit({ allow_structured_metadata: false });
  assert.deepEqual(await json(values({ a: '1' })), [
    400,
    `stream '${TEXT}' includes structured metadata, but this feature is disallowed. ${ADVICE('enable', 'allow_structured_metadata')}`,
  ]);
  assert.deepEqual(
    stored().map((entry) => entry.metadata),
    [{}],
    'no level without metadata',
  );
});

test('a metadata name that cannot be kept refuses everything', async () => {
  const { json, stored } = setUp();
  const answer = await json([
    {
      stream,
      values: [
        [NOW_NS, 'good'],
        [NOW_NS, 'x', { é: 'v' }],
      ],
    },
  ]);
  assert.deepEqual(answer, [500, 'normalization for label name "é" resulted in invalid name "_"']);
  assert.deepEqual(stored(), []);
});

test('bytes of metadata that are no UTF-8 become spaces', async () => {
  const { send, stored } = setUp();
  const parts = [`{"streams":[{"values":[["${NOW_NS}","x",{"a":"1`, [0xff, 0xe6, 0x97], '2"}]]}]}'];
  await send({ body: Buffer.concat(parts.map((part) => Buffer.from(part as string))) });
  assert.deepEqual(stored()[0]?.metadata, { a: '1   2', detected_level: 'unknown' });
});

const levels: readonly (readonly [
  labels: Record<string, string>,
  metadata: Record<string, string>,
  line: string,
  level: string | undefined,
])[] = [
  [{ level: 'INF' }, { level: 'error' }, 'level=fatal', 'info'],
  [{ level: 'custom' }, {}, 'level=fatal', 'custom'],
  [{ severity: 'Warning', lvl: 'dbg' }, {}, '', 'warn'],
  [{}, { level: 'ERR' }, 'level=fatal', 'error'],
  [{}, { level: 'DEBUG3' }, 'level=fatal', 'DEBUG3'],
  [{ level: 'info' }, { detected_level: 'ERR' }, 'level=fatal', 'error'],
  [{}, { detected_level: 'weird' }, 'level=fatal', 'weird'],
  [{}, { severity_text: 'WARN', severity_number: '17' }, '', 'warn'],
  [{}, { severity_number: '17' }, 'level=info', 'error'],
  [{}, { severity_number: '' }, 'level=info', 'info'],
  [{}, { 'log.level': 'dbg' }, 'info', 'info'],
  [{}, { level: '' }, 'level=info', undefined],
  [{}, { other: '1' }, 'level=info', 'info'],
  [{}, {}, 'nothing', 'unknown'],
];
for (const [labels, metadata, line, level] of levels) {
  test(`the level of ${JSON.stringify([labels, metadata, line])} is ${level}`, async () => {
    const { json, stored } = setUp();
    await json([{ stream: labels, values: [[NOW_NS, line, metadata]] }]);
    assert.equal(stored()[0]?.metadata['detected_level'], level);
  });
}

test('levels are not looked for where the tenant does not want them', async () => {
  const { json, stored } = setUp({ discover_log_levels: false });
  await json([
    {
      stream: { level: 'info' },
      values: [
        [NOW_NS, 'error'],
        [NOW_NS, 'error', { detected_level: 'ERR' }],
      ],
    },
  ]);
  assert.deepEqual(
    stored().map((entry) => entry.metadata),
    [{}, { detected_level: 'ERR' }],
  );
});

test('fields are found in labels, then metadata, then the line', async () => {
  const { json, stored } = setUp({
    discover_log_levels: false,
    discover_generic_fields: { fields: { trace: ['trace_id', 'traceId', 'ctx.ids[1]', 'ctx["t d"]'] } },
  });
  const line = '{"ctx":{"ids":["a",{"x":1}],"t d":"deep"},"trace\\u0049d":"json"}';
  await json([
    { stream: { trace_id: 'label' }, values: [[NOW_NS, line, { traceId: 'metadata' }]] },
    {
      stream: { app: 'a' },
      values: [
        [NOW_NS, line, { traceId: 'metadata' }],
        [NOW_NS, line],
        [NOW_NS, 'x=1 TRACEID=logfmt'],
        [NOW_NS, 'none'],
      ],
    },
    {
      stream: { app: 'b' },
      values: [
        [NOW_NS, line.replace('trace\\u0049d', 'other')],
        [NOW_NS, '{"ctx":{"t d":"deep"}}'],
        [NOW_NS, '{"ctx":'],
      ],
    },
  ]);
  assert.deepEqual(
    stored().map((entry) => entry.metadata['trace']),
    ['label', 'metadata', 'json', 'logfmt', undefined, '{"x":1}', 'deep', undefined],
  );
});

test('equal times move apart where the tenant wants that, equal lines do not', async () => {
  const { json, stored } = setUp({ increment_duplicate_timestamp: true });
  const n = BigInt(NOW_NS);
  const next = String(n + 1n);
  await json([
    {
      stream,
      values: [
        [NOW_NS, 'a'],
        [NOW_NS, 'b'],
        [NOW_NS, 'b'],
        [NOW_NS, 'c'],
        [next, 'd'],
      ],
    },
  ]);
  assert.deepEqual(
    stored().map((entry) => [entry.line, Number(entry.ns - n)]),
    [
      ['a', 0],
      ['b', 1],
      ['b', 0],
      ['c', 1],
      ['d', 2],
    ],
  );
});
