import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { PushRejectedError } from '../rpc/ingester.ts';
import { compressed, NOW_MS, NOW_NS, setUp } from './testing/setup.ts';

const stream = { app: 'x' };
const TEXT = '{app="x", service_name="x"}';

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

test('a message over gRPC is the same push without compression', async () => {
  const { distributor, stored } = setUp();
  const message = Buffer.from('0a210a0c7b6170703d2270757368227d12110a080884b580d8061000120568656c6c6f', 'hex');
  await distributor.pushMessage('T', message);
  assert.equal(stored()[0]?.line, 'hello');
  await assert.rejects(distributor.pushMessage('T', Buffer.from('garbage')), {
    status: 400,
    message: 'proto: illegal wireType 7',
  });
  await assert.rejects(distributor.pushMessage('T', Buffer.alloc(0)), { status: 422 });
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
  await membership.unregister('ingester-1');
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

test('rows that an ingester refused count under the retention of their stream', async () => {
  const { distributor, registry, limit } = setUp();
  limit({ retention_period: 48 * 3_600_000 });
  distributor.discarded('T', '{app="x"}', 'per_stream_rate_limit', 3, 120);
  const metrics = await registry.metrics();
  const labels = '{reason="per_stream_rate_limit",tenant="T",retention_hours="48",policy="",format="loki"}';
  assert.ok(metrics.includes(`loki_discarded_samples_total${labels} 3`));
  assert.ok(metrics.includes(`loki_discarded_bytes_total${labels} 120`));
});
