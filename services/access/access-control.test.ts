import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessTarget } from '../http/index.ts';
import { AccessControl } from './access-control.ts';
import { hashPassword } from './password-hash.ts';
import { readUsers, sha256 } from './users-file.ts';

const hash = await hashPassword('pässword:with colon');
const users = readUsers(
  `users:
  - {name: agent, password_hash: '${hash}', tenants: [shop], permissions: [write]}
  - {name: reader, password: plain, tenants: [shop, bank], permissions: [read]}
  - {name: root, password: all, tenants: '*', permissions: [read, write, admin]}
tokens:
  - {token: t0ken, tenants: [shop], permissions: [read]}
  - {name: ci, token_hash: '${sha256('other').toString('hex').toUpperCase()}', tenants: ['*x'], permissions: [read]}
`,
  'users.yaml',
);
const access = new AccessControl(users, true);

const basic = (name: string, password: string) => `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
const push: AccessTarget = { route: 'loki_api_v1_push', method: 'POST', auth: 'tenant' };
const query: AccessTarget = { route: 'loki_api_v1_query', method: 'GET', auth: 'tenants' };
const isRefused = (status: number) => (error: unknown) =>
  error instanceof Error && 'status' in error && error.status === status;

test('a password or a token names the caller and his tenants', async () => {
  const agent = await access.admit(basic('agent', 'pässword:with colon'), push);
  assert.deepEqual([agent?.onlyTenant, agent?.mayUse('shop'), agent?.mayUse('bank')], ['shop', true, false]);
  const reader = await access.admit(basic('reader', 'plain'), query);
  assert.deepEqual([reader?.onlyTenant, reader?.mayUse('bank'), reader?.mayUse('')], ['', true, false]);
  const root = await access.admit(basic('root', 'all'), push);
  assert.deepEqual([root?.onlyTenant, root?.mayUse('anything')], ['', true]);
  assert.equal((await access.admit('bearer t0ken', query))?.onlyTenant, 'shop');
  assert.equal((await access.admit('Bearer other', query))?.mayUse('*x'), true);
});

test('what is missing, wrong or unreadable is 401, each time', async () => {
  const hopeless = ['', 'Basic', 'Basic !!!', 'Bearer', 'Bearer t0ke', 'Digest x', basic('nobody', 'x'), 'Basic YQ=='];
  for (const header of [...hopeless, basic('agent', 'plain'), basic('reader', ''), basic('reader', 'plain ')]) {
    await assert.rejects(access.admit(header, query), isRefused(401), header);
    await assert.rejects(access.admit(header, query), isRefused(401), header);
  }
});

test('a permission is for what it says alone, and what has none of its own is for administrators', async () => {
  const target = (route: string, method: string, auth: AccessTarget['auth']) => ({ route, method, auth });
  const may = async (header: string, at: AccessTarget) =>
    access.admit(header, at).then(
      () => true,
      (error: unknown) => !isRefused(403)(error) || assert.fail(error as Error),
    );
  const tried: [AccessTarget, string][] = [
    [push, 'agent root'],
    [target('otlp_v1_logs', 'POST', 'none'), 'agent root'],
    [query, 'reader root'],
    [target('loki_api_v1_tail', 'GET', 'tenant'), 'reader root'],
    [target('loki_api_v1_delete', 'GET', 'tenant'), 'reader root'],
    [target('loki_api_v1_delete', 'POST', 'tenant'), 'root'],
    [target('loki_api_v1_status_buildinfo', 'GET', 'none'), 'reader root'],
    [target('flush', 'POST', 'none'), 'root'],
    [target('config', 'GET', 'none'), 'root'],
    [target('something_new', 'GET', 'none'), 'root'],
  ];
  const all = { agent: 'pässword:with colon', reader: 'plain', root: 'all' };
  for (const [at, expected] of tried) {
    const allowed: string[] = [];
    for (const [name, password] of Object.entries(all)) {
      if (await may(basic(name, password), at).catch(() => false)) allowed.push(name);
    }
    assert.equal(allowed.join(' '), expected, at.route);
  }
});

test('readiness is open to all, metrics as configured', async () => {
  const metrics: AccessTarget = { route: 'metrics', method: 'GET', auth: 'none' };
  assert.equal(await access.admit('', { route: 'ready', method: 'GET', auth: 'none' }), undefined);
  assert.equal(await access.admit('', metrics), undefined);
  await assert.rejects(new AccessControl(users, false).admit('', metrics), isRefused(401));
});

test('other users hold from then on, whatever was remembered', async () => {
  const changing = new AccessControl(users, true);
  const header = basic('agent', 'pässword:with colon');
  await changing.admit(header, push);
  await assert.rejects(changing.admit(basic('new', 'one'), push), isRefused(401));
  const underWay = changing.admit(basic('agent', 'wrong'), push);
  changing.replaceUsers(readUsers('users: [{name: new, password: one, tenants: [a], permissions: [write]}]', 'u'));
  await assert.rejects(underWay, isRefused(401));
  await assert.rejects(changing.admit(header, push), isRefused(401));
  assert.equal((await changing.admit(basic('new', 'one'), push))?.onlyTenant, 'a');
});

test('a flood of wrong passwords is bounded', async () => {
  const flooded = new AccessControl(users, true);
  const answers = await Promise.allSettled(
    Array.from({ length: 70 }, (_, index) => flooded.admit(basic('agent', `wrong ${index}`), push)),
  );
  const statuses = answers.map((answer) => (answer.status === 'rejected' ? answer.reason.status : 204));
  assert.equal(statuses.filter((status) => status === 503).length, 4);
  assert.equal(statuses.filter((status) => status === 401).length, 66);
  await flooded.admit(basic('agent', 'pässword:with colon'), push);
});
