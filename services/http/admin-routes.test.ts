import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Registry } from 'prom-client';
import { parse } from 'yaml';
import { loadConfig } from '../config/index.ts';
import { defaultLimits } from '../config/limits.ts';
import { type AdminOptions, adminRoutes } from './admin-routes.ts';
import { type IngesterControl, ingesterRoutes } from './ingester-routes.ts';
import { type RingMember, ringRoutes } from './ring-routes.ts';
import { HttpServer } from './server.ts';
import { serverOptions } from './testing/server-options.ts';
import type { HttpRequest } from './types.ts';

const { config } = loadConfig(['-server.http-listen-port=1234'], { fileExists: () => false });
const state = { notReady: undefined as string | undefined, level: 'info', marked: false, calls: [] as string[] };
const registry = new Registry();
const admin: AdminOptions = {
  config,
  limits: { for: (tenant) => ({ ...defaultLimits, max_query_series: tenant === 'big' ? 7 : 500 }) },
  overrides: () => new Map([['big', { ...config.limits_config, max_query_series: 7 }]]),
  version: { version: '1.2.3', revision: 'abc' },
  registry,
  logLevel: { levels: ['debug', 'info'], get: () => state.level, set: (level) => (state.level = level) },
  notReady: () => state.notReady,
  services: () => new Map([['server', 'Running']]),
};
const ingester: IngesterControl = {
  flush: async () => void state.calls.push('flush'),
  isShutdownPrepared: async () => state.marked,
  prepareShutdown: async (prepared) => void (state.marked = prepared),
  shutdown: async (flush) => void state.calls.push(`shutdown ${flush}`),
  isStopping: () => state.calls.some((call) => call.startsWith('shutdown')),
  terminate: () => void state.calls.push('terminate'),
};
const member: RingMember = {
  id: 'one<>',
  state: 'ACTIVE',
  address: 'host:9095',
  zone: '',
  healthy: true,
  registeredAtMs: 0,
  heartbeatAtMs: 1000,
};
const server = new HttpServer(
  serverOptions({
    routes: [
      ...adminRoutes(admin),
      ...ingesterRoutes(ingester),
      ...ringRoutes({ members: () => [member, { ...member, id: 'two', healthy: false }], nowMs: () => 2000 }),
    ],
    registry,
  }),
);
let base = '';
before(async () => {
  base = `http://127.0.0.1:${await server.start()}`;
});
after(() => server.stop(AbortSignal.abort()));

const ask = (path: string, init: RequestInit = {}) => fetch(base + path, init);
const answer = async (path: string, init: RequestInit = {}) => {
  const response = await ask(path, init);
  return [response.status, await response.text()];
};

test('/ready says ready, or why not', async () => {
  assert.deepEqual(await answer('/ready'), [200, 'ready\n']);
  state.notReady = 'Application is stopping';
  assert.deepEqual(await answer('/ready'), [503, 'Application is stopping\n']);
  assert.deepEqual(await answer('/services'), [200, 'server => Running\n']);
});

test('/config shows what holds, the defaults, or what differs from them', async () => {
  const shown = async (mode: string) => parse(String((await answer(`/config${mode}`))[1]));
  assert.equal((await shown('')).server.http_listen_port, 1234);
  assert.equal((await shown('?mode=defaults')).server.http_listen_port, 3100);
  assert.deepEqual(await shown('?mode=diff'), { auth_enabled: false, server: { http_listen_port: 1234 } });
  assert.equal((await ask('/config?mode=x')).status, 400);
});

test('/log_level tells and changes the level', async () => {
  assert.deepEqual(await (await ask('/log_level')).json(), { message: 'Current log level is info' });
  assert.deepEqual(await (await ask('/log_level?log_level=debug', { method: 'POST' })).json(), {
    status: 'success',
    message: 'Log level set to debug',
  });
  assert.equal(state.level, 'debug');
  const bad = await ask('/log_level', { method: 'POST', body: new URLSearchParams({ log_level: 'zz' }) });
  assert.equal(bad.status, 400);
  assert.deepEqual(await bad.json(), { status: 'failed', message: 'unrecognized log level "zz"' });
});

test('limits are shown to their tenant, and only those that are published', async () => {
  assert.deepEqual(await answer('/loki/api/v1/drilldown-limits'), [401, 'no org id\n']);
  const headers = { 'X-Scope-OrgID': 'big' };
  const drilldown = (await (await ask('/loki/api/v1/drilldown-limits', { headers })).json()) as {
    limits: Record<string, unknown>;
    version: string;
  };
  assert.equal(drilldown.limits['max_query_series'], 7);
  assert.deepEqual(Object.keys(drilldown.limits).sort(), [...config.tenant_limits_allow_publish].sort());
  assert.equal(drilldown.version, '1.2.3');
  const yaml = parse(String((await answer('/config/tenant/v1/limits', { headers }))[1]));
  assert.deepEqual(yaml, drilldown.limits);
});

test('build information and metrics are there for everybody', async () => {
  const info = (await (await ask('/loki/api/v1/status/buildinfo')).json()) as Record<string, unknown>;
  assert.deepEqual([info['version'], info['revision']], ['1.2.3', 'abc']);
  const metrics = await ask('/metrics');
  assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.match(await metrics.text(), /loki_request_duration_seconds_bucket/);
});

test('the ring is a page for people and JSON for programs', async () => {
  const json = (await (await ask('/ring', { headers: { Accept: 'application/json' } })).json()) as {
    shards: { id: string; state: string }[];
  };
  assert.deepEqual(
    json.shards.map((shard) => [shard.id, shard.state]),
    [
      ['one<>', 'ACTIVE'],
      ['two', 'UNHEALTHY'],
    ],
  );
  assert.match(String((await answer('/ring'))[1]), /<td>one&lt;&gt;<\/td>/);
});

test('the ingester is flushed, marked and shut down over HTTP', async () => {
  assert.equal((await ask('/flush', { method: 'POST' })).status, 204);
  const path = '/ingester/prepare_shutdown';
  assert.deepEqual(await answer(path), [200, 'unset']);
  assert.equal((await ask(path, { method: 'POST' })).status, 204);
  assert.deepEqual(await answer(path), [200, 'set']);
  assert.equal((await ask(path, { method: 'DELETE' })).status, 204);
  assert.deepEqual(await answer(path), [200, 'unset']);
  assert.equal((await ask('/ingester/shutdown?flush=false&terminate=true', { method: 'POST' })).status, 204);
  while (!state.calls.includes('terminate')) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(state.calls, ['flush', 'shutdown false', 'terminate']);
  assert.deepEqual(await answer('/ingester/shutdown', { method: 'POST' }), [
    503,
    'Ingester is stopping or already stopped.\n',
  ]);
});

test('the runtime configuration shows tenants with limits of their own, whole or what differs', async () => {
  const whole = await (await ask('/runtime_config')).text();
  assert.match(whole, /^overrides:\n {2}big:\n {4}ingestion_rate_strategy: global\n/);
  assert.match(whole, /\n {4}max_query_series: 7\n/);
  const diff = await ask('/runtime_config?mode=diff');
  assert.equal(await diff.text(), 'overrides:\n  big:\n    max_query_series: 7\n');
  assert.equal((await ask('/runtime_config?mode=all')).status, 400);
});

test('a flush that takes too long is answered, and goes on', async () => {
  const { promise } = Promise.withResolvers<void>();
  const control = { flush: () => promise } as unknown as IngesterControl;
  const route = ingesterRoutes(control, 1).find((r) => r.path === '/flush')!;
  await assert.rejects(async () => route.handler({} as HttpRequest), { status: 503 });
});
