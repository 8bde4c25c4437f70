import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { nowNs, TestClient, until } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';

/** Tenants that each have one narrow limit. */
const OVERRIDES = `
overrides:
  entries: {max_entries_limit_per_query: 10}
  series: {max_query_series: 3}
  length: {max_query_length: 2h}
  range: {max_query_range: 1h}
  lookback: {max_query_lookback: 10m}
  required: {required_labels: [env], minimum_labels_number: 2}
  volume: {volume_enabled: false}
  blocked: {blocked_queries: [{pattern: ".*secret.*", regex: true}]}
  slow: {query_timeout: 300ms}
`;
const HOUR = 3600_000_000_000n;
/** No linear engine of V8 takes it: minutes of work over the lines of `slow`. */
const ENDLESS = '{app="slow"} |~ "((x{1,20}){1,20}){1,2}y"';

const cwd = await mkdtemp(join(tmpdir(), 'loptr-limits-'));
await writeFile(join(cwd, 'overrides.yaml'), OVERRIDES);
let server: TestServer;
before(async () => {
  server = await TestServer.start({ cwd, args: ['-runtime-config.file=overrides.yaml', '-auth.enabled=true'] });
});
after(async () => {
  await server.stop();
  await rm(cwd, { recursive: true });
});

async function ask(tenant: string, params: Record<string, string | number | bigint>, path = 'query_range') {
  const { status, text } = await new TestClient(server.url, tenant).get(`/loki/api/v1/${path}`, params);
  return `${status} ${text}`;
}

/** A tenant with `streams` streams of one line each. */
async function clientWith(tenant: string, streams: number): Promise<TestClient> {
  const client = new TestClient(server.url, tenant);
  const pushed = Array.from({ length: streams }, (_, n) => ({
    stream: { app: 'a', n: `${n}` },
    values: [[`${nowNs()}`, 'line']] as const,
  }));
  await client.mustPush(pushed);
  return client;
}

test('each limit of a tenant refuses what is beyond it, and nothing else', async () => {
  const query = '{app="a"}';
  const start = nowNs() - 3n * HOUR;
  assert.equal(
    await ask('entries', { query, limit: 11 }),
    '400 max entries limit per query exceeded, limit > max_entries_limit_per_query (11 > 10)',
  );
  assert.match(await ask('entries', { query, limit: 10 }), /^200 /);
  assert.equal(
    await ask('length', { query, start, end: start + 3n * HOUR }),
    '400 the query time range exceeds the limit (query length: 3h0m0s, limit: 2h)',
  );
  assert.match(await ask('length', { query, start, end: start + 2n * HOUR }), /^200 /);
  const rate = (range: string): string => `rate({app="a"}[${range}])`;
  assert.equal(await ask('range', { query: rate('2h') }), '400 [interval] value exceeds limit: [2h] > [1h]');
  assert.match(await ask('range', { query: rate('1h') }), /^200 /);
  assert.equal(
    await ask('required', { query }),
    '400 stream selector is missing required matchers [env], labels present in the query were [app]',
  );
  assert.equal(
    await ask('required', { query: '{env="x"}' }),
    '400 stream selector has less label matchers than required: (present: [env], number_present: 1, required_number_label_matchers: 2)',
  );
  assert.equal(await ask('volume', { query }, 'index/volume'), '404 not found');
  assert.equal(await ask('blocked', { query: '{app="a"} |= "secret"' }), '400 query blocked by policy');
  assert.equal(
    await ask('nobody', { query: 'vector(1)', start, end: start + 3n * HOUR, step: '100ms' }),
    '400 exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter',
  );
});

test('a query with more series than allowed is refused, and cut with a warning for Drilldown', async () => {
  const client = await clientWith('series', 5);
  const query = 'count_over_time({app="a"}[5m])';
  const refused =
    '400 maximum number of series (3) reached for a single query; consider reducing query cardinality by adding more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()';
  assert.equal(await ask('series', { query }, 'query'), refused);
  assert.match(await ask('series', { query: `sum(${query})` }, 'query'), /^200 .*"value":\[[0-9.]+,"5"\]/);
  const headers = { 'X-Query-Tags': 'Source=grafana-lokiexplore-app' };
  const cut = await client.get('/loki/api/v1/query', { query }, { headers });
  const { warnings, data } = JSON.parse(cut.text) as { warnings: string[]; data: { result: unknown[] } };
  assert.equal(data.result.length, 3);
  assert.deepEqual(warnings, ['maximum number of series (3) reached for a single query; returning partial results']);
});

test('what is older than max_query_lookback is not there', async () => {
  const client = new TestClient(server.url, 'lookback');
  const old = nowNs() - HOUR / 2n;
  await client.mustPush([{ stream: { app: 'a' }, values: [[`${old}`, 'old']] }]);
  await client.mustPush([{ stream: { app: 'a' }, values: [[`${nowNs()}`, 'new']] }]);
  const all = await client.range({ query: '{app="a"}', start: old - HOUR });
  assert.deepEqual(
    all.result.flatMap(({ values }) => values.map(([, line]) => line)),
    ['new'],
  );
  const before = await client.range({ query: '{app="a"}', start: old - HOUR, end: old + 1n });
  assert.deepEqual(before.result, []);
});

test('a query ends with 504 at its timeout and with 499 when its client hangs up, and its threads are free', async () => {
  const client = new TestClient(server.url, 'slow');
  const patient = new TestClient(server.url, 'patient');
  const values = Array.from(
    { length: 1000 },
    (_, n) => [`${nowNs() + BigInt(n)}`, `${n} ${'x'.repeat(2000)}`] as const,
  );
  for (const each of [client, patient]) await each.mustPush([{ stream: { app: 'slow' }, values }]);
  const finished = async (status: string): Promise<number> =>
    patient.metric('loki_request_duration_seconds_count', [`status_code="${status}"`, 'loki_api_v1_query_range']);
  /** CPU seconds of the process grow slower than the clock: nobody computes any more. */
  const idle = (): Promise<true> =>
    until('idle threads', async () => {
      const [usedBefore, clockBefore] = [await patient.metric('process_cpu_seconds_total'), performance.now()];
      await new Promise((resolve) => setTimeout(resolve, 200));
      const share =
        ((await patient.metric('process_cpu_seconds_total')) - usedBefore) / (performance.now() - clockBefore);
      return share * 1000 < 0.5 ? true : undefined;
    });

  const timedOut = await client.get('/loki/api/v1/query_range', { query: ENDLESS });
  assert.equal(timedOut.status, 504);
  assert.match(timedOut.text, /^request timed out, decrease the duration of the request or add more label matchers/);
  await idle();

  assert.equal(await finished('499'), 0);
  const hangUp = new AbortController();
  const asked = patient.get('/loki/api/v1/query_range', { query: ENDLESS }, { signal: hangUp.signal });
  const refused = assert.rejects(asked, { name: 'AbortError' });
  await until('the query in flight', async () => {
    const inflight = await patient.metric('loki_inflight_requests', ['loki_api_v1_query_range']);
    return inflight === 1 || undefined;
  });
  hangUp.abort();
  await refused;
  await until('the query counted as 499', async () => (await finished('499')) === 1 || undefined);
  await idle();
  const { result } = await patient.range({ query: '{app="slow"} |= "999 x"' });
  assert.equal(result.length, 1);
});
