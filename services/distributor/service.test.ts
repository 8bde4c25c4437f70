import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { PushRejectedError } from '../rpc/ingester.ts';
import { compressed, NOW_MS, NOW_NS, setUp } from './testing/setup.ts';

const stream = { app: 'x' };
const TEXT = '{app="x", service_name="x"}';
const ns = (offsetSeconds: number): string => `${BigInt(NOW_MS + offsetSeconds * 1000) * 1_000_000n}`;
const ADVICE = (verb: string, limit: string) =>
  `Please see \`limits_config.${limit}\` or contact your Loki administrator to ${verb} it`;

test('a push is stored with its labels in order, a service name and a level', async () => {
  const { json, stored } = setUp();
  assert.deepEqual(
    await json([{ stream: { b: '2', a: '1', gone: '' }, values: [[NOW_NS, 'level=wrn', { 'k.1': 'v' }]] }]),
    [204, ''],
  );
  assert.deepEqual(stored(), [
    {
      stream: '{a="1", b="2", service_name="unknown_service"}',
      ns: BigInt(NOW_NS),
      line: 'level=wrn',
      metadata: { detected_level: 'warn', k_1: 'v' },
    },
  ]);
});

test('a snappy protobuf push works also when gzip is around it', async () => {
  const body = compressed(
    Buffer.from('0a210a0c7b6170703d2270757368227d12110a080884b580d806100012056 8656c6c6f'.replace(' ', ''), 'hex'),
  );
  for (const [contentEncoding, bytes] of [
    ['', body],
    ['gzip', gzipSync(body)],
  ] as const) {
    const { send, stored } = setUp();
    assert.deepEqual(await send({ contentType: 'application/x-protobuf', contentEncoding, body: Buffer.from(bytes) }), [
      204,
      '',
    ]);
    assert.equal(stored()[0]?.line, 'hello');
  }
});

test('a body that is not what its type says is corrupt', async () => {
  const { send } = setUp();
  for (const contentType of ['text/plain', 'application/x-www-form-urlencoded', 'application/x-protobuf']) {
    assert.deepEqual(await send({ contentType, body: Buffer.from('{"streams":[]}') }), [400, 'snappy: corrupt input']);
  }
  assert.deepEqual(await send({ contentType: '', body: Buffer.from('{}') }), [400, 'mime: no media type']);
  assert.deepEqual(await send({ contentType: 'application/x-protobuf', body: compressed(Buffer.alloc(0)) }), [
    422,
    'error at least one valid stream is required for ingestion',
  ]);
});

test('one stream whose labels do not parse refuses everything', async () => {
  const { json, stored } = setUp();
  const answer = await json([
    { stream, values: [[NOW_NS, 'good']] },
    { stream: { 'a-b': 'x' }, values: [] },
  ]);
  assert.deepEqual(answer, [400, "couldn't parse labels: 1:3: parse error: unexpected character inside braces: '-'"]);
  assert.deepEqual(stored(), []);
});

const labelSets: readonly (readonly [name: string, json: string, text: string])[] = [
  ['a number is a value', '{"a":5}', '{a="5", service_name="unknown_service"}'],
  [
    'so are null, true and nested values, as they stand',
    '{"a":null,"b":true,"c":{"d":[1,"}"]},"e":1}',
    '{a="null", b="true", c="{\\"d\\":[1,\\"}\\"]}", e="1", service_name="unknown_service"}',
  ],
  ['of equal names the last wins', '{"app":"a","app":"b"}', '{app="b", service_name="b"}'],
  [
    'escapes are undone',
    '{"a\\u0062":"q\\"b\\\\n\\n\\u00fc\\ud83d\\ude00"}',
    '{ab="q\\"b\\\\n\\nü😀", service_name="unknown_service"}',
  ],
  [
    'the first listed name that is there names the service',
    '{"job":"j","container":"c"}',
    '{container="c", job="j", service_name="c"}',
  ],
  ['an empty value names nothing', '{"service":"","app":"a"}', '{app="a", service_name="a"}'],
  ['a service name that was sent stays', '{"app":"a","service_name":"own"}', '{app="a", service_name="own"}'],
  ['no labels are labels enough', '{}', '{service_name="unknown_service"}'],
  ['internal streams get no service name', '{"__aggregated_metric__":"x"}', '{__aggregated_metric__="x"}'],
];
for (const [name, json, text] of labelSets) {
  test(`labels: ${name}`, async () => {
    const { send, stored } = setUp();
    const body = Buffer.from(`{"streams":[{"stream":${json},"values":[["${NOW_NS}","x"]]}]}`);
    assert.deepEqual(await send({ body }), [204, '']);
    assert.equal(stored()[0]?.stream, text);
  });
}

test('without discovery of service names a stream needs a label', async () => {
  const { json } = setUp({ discover_service_name: [] });
  const answer = await json([{ stream: {}, values: [[NOW_NS, 'x']] }]);
  assert.deepEqual(answer, [400, 'error at least one label pair is required per stream']);
});

const many = (count: number, prefix = 'l'): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}${String(i).padStart(5, '0')}`, 'v']));

const good = { stream: { service_name: 'ok' }, values: [[NOW_NS, 'kept']] };
const long = 'n'.repeat(13);
const sixteen = Object.keys(many(16))
  .map((name) => `${name}="v"`)
  .join(', ');
const labelLimits: readonly (readonly [labels: Record<string, string>, text: string])[] = [
  [
    { ...many(16), service_name: 's' },
    `entry for stream '{${sixteen}, service_name="s"}' has 16 label names; limit 15`,
  ],
  [{ [long]: 'v', service_name: 's' }, `stream '{${long}="v", service_name="s"}' has label name too long: '${long}'`],
  [{ a: 'ééé', service_name: 's' }, `stream '{a="ééé", service_name="s"}' has label value too long: 'ééé'`],
  [
    { a: 'ééé', [long]: 'v', service_name: 's' },
    `stream '{a="ééé", ${long}="v", service_name="s"}' has label value too long: 'ééé'`,
  ],
];
for (const [labels, text] of labelLimits) {
  test(`a stream beyond a limit is refused, the others are kept: ${text.slice(0, 60)}`, async () => {
    const { json, stored } = setUp({ max_label_name_length: 12, max_label_value_length: 5 });
    assert.deepEqual(await json([{ stream: labels, values: [[NOW_NS, 'x']] }, good]), [400, text]);
    assert.deepEqual(
      stored().map((entry) => entry.line),
      ['kept'],
    );
  });
}

test('fifteen labels pass, and a service name beside them', async () => {
  const { json } = setUp();
  assert.deepEqual(await json([{ stream: many(15), values: [[NOW_NS, 'x']] }]), [204, '']);
  assert.deepEqual(await json([{ stream: { ...many(15), service_name: 's' }, values: [[NOW_NS, 'x']] }]), [204, '']);
});

test('ten thousand labels are refused, with all of them in the text', async () => {
  const { json } = setUp();
  const [status, text] = await json([{ stream: many(10_000), values: [[NOW_NS, 'x']] }]);
  assert.equal(status, 400);
  assert.match(text, /has 10000 label names; limit 15$/);
});

test('a label that came twice is refused by name', async () => {
  const { send } = setUp();
  const body = Buffer.from(
    `{"streams":[{"labels":"{app=\\"a\\", app=\\"b\\"}","entries":[{"ts":"2026-11-20T10:00:00Z","line":"x"}]}]}`,
  );
  assert.deepEqual(await send({ body, format: 'legacy' }), [
    400,
    `stream '{app="a", app="b", service_name="a"}' has duplicate label name: 'app'`,
  ]);
});

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

test('enforced labels are named when they are missing', async () => {
  const { json } = setUp({
    enforced_labels: ['env', 'app', 'team'],
    policy_stream_mapping: {
      finance: [{ selector: '{app="x"}', priority: 1 }],
      other: [{ selector: '{app=~".+"}', priority: 0 }],
    },
    policy_enforced_labels: { finance: ['cost', 'env'] },
  });
  assert.deepEqual(await json([{ stream, values: [[NOW_NS, 'x']] }]), [
    400,
    `missing required labels 'cost,env,team' for user 'T' for stream '${TEXT}' (policy: 'finance')`,
  ]);
});

test('blocked ingestion answers its own status, or stays silent', async () => {
  const until = Date.parse('2099-01-01T00:00:00Z');
  const { json, stored, limit, clock, registry } = setUp({ block_ingestion_until: until });
  const push = () => json([{ stream, values: [[NOW_NS, 'x']] }]);
  assert.deepEqual(await push(), [
    260,
    "ingestion blocked for user 'T' until '2099-01-01T00:00:00Z' with status code '260'",
  ]);
  limit({ block_ingestion_status_code: 200 });
  assert.deepEqual(await push(), [204, '']);
  limit({
    block_ingestion_until: 0,
    block_ingestion_status_code: 429,
    block_ingestion_policy_until: { p: until },
    policy_stream_mapping: { p: [{ selector: '{app="x"}', priority: 1 }] },
  });
  const text = "ingestion blocked for user 'T' (policy: 'p') until '2099-01-01T00:00:00Z' with status code '429'";
  assert.deepEqual(await push(), [429, text]);
  assert.deepEqual(stored(), []);
  assert.match(
    await registry.metrics(),
    /loki_discarded_samples_total\{reason="blocked_ingestion_policy",tenant="T",retention_hours="",policy="p",format="loki"\} 1/,
  );
  clock.advance(until);
  limit({ reject_old_samples: false });
  assert.deepEqual(await push(), [204, '']);
});

test('mistakes in entries are told rather than the block', async () => {
  const { json } = setUp({
    block_ingestion_policy_until: { p: NOW_MS + 1 },
    policy_stream_mapping: { p: [{ selector: '{app="x"}', priority: 1 }] },
  });
  const [status] = await json([
    { stream, values: [[NOW_NS, 'x']] },
    { stream: { app: 'y' }, values: [['1', 'old']] },
  ]);
  assert.equal(status, 400);
});

test('the rate limit takes all of a push or nothing, after validation', async () => {
  const { json, stored, clock, registry } = setUp({
    ingestion_rate_mb: 100 / 2 ** 20,
    ingestion_burst_size_mb: 500 / 2 ** 20,
  });
  const push = (bytes: number) =>
    json([
      {
        stream,
        values: [
          [NOW_NS, 'x'.repeat(bytes - 4), { ab: 'cd' }],
          ['1', 'x'.repeat(1000)],
        ],
      },
    ]);
  assert.equal((await push(450))[0], 400);
  assert.equal(stored().length, 1);
  assert.deepEqual(await push(100), [
    429,
    "ingestion rate limit exceeded for user T (limit: 100 bytes/sec) while attempting to ingest '1' lines totaling '100' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased",
  ]);
  assert.deepEqual(stored(), []);
  clock.advance(500);
  assert.equal((await push(100))[0], 400);
  const metrics = await registry.metrics();
  assert.match(
    metrics,
    /loki_discarded_bytes_total\{reason="rate_limited",tenant="T",retention_hours="",policy="",format="loki"\} 100/,
  );
});

test('a global rate is shared by the distributors, a local one is not', async () => {
  const limits = { ingestion_rate_mb: 100 / 2 ** 20, ingestion_burst_size_mb: 1 / 2 ** 20 };
  for (const [ingestion_rate_strategy, rate] of [
    ['global', 25],
    ['local', 100],
  ] as const) {
    const { json } = setUp({ ...limits, ingestion_rate_strategy }, { distributorCount: () => 4 });
    const [status, text] = await json([{ stream, values: [[NOW_NS, 'xx']] }]);
    assert.equal(status, 429);
    assert.match(text, new RegExp(`limit: ${rate} bytes/sec`));
  }
});

test('the answer of an ingester is the answer of the push', async () => {
  const refuse = setUp({}, { onPush: () => Promise.reject(new PushRejectedError(429, 'maximum active stream limit')) });
  assert.deepEqual(
    await refuse.json([
      {
        stream,
        values: [
          [NOW_NS, 'x'],
          ['1', 'old'],
        ],
      },
    ]),
    [429, 'maximum active stream limit'],
  );
  assert.equal(refuse.logged.length, 0);
  const broken = setUp({}, { onPush: () => Promise.reject(new Error('disk on fire')) });
  assert.deepEqual(await broken.json([{ stream, values: [[NOW_NS, 'x']] }]), [500, 'disk on fire']);
  assert.equal(broken.logged.length, 1);
  assert.match(await broken.registry.metrics(), /append_failures_total\{ingester="ingester-1"\} 1/);
});

test('without ingesters nothing is taken', async () => {
  const { json, membership } = setUp();
  membership.unregister('ingester-1');
  assert.deepEqual(await json([{ stream, values: [[NOW_NS, 'x']] }]), [500, 'empty ring']);
  const three = setUp({}, { replicationFactor: 3 });
  assert.deepEqual(await three.json([{ stream, values: [[NOW_NS, 'x']] }]), [
    500,
    'at least 2 live replicas required, could only find 1',
  ]);
});

test('a client that hung up is told nothing that retries', async () => {
  const gone = new AbortController();
  const { send } = setUp(
    {},
    {
      onPush: () => {
        gone.abort();
        throw new Error('aborted');
      },
    },
  );
  const body = Buffer.from(JSON.stringify({ streams: [{ stream, values: [[NOW_NS, 'x']] }] }));
  assert.equal((await send({ body }, gone.signal))[0], 499);
});

test('what came in is counted before it is judged', async () => {
  const { json, registry } = setUp({
    retention_period: 0,
    retention_stream: [{ selector: '{app="x"}', priority: 1, period: 48 * 3_600_000 }],
  });
  await json([
    {
      stream,
      values: [
        [NOW_NS, '12345', { ab: 'c', detected_level: 'x' }],
        ['1', '678'],
      ],
    },
    { stream: { app: 'y' }, values: [[NOW_NS, '1']] },
  ]);
  const metrics = await registry.metrics();
  const labels = 'tenant="T",retention_hours="48",is_internal_stream="false",policy="",format="loki"';
  assert.ok(metrics.includes(`loki_distributor_bytes_received_total{${labels}} 11`), metrics);
  assert.ok(metrics.includes(`loki_distributor_structured_metadata_bytes_received_total{${labels}} 3`));
  assert.ok(metrics.includes(`loki_distributor_lines_received_total{${labels}} 2`));
  assert.ok(metrics.includes(`loki_distributor_lines_received_total{${labels.replace('48', '')}} 1`));
  assert.match(
    metrics,
    /loki_discarded_samples_total\{reason="greater_than_max_sample_age",tenant="T",retention_hours="48",policy="",format="loki"\} 1/,
  );
});

test('memory in flight is given back, whatever the answer', async () => {
  const { distributor, send, json } = setUp({}, { maxInflightBytes: 10_000 });
  const held = distributor.admit(9_000);
  assert.equal((await send({ body: Buffer.alloc(2_000) }))[0], 503);
  assert.equal((await send({ contentEncoding: 'gzip', body: gzipSync(Buffer.alloc(5_000)) }))[0], 503);
  held.release();
  for (let i = 0; i < 20; i++) assert.equal((await json([{ stream, values: [[NOW_NS, 'x'.repeat(2_000)]] }]))[0], 204);
  for (let i = 0; i < 20; i++) assert.equal((await send({ body: Buffer.alloc(2_000, '[') }))[0], 400);
});

test('limits that change hold at once, also for streams that are known', async () => {
  const { json, limit } = setUp();
  const push = () => json([{ stream: { a: '1', b: '2' }, values: [[NOW_NS, 'x']] }]);
  assert.equal((await push())[0], 204);
  limit({ max_label_names_per_series: 1 });
  assert.equal((await push())[0], 400);
});
