import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { linesOf, nowNs, type PushedStream, type PushedValue, TestClient, until } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';

/** 32-bit FNV-1 of `{app="hash"}`, as Loki logs it. */
const HASH_OF_QUERY = 1434247847;

/** Streams of one team are under a policy of their own. */
const FINANCE = { finance: [{ selector: '{team="finance"}', priority: 1 }] };

/** One tenant a limit, in the runtime file. */
const TENANTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  rate: { ingestion_rate_mb: 0.0001, ingestion_burst_size_mb: 0.0001 },
  'line-size': { max_line_size: '10B' },
  truncate: { max_line_size: '10B', max_line_size_truncate: true, max_line_size_truncate_identifier: '...' },
  'label-count': { max_label_names_per_series: 2 },
  'label-name': { max_label_name_length: 5 },
  'label-value': { max_label_value_length: 5 },
  'metadata-off': { allow_structured_metadata: false },
  'metadata-size': { max_structured_metadata_size: '10B' },
  'metadata-count': { max_structured_metadata_entries_count: 1 },
  old: { reject_old_samples_max_age: '1m' },
  'old-allowed': { reject_old_samples: false },
  new: { creation_grace_period: '1m' },
  streams: { max_global_streams_per_user: 2 },
  'streams-local': { max_streams_per_user: 1, max_global_streams_per_user: 0 },
  'stream-rate': { per_stream_rate_limit: '100B', per_stream_rate_limit_burst: '100B' },
  blocked: { block_ingestion_until: '2099-01-01T00:00:00Z' },
  'blocked-quiet': { block_ingestion_until: '2099-01-01T00:00:00Z', block_ingestion_status_code: 200 },
  'enforced-labels': { enforced_labels: ['env', 'team'] },
  'policy-labels': { policy_stream_mapping: FINANCE, policy_enforced_labels: { finance: ['cost'] } },
  'policy-blocked': {
    policy_stream_mapping: FINANCE,
    block_ingestion_policy_until: { finance: '2099-01-01T00:00:00Z' },
  },
  duplicates: { increment_duplicate_timestamp: true },
  discovery: { discover_service_name: ['team'], discover_log_levels: true, log_level_fields: ['weight'] },
  entries: { max_entries_limit_per_query: 5 },
  length: { max_query_length: '1h' },
  lookback: { max_query_lookback: '1h' },
  range: { max_query_range: '10m', split_instant_metric_queries_by_interval: '1h' },
  series: { max_query_series: 1 },
  'required-labels': { required_labels: ['env'] },
  'minimum-labels': { minimum_labels_number: 2 },
  'blocked-text': { blocked_queries: [{ pattern: ' {app="text"}' }] },
  'blocked-regex': { blocked_queries: [{ pattern: 'sec.et', regex: true }] },
  'blocked-hash': { blocked_queries: [{ hash: HASH_OF_QUERY }] },
  'blocked-types': { blocked_queries: [{ pattern: '.*', regex: true, types: ['metric', 'filter'] }] },
  'blocked-tags': { blocked_queries: [{ query_tags: { Source: 'Grafana', feature: 'beta' } }] },
  timeout: { query_timeout: '1ms' },
  'volume-off': { volume_enabled: false },
  'volume-series': { volume_max_series: 1 },
  tails: { max_concurrent_tail_requests: 1 },
  bytes: { max_query_bytes_read: '1KB' },
  'querier-bytes': { max_querier_bytes_read: '1KB' },
  'shard-bytes': { max_querier_bytes_read: '1KB', tsdb_max_bytes_per_shard: '2KB' },
  matchers: { max_streams_matchers_per_query: 2 },
  'own-limits': { max_entries_limit_per_query: 50 },
};

const cwd = await mkdtemp(join(tmpdir(), 'loptr-limits-'));
let server: TestServer;

before(async () => {
  await writeOverrides(TENANTS);
  await writeFile(
    join(cwd, 'loptr.yaml'),
    JSON.stringify({
      auth_enabled: true,
      limits_config: { discover_service_name: [], discover_log_levels: false },
      runtime_config: { file: 'overrides.yaml', period: '100ms' },
      querier: { per_request_limits_enabled: true },
      analytics: { reporting_enabled: false },
    }),
  );
  server = await TestServer.start({ cwd, args: ['-config.file=loptr.yaml'] });
});

after(async () => {
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
  await rm(cwd, { recursive: true });
});

function writeOverrides(overrides: typeof TENANTS): Promise<void> {
  return writeFile(join(cwd, 'overrides.yaml'), JSON.stringify({ overrides }));
}

const clientOf = (tenant: string): TestClient => new TestClient(server.url, tenant);
const agoNs = (minutes: number): bigint => nowNs() - BigInt(minutes) * 60_000_000_000n;
const rfc3339 = (ns: bigint): string => new Date(Number(ns / 1_000_000n)).toISOString().replace(/\.\d+Z/, 'Z');

function streamOf(
  line: string,
  own: { labels?: PushedStream['stream']; atNs?: bigint; metadata?: PushedValue[2] } = {},
) {
  const { labels = { app: 'x' }, atNs = nowNs(), metadata } = own;
  return { stream: labels, values: [metadata ? [`${atNs}`, line, metadata] : [`${atNs}`, line]] } as PushedStream;
}

async function pushed(tenant: string, ...streams: PushedStream[]): Promise<string> {
  const { status, text } = await clientOf(tenant).push(streams);
  return `${status} ${text}`;
}

async function asked(
  tenant: string,
  query: string,
  params: Record<string, string | number | bigint> = {},
  headers: Record<string, string> = {},
): Promise<string> {
  const { status, text } = await clientOf(tenant).get('/loki/api/v1/query_range', { query, ...params }, { headers });
  return `${status} ${status === 200 ? '' : text}`;
}

test('pushes beyond the limits of lines and labels are refused with what was wrong', async () => {
  const old = agoNs(5);
  const coming = agoNs(-5);
  const line = 'a line of 20 letters';
  const metadata = { a: '12345', b: '67890' };
  const cases: [tenant: string, push: PushedStream, answer: RegExp][] = [
    [
      'line-size',
      streamOf(line),
      /^400 max entry size '10' bytes exceeded for stream '\{app="x"\}' while adding an entry with length '20' bytes\n$/,
    ],
    [
      'label-count',
      streamOf(line, { labels: { a: '1', b: '2', c: '3' } }),
      /^400 entry for stream '\{a="1", b="2", c="3"\}' has 3 label names; limit 2\n$/,
    ],
    [
      'label-name',
      streamOf(line, { labels: { longer: '1' } }),
      /^400 stream '\{longer="1"\}' has label name too long: 'longer'\n$/,
    ],
    [
      'label-value',
      streamOf(line, { labels: { a: 'longer' } }),
      /^400 stream '\{a="longer"\}' has label value too long: 'longer'\n$/,
    ],
    [
      'metadata-off',
      streamOf(line, { metadata }),
      /^400 stream '\{app="x"\}' includes structured metadata, but this feature is disallowed\. Please see `limits_config\.allow_structured_metadata`/,
    ],
    [
      'metadata-size',
      streamOf(line, { metadata }),
      /^400 stream '\{app="x"\}' has structured metadata too large: '12' bytes, limit: '10' bytes\./,
    ],
    [
      'metadata-count',
      streamOf(line, { metadata }),
      /^400 stream '\{app="x"\}' has too many structured metadata labels: '2', limit: '1'\./,
    ],
    [
      'enforced-labels',
      streamOf(line, { labels: { team: 'a' } }),
      /^400 missing required labels 'env' for user 'enforced-labels' for stream '\{team="a"\}' \(policy: ''\)\n$/,
    ],
    [
      'new',
      streamOf(line, { atNs: coming }),
      new RegExp(`^400 entry for stream '{app="x"}' has timestamp too new: ${rfc3339(coming)}\n$`),
    ],
    [
      'old',
      streamOf(line, { atNs: old }),
      new RegExp(
        `^400 entry for stream '{app="x"}' has timestamp too old: ${rfc3339(old)}, oldest acceptable timestamp is: `,
      ),
    ],
    [
      'blocked',
      streamOf(line),
      /^260 ingestion blocked for user 'blocked' until '2099-01-01T00:00:00Z' with status code '260'\n$/,
    ],
    ['blocked-quiet', streamOf(line), /^204 $/],
  ];
  for (const [tenant, push, answer] of cases) assert.match(await pushed(tenant, push), answer, tenant);
  for (const [tenant, push] of cases)
    assert.equal(await pushed(`not-${tenant}`, push), '204 ', `without the limit of ${tenant}`);
  assert.equal(await pushed('old-allowed', streamOf(line, { atNs: agoNs(60 * 24 * 30) })), '204 ');
  assert.deepEqual(linesOf(await clientOf('blocked-quiet').range({ query: '{app="x"}' })), []);
});

test('long lines are cut where the tenant wants it', async () => {
  assert.equal(await pushed('truncate', streamOf('0123456789abc')), '204 ');
  assert.deepEqual(linesOf(await clientOf('truncate').range({ query: '{app="x"}' })), ['0123456...']);
});

test('policies hold for the streams that they name', async () => {
  const own = streamOf('a line', { labels: { team: 'finance' } });
  const other = streamOf('a line', { labels: { team: 'sales' } });
  assert.equal(
    await pushed('policy-labels', own),
    `400 missing required labels 'cost' for user 'policy-labels' for stream '{team="finance"}' (policy: 'finance')\n`,
  );
  assert.equal(
    await pushed('policy-blocked', own),
    `260 ingestion blocked for user 'policy-blocked' (policy: 'finance') until '2099-01-01T00:00:00Z' with status code '260'\n`,
  );
  for (const tenant of ['policy-labels', 'policy-blocked']) assert.equal(await pushed(tenant, other), '204 ', tenant);
});

test('what is discovered in lines, and what becomes of equal timestamps, is a matter of the tenant', async () => {
  const atNs = nowNs();
  const lines = ['weight=error first', 'second'].map(
    (line) => streamOf(line, { labels: { team: 'a' }, atNs }).values[0]!,
  );
  for (const tenant of ['discovery', 'duplicates']) {
    await clientOf(tenant).mustPush([{ stream: { team: 'a' }, values: lines }]);
  }
  const found = await clientOf('discovery').range({
    query: '{service_name="a"} | detected_level="error"',
    end: atNs + 9n,
  });
  assert.deepEqual(linesOf(found), ['weight=error first']);
  const query = { query: '{team="a"}', direction: 'forward', end: atNs + 9n };
  const times = (await clientOf('duplicates').range(query)).result[0]!.values.map(([ns]) => BigInt(ns) - atNs);
  assert.deepEqual(times, [0n, 1n]);
});

test('too many bytes and too many streams are refused with 429', async () => {
  const line = 'x'.repeat(500);
  assert.equal(
    await pushed('rate', streamOf(line)),
    `429 ingestion rate limit exceeded for user rate (limit: 104 bytes/sec) while attempting to ingest '1' lines totaling '500' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased\n`,
  );
  assert.match(
    await pushed('stream-rate', streamOf(line)),
    /^429 .*Per stream rate limit exceeded \(limit: 100B\/sec\) while attempting to ingest for stream '\{app="x"\}' totaling 500B, consider splitting/s,
  );
  const streams = ['1', '2', '3'].map((pod) => streamOf('a', { labels: { pod } }));
  const refused = (pod: string, tenant: string) =>
    `429 maximum active stream limit exceeded when trying to create stream {pod="${pod}"}, reduce the number of active streams (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased, user: '${tenant}'\n`;
  assert.equal(await pushed('streams', ...streams), refused('3', 'streams'));
  assert.equal((await clientOf('streams').range({ query: '{pod=~".+"}' })).result.length, 2);
  assert.equal(await pushed('streams-local', streams[0]!), '204 ');
  assert.equal(await pushed('streams-local', streams[1]!), refused('2', 'streams-local'));
});

test('queries beyond the limits are refused with what was wrong', async () => {
  const since = { since: '2h' };
  const cases: [tenant: string, query: string, params: Record<string, string | number>, answer: string][] = [
    [
      'entries',
      '{app="x"}',
      { limit: 6 },
      '400 max entries limit per query exceeded, limit > max_entries_limit_per_query (6 > 5)',
    ],
    ['entries', '{app="x"}', { limit: 5 }, '200 '],
    ['entries', 'rate({app="x"}[1m])', { limit: 6 }, '200 '],
    ['length', '{app="x"}', since, '400 the query time range exceeds the limit (query length: 2h0m0s, limit: 1h)'],
    ['length', '{app="x"}', { since: '1h' }, '200 '],
    ['range', 'rate({app="x"}[20m])', {}, '400 [interval] value exceeds limit: [20m] > [10m]'],
    ['range', 'rate({app="x"}[10m])', {}, '200 '],
    [
      'required-labels',
      '{app="x", b="y"}',
      {},
      '400 stream selector is missing required matchers [env], labels present in the query were [app, b]',
    ],
    [
      'required-labels',
      'sum(rate({app="x"}[1m]))',
      {},
      '400 stream selector is missing required matchers [env], labels present in the query were [app]',
    ],
    ['required-labels', '{env=~".+"}', {}, '200 '],
    [
      'minimum-labels',
      '{app="x"}',
      {},
      '400 stream selector has less label matchers than required: (present: [app], number_present: 1, required_number_label_matchers: 2)',
    ],
    ['minimum-labels', '{app="x", app!="y"}', {}, '200 '],
    [
      'matchers',
      '{a="1", b="2", c="3"}',
      {},
      '400 max streams matchers per query exceeded, matchers-count > limit (3 > 2)',
    ],
    ['matchers', '{a="1", b="2"} | c="3"', {}, '200 '],
    ['blocked-text', '{app="text"}', {}, '400 query blocked by policy'],
    ['blocked-text', '{app="text"} |= "a"', {}, '200 '],
    ['blocked-regex', '{app="a-secret-b"}', {}, '400 query blocked by policy'],
    ['blocked-regex', '{app="public"}', {}, '200 '],
    ['blocked-hash', '{app="hash"}', {}, '400 query blocked by policy'],
    ['blocked-hash', '{app="other"}', {}, '200 '],
    ['blocked-types', 'rate({app="x"}[1m])', {}, '400 query blocked by policy'],
    ['blocked-types', '{app="x"} |= "a"', {}, '400 query blocked by policy'],
    ['blocked-types', '{app="x"} | json', {}, '200 '],
  ];
  for (const [tenant, query, params, answer] of cases) assert.equal(await asked(tenant, query, params), answer, query);
});

test('queries are refused by their tags', async () => {
  const blocked = '400 query blocked by policy';
  const withTags = (tags: string) => asked('blocked-tags', '{app="x"}', {}, { 'X-Query-Tags': tags });
  assert.equal(await withTags('source=grafana,Feature=beta'), blocked);
  assert.equal(await withTags('source=grafana'), '200 ');
  assert.equal(await asked('blocked-tags', '{app="x"}'), '200 ');
});

test('queries do not look back farther than the lookback', async () => {
  const tenant = 'lookback';
  const streams = [streamOf('before', { atNs: agoNs(90) }), streamOf('within', { atNs: agoNs(30) })];
  await clientOf(tenant).mustPush(streams);
  assert.deepEqual(linesOf(await clientOf(tenant).range({ query: '{app="x"}', since: '3h' })), ['within']);
  const range = { start: agoNs(120), end: agoNs(80) };
  assert.deepEqual(linesOf(await clientOf(tenant).range({ query: '{app="x"}', ...range })), []);
});

test('a query of too many series is refused, Logs Drilldown gets some of them', async () => {
  const tenant = 'series';
  await clientOf(tenant).mustPush(['1', '2'].map((pod) => streamOf('a', { labels: { app: 'x', pod } })));
  const query = 'count_over_time({app="x"}[5m])';
  assert.equal(
    await asked(tenant, query),
    '400 maximum number of series (1) reached for a single query; consider reducing query cardinality by adding more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()',
  );
  assert.equal(await asked(tenant, `sum(${query})`), '200 ');
  const headers = { 'X-Query-Tags': 'Source=grafana-lokiexplore-app' };
  const answer = await clientOf(tenant).json<{ warnings: string[] }>(
    '/loki/api/v1/query_range',
    { query },
    { headers },
  );
  assert.deepEqual(answer.warnings, [
    'maximum number of series (1) reached for a single query; returning partial results',
  ]);
});

test('queries that would read too much are refused before they read', async () => {
  // 100 lines of 50 bytes, 5000 bytes: 4.9 KiB, three parts of at most 2 KiB, and so four of 1.2 KiB.
  const values = Array.from({ length: 100 }, (_, i): PushedValue => [`${nowNs() + BigInt(i)}`, 'x'.repeat(50)]);
  for (const tenant of ['bytes', 'querier-bytes', 'shard-bytes']) {
    await clientOf(tenant).mustPush([{ stream: { app: 'x' }, values }]);
  }
  const end = '; consider adding more specific stream selectors or reduce the time range of the query';
  const params = { end: nowNs() + 60_000_000_000n };
  const tooMany = `400 the query would read too many bytes (query: 4.9 KiB, limit: 1.0 KiB)${end}`;
  assert.equal(await asked('bytes', 'sum(rate({app="x"}[1m]))', params), tooMany);
  assert.equal(await asked('bytes', '{app="x"} |= "x"', params), tooMany);
  assert.equal(await asked('bytes', '{app="x"}', params), '200 ', 'a query of all lines reads until its limit');
  assert.equal(await asked('bytes', '{app="y"} |= "x"', params), '200 ');
  assert.equal(
    await asked('querier-bytes', '{app="x"} |= "x"', params),
    `400 un-shardable query too large to execute on a single querier: (query: 4.9 KiB, limit: 1.0 KiB)${end}`,
  );
  assert.equal(
    await asked('shard-bytes', '{app="x"} |= "x"', params),
    `400 shard query is too large to execute on a single querier: (query: 1.2 KiB, limit: 1.0 KiB)${end}`,
  );
});

test('a part of a query is refused when the whole would read too much', async () => {
  const tenant = 'bytes';
  const values = Array.from({ length: 100 }, (_, i): PushedValue => [`${agoNs(30) + BigInt(i)}`, 'x'.repeat(50)]);
  await clientOf(tenant).mustPush([{ stream: { app: 'whole' }, values }]);
  const params = { start: agoNs(5), end: agoNs(4) };
  const ask = (context: unknown) =>
    asked(tenant, 'sum(rate({app="whole"}[1m]))', params, {
      'X-Loki-Query-Limits-Context': typeof context === 'string' ? context : JSON.stringify(context),
    });
  const [from, to] = [rfc3339(agoNs(60)), rfc3339(nowNs())];
  const refused = /^400 the query would read too many bytes \(query: 4\.9 KiB, limit: 1\.0 KiB\)/;
  assert.match(await ask({ expr: 'sum(rate({app="whole"}[1m]))', from, to }), refused);
  assert.match(await ask({ expr: '{app="whole"} |= "x"', from, to }), refused);
  assert.equal(await ask({ expr: '{app="other"}', from, to }), '200 ');
  assert.equal(await ask({ expr: '{app="whole"}', from: to, to }), '200 ');
  for (const wrong of ['no JSON', { expr: 5 }, { expr: '{', from, to }, { expr: '{app="whole"}' }]) {
    assert.equal(await ask(wrong), '200 ', JSON.stringify(wrong));
  }
});

test('a query that takes too long ends with 504', async () => {
  const line = JSON.stringify({ text: 'y'.repeat(200) });
  const values = Array.from({ length: 20_000 }, (_, i): PushedValue => [`${agoNs(1) + BigInt(i)}`, line]);
  await clientOf('timeout').mustPush([{ stream: { app: 'x' }, values }]);
  assert.equal(
    await asked('timeout', 'sum by (text) (count_over_time({app="x"} | json | text=~"(.*y){9}" [5m]))'),
    '504 request timed out, decrease the duration of the request or add more label matchers (prefer exact match over regex match) to reduce the amount of data processed',
  );
});

test('volumes can be switched off, and have a limit of series', async () => {
  const ask = async (tenant: string, params: Record<string, string | number>) => {
    const { status, text } = await clientOf(tenant).get('/loki/api/v1/index/volume', { query: '{app="x"}', ...params });
    return `${status} ${status === 200 ? '' : text}`;
  };
  assert.equal(await ask('volume-off', {}), '404 not found');
  const streams = ['1', '2'].map((pod) => streamOf('a', { labels: { app: 'x', pod } }));
  await clientOf('volume-series').mustPush(streams);
  const params = { targetLabels: 'pod', limit: 5 };
  assert.match(
    await ask('volume-series', params),
    /^400 the query hit the max number of series limit \(limit: 1 series\)$/,
  );
  await clientOf('volume-on').mustPush(streams);
  assert.equal(await ask('volume-on', params), '200 ');
});

test('a tenant may follow as many queries at once as its limit says', async () => {
  const open = (): WebSocket =>
    new WebSocket(`${server.url.replace('http', 'ws')}/loki/api/v1/tail?query=${encodeURIComponent('{app="x"}')}`, {
      headers: { 'X-Scope-OrgID': 'tails' },
    });
  const first = open();
  await new Promise((resolve) => first.once('open', resolve));
  const closed = await new Promise((resolve) => {
    open().once('close', (code, reason) => resolve(`${code} ${reason}`));
  });
  assert.equal(
    closed,
    '1011 rpc error: code = Code(400) desc = max concurrent tail requests limit exceeded, count > limit (2 > 1)',
  );
  first.close();
});

test('a request may set stricter limits for itself, not wider ones', async () => {
  const ask = (limits: unknown, query = '{app="x"}', params: Record<string, string | number> = {}) =>
    asked('own-limits', query, params, {
      'X-Loki-Query-Limits': typeof limits === 'string' ? limits : JSON.stringify(limits),
    });
  assert.equal(
    await ask({ maxEntriesLimitPerQuery: 5 }, '{app="x"}', { limit: 6 }),
    '400 max entries limit per query exceeded, limit > max_entries_limit_per_query (6 > 5)',
  );
  assert.equal(
    await ask({ maxEntriesLimitPerQuery: 500 }, '{app="x"}', { limit: 51 }),
    '400 max entries limit per query exceeded, limit > max_entries_limit_per_query (51 > 50)',
  );
  const within = { limit: 5 };
  assert.match(
    await ask({ maxQueryLength: '30m' }, '{app="x"}', within),
    /^400 the query time range exceeds the limit/,
  );
  assert.match(await ask({ maxQueryInterval: '1m' }, 'rate({app="x"}[5m])'), /^400 \[interval\] value exceeds limit/);
  assert.match(await ask({ requiredLabels: ['env'] }, '{app="x"}', within), /missing required matchers \[env\]/);
  assert.match(await ask({ minimumLabelsNumber: 2 }, '{app="x"}', within), /less label matchers than required/);
  await clientOf('own-limits').mustPush([streamOf('a line')]);
  assert.match(
    await ask({ maxQueryBytesRead: '1B' }, '{app="x"} |= "a"', within),
    /^400 the query would read too many bytes/,
  );
  assert.equal(await ask('no JSON', '{app="x"}', within), '200 ');
});

test('limits change while the program runs, a broken file leaves them', async () => {
  const tenant = 'changing';
  assert.equal(await asked(tenant, '{app="x"}', { limit: 20 }), '200 ');
  await writeOverrides({ ...TENANTS, [tenant]: { max_entries_limit_per_query: 10 } });
  const refused = '400 max entries limit per query exceeded, limit > max_entries_limit_per_query (20 > 10)';
  await until('the new limit', async () => (await asked(tenant, '{app="x"}', { limit: 20 })) === refused);
  await writeFile(join(cwd, 'overrides.yaml'), 'overrides: {changing: {max_entries_limit_per_query: many}}');
  await until('the broken file is seen', () => server.log.includes('runtime configuration not reloaded'));
  assert.equal(await asked(tenant, '{app="x"}', { limit: 20 }), refused);
  await writeOverrides(TENANTS);
  await until('the old limits', async () => (await asked(tenant, '{app="x"}', { limit: 20 })) === '200 ');
});

test('tenants see their limits, operators what the runtime file says', async () => {
  const published = await clientOf('entries').get('/config/tenant/v1/limits');
  assert.match(published.text, /^discover_log_levels: false\n/);
  assert.match(published.text, /\nmax_entries_limit_per_query: 5\n.*\nmax_query_length: 30d1h\n/s);
  assert.doesNotMatch(published.text, /ingestion_rate_mb/);
  const drilldown = await clientOf('volume-off').json<{ limits: Record<string, unknown> }>(
    '/loki/api/v1/drilldown-limits',
  );
  assert.equal(drilldown.limits['volume_enabled'], false);
  assert.equal(drilldown.limits['max_query_length'], '30d1h');
  assert.equal('pattern_ingester_enabled' in drilldown && drilldown.pattern_ingester_enabled, false);
  const nobody = new TestClient(server.url);
  assert.equal((await nobody.get('/config/tenant/v1/limits')).status, 401);
  const all = (await nobody.get('/runtime_config')).text;
  assert.match(all, /^overrides:\n {2}rate:\n(.*\n)* {4}ingestion_rate_mb: 0.0001\n/);
  const diff = (await nobody.get('/runtime_config', { mode: 'diff' })).text;
  assert.ok(
    diff.includes('  entries:\n    max_entries_limit_per_query: 5\n  length:\n    max_query_length: 1h\n'),
    diff,
  );
  assert.equal((await nobody.get('/runtime_config', { mode: 'no' })).status, 400);
});
