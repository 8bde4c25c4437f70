import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { linesOf, nowNs, type SeriesResult, TestClient } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';

const SECOND = 1_000_000_000n;
const LINES = 1000;
const STREAMS = [
  { app: 'shop', env: 'prod' },
  { app: 'shop', env: 'dev' },
  { app: 'pay', env: 'prod' },
];
const RANGE = 600n * SECOND;
/**
 * Whole minute before now, so that buckets of a minute hold whole streams of lines; and the range within one hour, in
 * each of which an interval begins anew.
 */
const base = withinOneHour(((nowNs() - 1200n * SECOND) / (60n * SECOND)) * 60n * SECOND);
const range = { start: base, end: base + RANGE };

function withinOneHour(startNs: bigint): bigint {
  const hourEndNs = (startNs / (3600n * SECOND) + 1n) * 3600n * SECOND;
  return startNs + RANGE > hourEndNs ? hourEndNs - RANGE : startNs;
}

const lineOf = (n: number): string => `level=${n % 10 === 0 ? 'error' : 'info'} n=${n} ${'.'.repeat(n % 50)}`;
const metadataOf = (n: number): Record<string, string> => ({ trace_id: `t${n % 7}` });
/** One line every 500 ms from `base` on. */
const timeOf = (n: number): bigint => base + (BigInt(n) * SECOND) / 2n;

const LINE_BYTES = Array.from({ length: LINES }, (_, n) => lineOf(n).length).reduce((a, b) => a + b);
/** Names and values of what was pushed with the lines; levels that were detected do not count. */
const METADATA_BYTES = LINES * 'trace_idt0'.length;
const STREAM_BYTES = LINE_BYTES + METADATA_BYTES;

const cwd = await mkdtemp(join(tmpdir(), 'loptr-read-path-'));
let server: TestServer;
let client: TestClient;
const args = ['-querier.compress-http-responses=true', '-querier.multi-tenant-queries-enabled', '-auth.enabled=true'];

before(async () => {
  server = await TestServer.start({ cwd, args });
  client = new TestClient(server.url, 'main');
  for (const stream of STREAMS) {
    const values = Array.from({ length: LINES }, (_, n) => [`${timeOf(n)}`, lineOf(n), metadataOf(n)] as const);
    await client.mustPush([{ stream, values }]);
  }
  await new TestClient(server.url, 'other').mustPush([
    { stream: { app: 'shop', team: 'x' }, values: [[`${timeOf(0)}`, 'of the other tenant']] },
  ]);
});
after(async () => {
  await server.stop();
  await rm(cwd, { recursive: true });
});

/** Questions whose answers do not depend on where the lines lie. */
function answers(where: string): void {
  describe(where, () => {
    test('GET and POST give the same, and what the form says wins over the address', async () => {
      const params = { query: '{app="pay"}', ...range, limit: 5, direction: 'forward' };
      const got = await client.range(params);
      assert.deepEqual(linesOf(got), [0, 1, 2, 3, 4].map(lineOf));
      const posted = await client.post('/loki/api/v1/query_range', params);
      const { data } = JSON.parse(posted.text) as { data: typeof got };
      assert.deepEqual(data.result, got.result);
      const form = new URLSearchParams({ query: '{app="pay"} |= "n=7 "' });
      const address = new URLSearchParams({ query: '{app="shop"}', start: `${range.start}`, end: `${range.end}` });
      const merged = await client.send(`/loki/api/v1/query_range?${address}`, { method: 'POST', body: form });
      assert.deepEqual(linesOf((JSON.parse(merged.text) as { data: typeof got }).data), [lineOf(7)]);
    });

    test('the figures of an answer are those of the data', async () => {
      const { stats, result } = await client.range({ query: '{env="prod"} |= "level=error"', ...range, limit: 5000 });
      assert.equal(result.length, 2 * 7, 'streams differ by their metadata');
      assert.equal(stats.summary['totalLinesProcessed'], 2 * LINES);
      assert.equal(stats.summary['totalPostFilterLines'], (2 * LINES) / 10);
      assert.equal(stats.summary['totalEntriesReturned'], (2 * LINES) / 10);
      const metadataBytes = 2 * METADATA_BYTES;
      assert.equal(stats.summary['totalStructuredMetadataBytesProcessed'], metadataBytes);
      assert.equal(stats.summary['totalBytesProcessed'], 2 * LINE_BYTES + metadataBytes);
    });

    test('sums over the index are those of the data', async () => {
      const asked = { query: '{app="shop"}', ...range };
      const stats = await client.json<Record<string, number>>('/loki/api/v1/index/stats', asked);
      assert.equal(stats['streams'], 2);
      assert.equal(stats['entries'], 2 * LINES);
      assert.equal(stats['bytes'], 2 * STREAM_BYTES);
      const bytes = `${STREAM_BYTES}`;
      const volume = await client.json<{ data: { resultType: string; result: SeriesResult[] } }>(
        '/loki/api/v1/index/volume',
        { ...asked, query: '{app=~".+", env="prod"}' },
      );
      assert.equal(volume.data.resultType, 'vector');
      const seconds = Number(range.end / SECOND);
      assert.deepEqual(volume.data.result, [
        { metric: { app: 'pay', env: 'prod' }, value: [seconds, bytes] },
        { metric: { app: 'shop', env: 'prod' }, value: [seconds, bytes] },
      ]);
      const byLabel = await client.json<{ data: { result: SeriesResult[] } }>('/loki/api/v1/index/volume', {
        ...asked,
        query: '{}',
        targetLabels: 'app',
      });
      assert.deepEqual(
        byLabel.data.result.map(({ metric, value }) => [metric['app'], Number(value![1])]),
        [
          ['shop', 2 * Number(bytes)],
          ['pay', Number(bytes)],
        ],
      );
    });

    test('volume over steps adds up to the volume', async () => {
      const { data } = await client.json<{ data: { resultType: string; result: SeriesResult[] } }>(
        '/loki/api/v1/index/volume_range',
        { query: '{app="pay"}', ...range, step: '60s' },
      );
      assert.equal(data.resultType, 'matrix');
      const [series] = data.result;
      assert.equal(data.result.length, 1);
      const sum = series!.values!.reduce((total, [, value]) => total + Number(value), 0);
      assert.equal(sum, STREAM_BYTES);
      assert.ok(series!.values!.length >= 2);
    });

    test('labels, values and series are those of the streams', async () => {
      const data = async (path: string, params = {}) =>
        (await client.json<{ data?: unknown }>(`/loki/api/v1/${path}`, { ...range, ...params })).data;
      assert.deepEqual(await data('labels'), ['app', 'env', 'service_name']);
      assert.deepEqual(await data('label/app/values'), ['pay', 'shop']);
      assert.deepEqual(await data('label/env/values', { query: '{app="pay"}' }), ['prod']);
      assert.equal(await data('label/trace_id/values'), undefined);
      assert.deepEqual(
        await data('series', { match: '{app="shop"}' }),
        ['dev', 'prod'].map((env) => ({ app: 'shop', env, service_name: 'shop' })),
      );
    });

    test('metrics count every line', async () => {
      const query = 'sum by (app, level) (count_over_time({app=~".+"} | logfmt [600s]))';
      const { result } = await client.instant({ query, time: range.end - 1n });
      const found = result.map(({ metric, value }) => [metric['app'], metric['level'], value![1]]);
      assert.deepEqual(found.sort(), [
        ['pay', 'error', '100'],
        ['pay', 'info', '900'],
        ['shop', 'error', '200'],
        ['shop', 'info', '1800'],
      ]);
      const bytes = await client.number({ query: 'sum(bytes_over_time({app="pay"}[600s]))', time: range.end - 1n });
      assert.equal(bytes, LINE_BYTES);
    });

    test('pages in both directions give every line once, in order', async () => {
      for (const direction of ['forward', 'backward'] as const) {
        const seen: string[] = [];
        let { start, end } = range as { start: bigint; end: bigint };
        for (;;) {
          const page = await client.range({ query: '{app="pay"} | drop trace_id', start, end, direction, limit: 77 });
          const rows = page.result
            .flatMap(({ values }) => values.map(([ns, line]) => ({ ns: BigInt(ns), line })))
            .sort((a, b) => Number(direction === 'forward' ? a.ns - b.ns : b.ns - a.ns));
          seen.push(...rows.map(({ line }) => line));
          if (rows.length < 77) break;
          if (direction === 'forward') start = rows.at(-1)!.ns + 1n;
          else end = rows.at(-1)!.ns;
        }
        const all = Array.from({ length: LINES }, (_, n) => lineOf(n));
        assert.deepEqual(seen, direction === 'forward' ? all : all.reverse());
      }
    });

    test('interval leaves at least that much between two of the lines that the limit lets through', async () => {
      const params = { query: '{app="pay"} | drop trace_id, detected_level', ...range, direction: 'forward' };
      const { result } = await client.range({ ...params, interval: '10s' });
      assert.deepEqual(
        result.flatMap(({ values }) => values.map(([ns]) => BigInt(ns))),
        [0, 20, 40, 60, 80].map(timeOf),
      );
    });

    test('with the flag, metadata and what a stage has found stand apart from the labels', async () => {
      const headers = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' };
      const params = { query: '{app="pay"} |= "n=8 " | logfmt', ...range };
      const data = await client.range(params, { headers });
      assert.deepEqual(data.encodingFlags, ['categorize-labels']);
      assert.deepEqual(data.result, [
        {
          stream: { app: 'pay', env: 'prod', service_name: 'pay' },
          values: [
            [
              `${timeOf(8)}`,
              lineOf(8),
              { structuredMetadata: { detected_level: 'info', trace_id: 't1' }, parsed: { level: 'info', n: '8' } },
            ],
          ],
        },
      ]);
    });

    test('several tenants are read together, each line with its own', async () => {
      const both = new TestClient(server.url, 'main|other');
      const { result } = await both.range({ query: '{app="shop"} |~ "other|n=1 "', ...range });
      assert.deepEqual(result.map(({ stream, values }) => [stream['__tenant_id__'], values.length]).sort(), [
        ['main', 1],
        ['main', 1],
        ['other', 1],
      ]);
      const chosen = await both.range({ query: '{app="shop", __tenant_id__="other"}', ...range });
      assert.deepEqual(linesOf(chosen), ['of the other tenant']);
      const query = 'sum by (__tenant_id__) (count_over_time({app="shop"}[600s]))';
      const counts = await both.instant({ query, time: range.end - 1n });
      assert.deepEqual(counts.result.map(({ metric, value }) => [metric['__tenant_id__'], value![1]]).sort(), [
        ['main', '2000'],
        ['other', '1'],
      ]);
      const values = await both.json('/loki/api/v1/label/__tenant_id__/values', range);
      assert.deepEqual(values, { status: 'success', data: ['main', 'other'] });
      assert.equal((await new TestClient(server.url, 'nobody').range({ query: '{app="shop"}' })).result.length, 0);
    });

    test('answers are gzip where a client takes it', async () => {
      const params = new URLSearchParams({ query: '{app="pay"}', start: `${range.start}`, end: `${range.end}` });
      const ask = (headers: Record<string, string>): Promise<{ encoding: string | undefined; body: Buffer }> =>
        new Promise((resolve, reject) => {
          const url = `${server.url}/loki/api/v1/query_range?${params}`;
          request(url, { headers: { ...headers, 'X-Scope-OrgID': 'main' } }, (response) => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk));
            response.on('end', () =>
              resolve({ encoding: response.headers['content-encoding'], body: Buffer.concat(chunks) }),
            );
          })
            .on('error', reject)
            .end();
        });
      const plain = await ask({});
      assert.equal(plain.encoding, undefined);
      const zipped = await ask({ 'Accept-Encoding': 'gzip' });
      assert.equal(zipped.encoding, 'gzip');
      assert.ok(zipped.body.length < plain.body.length / 2);
      const resultOf = (body: Buffer) => (JSON.parse(body.toString()) as { data: { result: unknown } }).data.result;
      assert.deepEqual(resultOf(gunzipSync(zipped.body)), resultOf(plain.body));
    });
  });
}

answers('while lines are in memory');

describe('then', () => {
  test('everything goes to the object store', async () => {
    await client.flush();
    await server.stop();
    server = await TestServer.start({ cwd, args, ports: server.ports });
    assert.equal(await client.metric('loki_ingester_memory_streams'), 0);
  });
});

answers('after a flush and a restart');
