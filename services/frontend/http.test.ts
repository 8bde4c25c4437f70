import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { compileMatchers } from '../../logql/stages/index.ts';
import type { LogSelectorExpr } from '../../logql/syntax/ast.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { headOf } from '../../storage/block/testing/heads.ts';
import { systemClock } from '../../storage/host/clock.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { SegmentCatalog } from '../../storage/index/index.ts';
import { FilesystemStore } from '../../storage/objectstore/index.ts';
import { WorkerPool } from '../../storage/scan/worker-pool.ts';
import type { Limits } from '../config/limits.ts';
import { HttpServer } from '../http/index.ts';
import { serverOptions } from '../http/testing/server-options.ts';
import type { Route } from '../http/types.ts';
import { querierRoutes } from '../querier/http.ts';
import { onlyIngester } from '../querier/ingester-set.ts';
import { Metadata } from '../querier/metadata.ts';
import type { Querier } from '../querier/querier.ts';
import { ingesterOf } from '../rpc/testing/ingester-of.ts';
import { frontendRoutes } from './http.ts';
import { type Front, querierOver, startFront, startWorker } from './testing/cluster.ts';
import type { QuerierWorker } from './worker.ts';

/*
 * One querier is asked directly and through a frontend: its clients see no difference.
 */

const directory = mkdtempSync(join(tmpdir(), 'loptr-frontend-http-'));
const objectStore = { kind: 'filesystem' as const, directory };
const NOW_MS = 1_795_170_000_000;
const clock = { ...systemClock, nowMs: () => NOW_MS, nowNs: () => BigInt(NOW_MS) * 1_000_000n };
const MINUTE_NS = 60_000_000_000n;
let limits: Partial<Limits> = {};
let pool: WorkerPool;
let front: Front;
let worker: QuerierWorker;
let querier: Querier;
let servers: HttpServer[];
let urls: { readonly direct: string; readonly front: string };

const serverOf = (routes: readonly Route[]): HttpServer =>
  new HttpServer(serverOptions({ routes, tenancy: { authEnabled: true, multiTenantQueries: true } }));

before(async () => {
  pool = new WorkerPool({ size: 1, settings: { objectStore }, logger: silentLogger });
  front = await startFront({ limits: () => limits, clock });
  const nowNs = clock.nowNs();
  const streams = ['web', 'db <&>', 'é'].map((app, s) => ({
    labels: [['app', app]] as const,
    rows: Array.from({ length: 400 }, (_, i) => ({
      ns: nowNs - BigInt(i) * MINUTE_NS - BigInt(s),
      line: i % 3 === 0 ? `{"n":${i},"level":"info"}` : `level=error n=${i} "<é>"`,
      metadata: i % 5 === 0 ? ([['trace', `t${i}`]] as const) : [],
    })).reverse(),
  }));
  const ingester = ingesterOf(async ({ matchers, tenant }) => {
    if (tenant === 'empty') return [];
    const matches = compileMatchers(matchers);
    return streams
      .filter(({ labels }) => matches(labels))
      .map(({ labels, rows }) => ({ labels, blocks: [], heads: [headOf(rows)] }));
  });
  const catalog = new SegmentCatalog(new FilesystemStore(objectStore), silentLogger);
  const sources = { catalog, recent: onlyIngester(ingester, systemClock) };
  const one = querierOver(sources, pool, front.limits, clock);
  querier = one.querier;
  worker = startWorker(front, { parts: one.parts, handlerOf: one.handlerOf });
  const metadata = new Metadata({ sources, limits: front.limits, clock });
  servers = [
    serverOf(querierRoutes({ querier: one.querier, metadata, patterns: null, clock })),
    serverOf(frontendRoutes({ frontend: front.frontend, remote: front.remote, limits: front.limits, clock })),
  ];
  const [direct, through] = await Promise.all(servers.map((server) => server.start()));
  urls = { direct: `http://127.0.0.1:${direct}`, front: `http://127.0.0.1:${through}` };
});
after(async () => {
  await Promise.all(servers.map((server) => server.stop(AbortSignal.abort())));
  await worker.stop(AbortSignal.abort());
  await front.stop();
  await pool.stop();
  rmSync(directory, { recursive: true });
});

interface Asked {
  readonly path: string;
  readonly form?: Record<string, string>;
  readonly post?: boolean;
  readonly headers?: Record<string, string>;
}

async function answer(url: string, { path, form = {}, post = false, headers = {} }: Asked) {
  const query = String(new URLSearchParams(form));
  const response = await fetch(post ? `${url}${path}` : `${url}${path}?${query}`, {
    ...(post && { method: 'POST', body: new URLSearchParams(form) }),
    headers: { 'X-Scope-OrgID': 'a', ...headers },
  });
  const text = (await response.text()).replace(/"stats":\{.*\}\}\}?/s, '');
  const {
    date,
    'content-length': length,
    'transfer-encoding': encoding,
    ...others
  } = Object.fromEntries(response.headers);
  assert.ok(date !== undefined && (length !== undefined || encoding !== undefined));
  return { status: response.status, headers: others, text };
}

async function assertSame(asked: Asked): Promise<Awaited<ReturnType<typeof answer>>> {
  const direct = await answer(urls.direct, asked);
  assert.deepEqual(await answer(urls.front, asked), direct, JSON.stringify(asked));
  return direct;
}

const RANGE = {
  start: String(BigInt(NOW_MS) * 1_000_000n - 390n * MINUTE_NS),
  end: String(BigInt(NOW_MS) * 1_000_000n),
};

test('range queries have the same bytes', async () => {
  for (const query of [
    '{app=~".+"}',
    '{app="web"} | json',
    '{app="é"} |= "error" | logfmt',
    'sum by (app) (rate({app=~".+"}[5m]))',
    'count_over_time({app="web"} | json | __error__="" [7m])',
    'topk(1, count_over_time({app=~".+"}[90m]))',
    'quantile_over_time(0.5, {app="web"} | json | __error__="" | unwrap n [10m])',
    'absent_over_time({app="none"}[1m])',
    'label_replace(count_over_time({app=~".+"}[5m]), "app", "x", "app", ".*")',
    'vector(2) + 1',
    '{app="none"}',
  ]) {
    for (const direction of query.startsWith('{') ? ['forward', 'backward'] : ['backward']) {
      for (const extra of [{ step: '60' }, { step: '5400', interval: '90m', limit: '3' }, { limit: '5000' }]) {
        const form = { ...RANGE, query, direction, ...extra };
        const { status } = await assertSame({ path: '/loki/api/v1/query_range', form });
        assert.equal(status, 200, query);
      }
    }
  }
});

test('large answers, forms, flags and several tenants pass through', async () => {
  const form = { ...RANGE, query: '{app=~".+"}', limit: '1200' };
  const headers = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' };
  assert.ok((await assertSame({ path: '/loki/api/v1/query_range', form, headers, post: true })).text.length > 30_000);
  const tenants = { 'X-Scope-OrgID': 'b|a|empty' };
  await assertSame({ path: '/loki/api/v1/query_range', form, headers: tenants });
  for (const step of ['60', '3600', '7200']) {
    const metric = { ...RANGE, query: 'count_over_time({app="web"}[1m])', step };
    await assertSame({ path: '/loki/api/v1/query_range', form: metric, headers: tenants });
  }
  await assertSame({ path: '/api/prom/query', form: { ...RANGE, query: '{app="web"}', regexp: 'error' } });
});

test('everything else is answered by a querier as if it had been asked itself', async () => {
  for (const path of [
    '/loki/api/v1/labels',
    '/loki/api/v1/label',
    '/loki/api/v1/label/app/values',
    '/loki/api/v1/series',
    '/loki/api/v1/patterns',
    '/loki/api/v1/index/stats',
    '/loki/api/v1/index/volume',
    '/loki/api/v1/index/volume_range',
    '/loki/api/v1/detected_labels',
    '/loki/api/v1/detected_fields',
    '/loki/api/v1/detected_field/n/values',
    '/loki/api/v1/explain',
    '/loki/api/v1/format_query',
    '/api/prom/label',
    '/api/prom/label/app/values',
    '/api/prom/series',
  ]) {
    for (const post of [false, true]) await assertSame({ path, form: { ...RANGE, query: '{app="web"}' }, post });
  }
  const instant = { query: 'sum by (app) (count_over_time({app=~".+"}[1h]))' };
  assert.match((await assertSame({ path: '/loki/api/v1/query', form: instant })).text, /"vector"/);
});

test('errors have the same status and text', async () => {
  const range = (form: Record<string, string>, headers = {}) =>
    assertSame({ path: '/loki/api/v1/query_range', form: { ...RANGE, ...form }, headers });
  assert.equal((await range({ query: '{' })).status, 400);
  assert.equal((await range({ query: '{app=""}' })).status, 400);
  assert.equal((await range({ query: '{app="web"}', limit: '0' })).status, 400);
  assert.equal((await range({ query: '{app="web"}', limit: '9999' })).status, 400);
  assert.equal((await range({ query: '{app="web"}', start: 'x' })).status, 400);
  assert.equal((await range({ query: 'rate({app="web"} | json [5m])', step: '60' })).status, 400);
  assert.equal((await range({ query: 'approx_topk(1, rate({app="web"}[5m]))' })).status, 500);
  assert.equal((await range({ query: 'rate({app=~".+"}[5m]) + on () rate({app=~".+"}[5m])', step: '60' })).status, 500);
  assert.equal((await range({ query: '{app="web"}' }, { 'X-Scope-OrgID': '' })).status, 401);
  limits = { max_query_series: 2 };
  assert.equal((await range({ query: 'rate({app=~".+"}[5m])', step: '60' })).status, 400);
  const drilldown = { 'X-Query-Tags': 'Source=grafana-lokiexplore-app' };
  assert.match(
    (await range({ query: 'rate({app=~".+"}[5m])', step: '60' }, drilldown)).text,
    /returning partial results/,
  );
  for (const limit of [
    { max_query_bytes_read: 3000 },
    { max_querier_bytes_read: 3000 },
    { max_query_length: 60_000 },
    { required_labels: ['cluster'] },
    { blocked_queries: [{ pattern: '.*web.*', regex: true }] },
    { max_query_range: 1000 },
  ] satisfies Partial<Limits>[]) {
    limits = limit;
    assert.equal(
      (await range({ query: 'rate({app="web"} |= "n" [5m])', step: '60' })).status,
      400,
      JSON.stringify(limit),
    );
  }
  limits = { max_query_bytes_read: 3000 };
  assert.match((await range({ query: '{app="web"} |= "n"' })).text, /would read too many bytes/);
  limits = { max_query_lookback: 1000 };
  await range({ query: 'absent_over_time({app="web"}[1m])', end: String(BigInt(NOW_MS - 60_000) * 1_000_000n) });
  limits = {};
  for (const path of [
    '/loki/api/v1/query',
    '/loki/api/v1/series',
    '/loki/api/v1/index/volume',
    '/loki/api/v1/detected_fields',
  ]) {
    assert.equal((await assertSame({ path, form: { query: '{', 'match[]': '{' } })).status, 400, path);
  }
  assert.equal((await assertSame({ path: '/loki/api/v1/query', form: { query: '{app="web"}' } })).status, 400);
  assert.equal((await assertSame({ path: '/loki/api/v1/labels', headers: { 'X-Scope-OrgID': '' } })).status, 401);
  const long = 'x'.repeat(200_000);
  assert.equal((await assertSame({ path: '/loki/api/v1/query', form: { query: long }, post: true })).status, 413);
});

test('a tenant whose queries are switched off is told so', async () => {
  limits = { max_query_parallelism: 0 };
  const form = { ...RANGE, query: '{app="web"}' };
  const { status, text } = await answer(urls.front, { path: '/loki/api/v1/query_range', form });
  limits = {};
  assert.deepEqual([status, text], [429, 'querying is disabled, please contact your Loki operator']);
});

test('a program inside asks for entries as of a querier', async () => {
  const expr = parseQuery('{app="web"} |= "level"') as LogSelectorExpr;
  const endNs = BigInt(NOW_MS) * 1_000_000n;
  const params = { startNs: endNs - 300n * MINUTE_NS, endNs, limit: 150, intervalNs: 0n, periodNs: 0n };
  const context = {
    tenants: { ids: ['a'], federated: false },
    signal: new AbortController().signal,
    partialSeries: false,
  };
  for (const direction of ['forward', 'backward'] as const) {
    const found = await front.frontend.entries(expr, { ...params, direction }, context);
    assert.equal(found.length, 150);
    assert.deepEqual(found, await querier.entries(expr, { ...params, direction }, context));
  }
});

test('an answer says in how many parts it was made and how long they waited', async () => {
  const form = { ...RANGE, query: 'count_over_time({app="web"}[1m])', step: '60' };
  const response = await fetch(`${urls.front}/loki/api/v1/query_range?${new URLSearchParams(form)}`, {
    headers: { 'X-Scope-OrgID': 'a' },
  });
  const { summary } = ((await response.json()) as { data: { stats: { summary: Record<string, number> } } }).data.stats;
  assert.equal(summary['splits'], 8);
  assert.ok(summary['queueTime']! > 0);
  assert.equal(summary['totalLinesProcessed']! > 0, true);
  const metrics = await front.registry.metrics();
  assert.match(metrics, /loki_query_frontend_partitions_bucket\{le="16"\} [1-9]/);
  assert.match(metrics, /loki_query_scheduler_queue_duration_seconds_count [1-9]/);
  assert.match(metrics, /logql_query_duration_seconds_count\{query_type="range"\} [1-9]/);
});
