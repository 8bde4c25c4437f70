import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type RingMember, ringRoutes } from './ring-routes.ts';
import { HttpServer } from './server.ts';
import { serverOptions } from './testing/server-options.ts';

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const member = (id: string, rest: Partial<RingMember> = {}): RingMember => ({
  id,
  state: 'ACTIVE',
  address: `${id}:9095`,
  zone: 'zone-a',
  healthy: true,
  registeredAtMs: NOW_MS - 86_400_000,
  heartbeatAtMs: NOW_MS - 2500,
  ...rest,
});
let members: RingMember[] = [];
const full = {
  members: async () => members,
  nowMs: () => NOW_MS,
  shares: () => new Map([['one', 1 / 3]]),
  forget: async (id: string): Promise<void> => {
    if (id === 'stuck') throw new Error('etcd is away');
    members = members.filter((other) => other.id !== id);
  },
};
const server = new HttpServer(
  serverOptions({
    routes: [...ringRoutes(full), ...ringRoutes({ ...plain(), paths: ['/compactor/ring'] })],
  }),
);
let base = '';
before(async () => {
  base = `http://127.0.0.1:${await server.start()}`;
});
after(() => server.stop(AbortSignal.abort()));

function plain() {
  return { members: () => members, nowMs: () => NOW_MS };
}

const post = (path: string, id: string) =>
  fetch(base + path, { method: 'POST', body: new URLSearchParams({ forget: id }), redirect: 'manual' });
const rowsOf = (html: string): string[][] =>
  [...html.matchAll(/<tr>(.*?)<\/tr>/g)].map(([, row]) =>
    [...row!.matchAll(/<t[dh]>(.*?)<\/t[dh]>/g)].map((m) => m[1]!),
  );

test('the page shows every member with its state, age and share', async () => {
  members = [member('one'), member('<two>', { zone: '', healthy: false, heartbeatAtMs: 0 })];
  const response = await fetch(`${base}/ring`);
  assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
  const forget = (id: string) => `<button name="forget" value="${id}" type="submit">Forget</button>`;
  const since = '2026-01-01T03:04:05.000Z';
  assert.deepEqual(rowsOf(await response.text()), [
    [
      ...['Instance ID', 'Availability Zone', 'State', 'Address', 'Registered At'],
      ...['Last Heartbeat', 'Ownership', 'Actions'],
    ],
    ['one', 'zone-a', 'ACTIVE', 'one:9095', since, '2.5s ago (03:04:02.500)', '33.33%', forget('one')],
    ['&lt;two&gt;', '', 'UNHEALTHY', '&lt;two&gt;:9095', since, '', '0%', forget('&lt;two&gt;')],
  ]);
});

test('programs get the same as JSON', async () => {
  members = [member('one')];
  const headers = { Accept: 'application/json' };
  const shard = {
    id: 'one',
    state: 'ACTIVE',
    address: 'one:9095',
    timestamp: '2026-01-02T03:04:02.500Z',
    registered_timestamp: '2026-01-01T03:04:05.000Z',
    read_only: false,
    zone: 'zone-a',
    tokens: [],
  };
  const now = '2026-01-02T03:04:05.000Z';
  const ask = async (path: string) => (await fetch(base + path, { headers })).json();
  assert.deepEqual(await ask('/distributor/ring'), { shards: [{ ...shard, ownership: '33.33%' }], now });
  assert.deepEqual(await ask('/compactor/ring'), { shards: [shard], now });
});

test('the button forgets a member and shows the page again', async () => {
  members = [member('one'), member('two')];
  const response = await post('/ring', 'two');
  assert.deepEqual([response.status, response.headers.get('location')], [302, '#']);
  assert.deepEqual(
    members.map(({ id }) => id),
    ['one'],
  );
  assert.equal((await post('/ring', '')).status, 302);
  assert.equal(members.length, 1);
});

test('a member that cannot be forgotten is told with the reason', async () => {
  const response = await post('/ring', 'stuck');
  assert.equal(response.status, 500);
  assert.equal(await response.text(), "error forgetting instance 'stuck': etcd is away\n");
});

test('where nobody can be forgotten there is no button, and a POST is refused', async () => {
  members = [member('one')];
  assert.doesNotMatch(await (await fetch(`${base}/compactor/ring`)).text(), /Forget/);
  assert.equal((await post('/compactor/ring', 'one')).status, 405);
  assert.equal(members.length, 1);
});
