import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { linesOf, TestClient, until } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';

const PATH = '/loki/api/v1/delete';
/** Whole seconds, a few minutes ago. */
const T0 = Math.floor(Date.now() / 1000) - 600;

const cwd = await mkdtemp(join(tmpdir(), 'loptr-deletes-'));
let server: TestServer;

function configuration(compactor: Record<string, unknown>): string {
  return JSON.stringify({
    auth_enabled: true,
    limits_config: { discover_service_name: [], discover_log_levels: false },
    runtime_config: { file: 'overrides.yaml' },
    compactor: { retention_enabled: true, delete_request_store: 'filesystem', ...compactor },
    analytics: { reporting_enabled: false },
  });
}

before(async () => {
  await writeFile(join(cwd, 'overrides.yaml'), JSON.stringify({ overrides: { off: { deletion_mode: 'disabled' } } }));
  await writeFile(join(cwd, 'loptr.yaml'), configuration({}));
  server = await TestServer.start({ cwd, args: ['-config.file=loptr.yaml'] });
});

after(async () => {
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
  await rm(cwd, { recursive: true });
});

const clientOf = (tenant: string): TestClient => new TestClient(server.url, tenant);

async function create(tenant: string, params: Record<string, string | number>, method = 'POST'): Promise<string> {
  const { status, text, headers } = await clientOf(tenant).get(PATH, params, { method });
  return status === 204 ? headers.get('x-delete-request-id')! : `${status} ${text}`;
}

interface Listed {
  readonly request_id: string;
  readonly start_time: number;
  readonly end_time: number;
  readonly query: string;
  readonly status: string;
  readonly created_at: number;
  readonly user_id: string;
}

const list = (tenant: string, params: Record<string, string> = {}) => clientOf(tenant).json<Listed[]>(PATH, params);

const push = (tenant: string, app: string, lines: readonly (readonly [second: number, line: string])[]) =>
  clientOf(tenant).mustPush([{ stream: { app }, values: lines.map(([s, line]) => [`${T0 + s}000000000`, line]) }]);

const lines = async (tenant: string, query: string) =>
  linesOf(await clientOf(tenant).range({ query, start: T0 - 60, end: T0 + 599, direction: 'forward' }));

test('requests that make no sense are refused in Loki’s words', async () => {
  const query = '{app="a"}';
  const hour = { query, start: T0 - 7200, end: T0 - 3600 };
  const filtered = { ...hour, query: '{app="a"} |= "x"' };
  const cases: [Record<string, string | number>, string][] = [
    [{}, 'query not set'],
    [{ query: '{app=', start: T0 }, 'invalid query expression'],
    [{ query: 'rate({app="a"}[1m])', start: T0 }, 'invalid query expression'],
    [{ query }, 'start time not set'],
    [{ query, start: `${T0}000000000` }, 'invalid start time: require unix seconds or RFC3339 format'],
    [{ query, start: T0, end: 'yesterday' }, 'invalid end time: require unix seconds or RFC3339 format'],
    [{ query, start: T0, end: T0 + 86_400 }, 'deletes in the future are not allowed'],
    [{ query, start: T0, end: T0 }, "start time can't be greater than or equal to end time"],
    [{ ...filtered, max_interval: '1d' }, "invalid max_interval: valid time units are 's', 'm', 'h'"],
    [{ ...filtered, max_interval: '25h' }, "max_interval can't be greater than 24h0m0s"],
    [{ ...filtered, max_interval: '2h' }, "max_interval can't be greater than the interval to be deleted (1h0m0s)"],
  ];
  for (const [params, text] of cases) assert.equal(await create('errors', params), `400 ${text}\n`);
  assert.equal(
    (await clientOf('errors').send(PATH, { method: 'POST', body: new URLSearchParams({ query }) })).text,
    'query not set\n',
    'parameters are read from the URL only',
  );
  assert.match(await create('errors', { ...hour, max_interval: '2h' }), /^[0-9a-f]{8}$/);
  const unnamed = await new TestClient(server.url).get(PATH);
  assert.deepEqual([unnamed.status, unnamed.text], [401, 'no org id\n']);
  assert.equal(await create('off', hour), '403 deletion is not available for this tenant\n');
});

test('requests are listed by age and by time, and can be taken back', async () => {
  assert.deepEqual((await clientOf('list').get(PATH)).text, '[]\n');
  const first = await create('list', { query: '{app="<a>"}', start: '2026-01-02T03:04:05.25Z', end: T0 }, 'PUT');
  const second = await create('list', { query: '{app="b"}', start: T0 - 50, end: T0 + 1 });
  const all = await list('list');
  assert.deepEqual(
    all.map(({ created_at, ...rest }) => ({ ...rest, isNow: Math.abs(created_at - Date.now() / 1000) < 60 })),
    [
      {
        request_id: first,
        start_time: 1767323045.25,
        end_time: T0,
        query: '{app="<a>"}',
        status: 'received',
        user_id: '',
        isNow: true,
      },
      {
        request_id: second,
        start_time: T0 - 50,
        end_time: T0 + 1,
        query: '{app="b"}',
        status: 'received',
        user_id: '',
        isNow: true,
      },
    ],
  );
  const ids = async (start: number, end: number) =>
    (await list('list', { start: `${start}`, end: `${end}` })).map((one) => one.request_id);
  assert.deepEqual(await ids(T0 - 100, T0 - 90), [first]);
  assert.deepEqual(await ids(T0 + 1, T0 + 5), [second]);
  assert.deepEqual(await list('another'), []);
  const cancel = (params: Record<string, string>) => clientOf('list').get(PATH, params, { method: 'DELETE' });
  const unknown = await cancel({ request_id: 'ffffffff0' });
  assert.deepEqual([unknown.status, unknown.text], [404, 'could not find delete request with given id\n']);
  assert.equal((await cancel({ request_id: first })).status, 204);
  assert.deepEqual(
    (await list('list')).map((one) => one.request_id),
    [second],
  );
  const generation = await clientOf('another').get('/loki/api/v1/cache/generation_numbers');
  assert.equal(generation.text, '""\n');
});

test('deleted lines are hidden at once: in memory and stored, from logs, metrics and tails, in other tenants not', async () => {
  const rows = [0, 1, 2, 3, 4].map((s) => [s, `line ${s}`] as const);
  for (const tenant of ['hide', 'other']) {
    await push(tenant, 'a', rows);
    await push(tenant, 'b', [[2, 'line of b']]);
  }
  assert.match(await create('hide', { query: '{app="a"}', start: T0 + 1, end: T0 + 2 }), /^[0-9a-f]{8}$/);
  assert.match(await create('hide', { query: '{app=~"a|b"} |~ "(4|of b)$"', start: T0 }), /^[0-9a-f]{8}$/);
  for (const place of ['memory', 'store']) {
    assert.deepEqual(await lines('hide', '{app=~".+"}'), ['line 0', 'line 3'], place);
    const counts = { query: 'sum(count_over_time({app=~".+"}[10m]))', time: T0 + 300 };
    assert.equal(await clientOf('hide').number(counts), 2, place);
    assert.equal(await clientOf('other').number(counts), 6, place);
    for (const tenant of ['hide', 'other']) await clientOf(tenant).flush();
  }
  const socket = new WebSocket(
    `${server.url.replace('http', 'ws')}/loki/api/v1/tail?query=${encodeURIComponent('{app="a"}')}&start=${T0}000000000`,
    { headers: { 'X-Scope-OrgID': 'hide' } },
  );
  const seen: string[] = [];
  socket.on('message', (data: Buffer) => {
    for (const { values } of JSON.parse(data.toString()).streams) for (const [, line] of values) seen.push(line);
  });
  await until('history of the tail', () => seen.length >= 2);
  await push('hide', 'a', [
    [5, 'a new line'],
    [6, 'late 4'],
    [7, 'the last'],
  ]);
  await until('live part of the tail', () => seen.includes('the last'));
  socket.close();
  assert.deepEqual(seen, ['line 0', 'line 3', 'a new line', 'the last']);
});

test('a request is carried out, and stays so after a restart', async () => {
  await push('carry', 'a', [
    [0, 'keep'],
    [1, 'drop this'],
    [2, 'drop that'],
  ]);
  await server.stop();
  await writeFile(
    join(cwd, 'loptr.yaml'),
    configuration({ compaction_interval: '50ms', delete_request_cancel_period: '0s', retention_delete_delay: '0s' }),
  );
  server = await TestServer.start({ cwd, args: ['-config.file=loptr.yaml'] });
  const id = await create('carry', { query: '{app="a"} |= "drop"', start: T0 });
  await until('the request is processed', async () => (await list('carry'))[0]?.status === 'processed');
  assert.deepEqual(await lines('carry', '{app="a"}'), ['keep']);
  assert.deepEqual(await lines('hide', '{app="a"}'), ['line 0', 'line 3', 'a new line', 'the last']);
  assert.ok((await clientOf('carry').metric('loki_compactor_deleted_lines', ['user="carry"'])) === 2);
  const late = await clientOf('carry').get(PATH, { request_id: id, force: 'true' }, { method: 'DELETE' });
  assert.deepEqual(
    [late.status, late.text],
    [400, 'deletion of request which is in process or already processed is not allowed\n'],
  );
  await server.stop();
  server = await TestServer.start({ cwd, args: ['-config.file=loptr.yaml'] });
  assert.deepEqual(await lines('carry', '{app="a"}'), ['keep']);
  assert.deepEqual(
    (await list('carry')).map((one) => [one.request_id, one.status]),
    [[id, 'processed']],
  );
  assert.ok((await readdir(join(cwd, 'data', 'chunks', 'index', 'delete_requests'))).includes('carry'));
});

test('retention without a store for delete requests is refused, as in Loki', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'loptr-deletes-'));
  await writeFile(join(directory, 'loptr.yaml'), JSON.stringify({ compactor: { retention_enabled: true } }));
  await assert.rejects(TestServer.start({ cwd: directory, args: ['-config.file=loptr.yaml'] }), {
    message: /invalid compactor config: compactor.delete-request-store should be configured when retention is enabled/,
  });
  await rm(directory, { recursive: true });
});
