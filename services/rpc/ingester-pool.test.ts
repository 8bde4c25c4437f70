import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { type LogFields, silentLogger } from '../../storage/host/logger.ts';
import { ALL_TIME, batchOf, FakeClock, until } from '../ingester/testdata/fixture.ts';
import type { IngesterClient } from './ingester.ts';
import { IngesterPool, type IngesterPoolOptions } from './ingester-pool.ts';
import { RpcError } from './rpc-error.ts';
import { ingesterOf } from './testing/ingester-of.ts';
import { serve } from './testing/served-ingester.ts';

const ASKED = { tenant: 't', matchers: [], ...ALL_TIME };
const BATCH = batchOf('t', { labels: '{app="a"}', rows: [[1n, 'x']] });
const taking: IngesterClient = { ...ingesterOf(async () => []), push: () => Promise.resolve() };
const isUnavailable = (text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof RpcError, String(error));
  assert.equal(error.code, 'unavailable', error.message);
  assert.match(error.message, text);
  return true;
};

function poolOf(t: TestContext, options: Partial<IngesterPoolOptions> = {}) {
  const clock = new FakeClock();
  const logged: string[] = [];
  const note = (text: string, fields?: LogFields) => void logged.push(`${text} ${fields?.['health'] ?? ''}`.trim());
  const registry = new Registry();
  const logger = { ...silentLogger, info: note, warn: note };
  const pool = new IngesterPool({ members: () => [], clock, logger, registry, ...options });
  t.after(() => pool.stop());
  return { pool, clock, logged, registry };
}

describe('the pool of clients', () => {
  it('makes one for each member, and closes those of members that left', async (t) => {
    let members = [
      { id: 'a', address: '127.0.0.1:1' },
      { id: 'b', address: '127.0.0.1:2' },
    ];
    const { pool, clock, registry } = poolOf(t, { members: () => members, periodMs: 15_000 });
    pool.start();
    const a = pool.client('a', '127.0.0.1:1');
    pool.client('b', '127.0.0.1:2');
    assert.equal(pool.client('a', '127.0.0.1:1'), a);
    assert.notEqual(pool.client('a', '127.0.0.1:3'), a, 'it moved');
    const closed: Error[] = [];
    a.tail(
      't',
      [],
      () => {},
      (error) => closed.push(error),
    );
    members = members.slice(1);
    await clock.advance(15_000);
    assert.deepEqual(pool.addresses, ['127.0.0.1:2']);
    assert.equal(closed.length, 1);
    assert.match(await registry.metrics(), /loki_distributor_ingester_clients 1/);
    await pool.stop();
    assert.deepEqual(pool.addresses, []);
  });

  it('spares who does not serve the pushes, and asks him again soon', async (t) => {
    await using served = await serve(taking);
    const { pool, clock, logged } = poolOf(t);
    const client = pool.client('i', served.address);
    served.server.setStatus('NOT_SERVING');
    await client.push(BATCH);
    await clock.advance(15_000);
    await until(() => logged.length === 1, 'the check');
    await assert.rejects(client.push(BATCH), isUnavailable(/ingester i \(127.0.0.1:\d+\) does not serve/));
    assert.deepEqual(await client.recent(ASKED), [], 'what he has can still be read');
    served.server.setStatus('SERVING');
    await until(async () => {
      await clock.advance(1000);
      return logged.length === 2;
    }, 'the next check');
    await client.push(BATCH);
    assert.deepEqual(logged, ['an ingester is left out until it serves not_serving', 'an ingester serves again']);
  });

  it('calls nobody who gives no answer, until he does', async (t) => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { pool, clock, logged } = poolOf(t, { healthTimeoutMs: 20 });
    const client = pool.client('i', `127.0.0.1:${(silent.address() as AddressInfo).port}`);
    await clock.advance(15_000);
    await until(() => logged.length === 1, 'two checks');
    assert.deepEqual(logged, ['an ingester is left out until it serves unreachable']);
    await assert.rejects(client.push(BATCH), isUnavailable(/answers no health check/));
    await assert.rejects(client.recent(ASKED), isUnavailable(/answers no health check/));
    await assert.rejects(client.stats(ASKED), isUnavailable(/answers no health check/));
  });

  it('uses an ingester that was started again without being told', async (t) => {
    const first = await serve(taking);
    const { pool } = poolOf(t, { healthCheck: false });
    const client = pool.client('i', first.address);
    await client.push(BATCH);
    await first[Symbol.asyncDispose]();
    await assert.rejects(client.push(BATCH), isUnavailable(/./));
    await using _second = await serve(taking, {}, {}, { port: Number(first.address.split(':')[1]) });
    await until(
      () =>
        client.push(BATCH).then(
          () => true,
          () => false,
        ),
      'a push to the new process',
    );
  });

  it('uses an ingester at once of which it is told that it has started again', async (t) => {
    const first = await serve(taking);
    const { pool, clock, logged } = poolOf(t, { healthTimeoutMs: 20 });
    const { address } = first;
    const before = pool.client('i', address);
    await before.push(BATCH);
    await first[Symbol.asyncDispose]();
    await clock.advance(15_000);
    await until(() => logged.length === 1, 'two checks');
    await using _second = await serve(taking, {}, {}, { port: Number(address.split(':')[1]) });
    await assert.rejects(pool.client('i', address).push(BATCH), isUnavailable(/answers no health check/));
    pool.renew('i', address);
    await pool.client('i', address).push(BATCH);
    pool.renew('nobody', address);
  });
});

describe('mutual TLS', () => {
  const directory = mkdtempSync(join(tmpdir(), 'loptr-mtls-'));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
  const read = (name: string): Buffer => readFileSync(join(directory, name));
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  /** A CA, and a certificate from it for `ingester.test` that serves for both sides. */
  function makeAuthority(name: string, names = 'DNS:ingester.test') {
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      `${name}-ca.key`,
      '-out',
      `${name}-ca.crt`,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
    );
    const san = ['-addext', `subjectAltName=${names}`];
    openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', '/CN=ingester.test', ...san);
    const signer = ['-CA', `${name}-ca.crt`, '-CAkey', `${name}-ca.key`, '-CAcreateserial', '-copy_extensions', 'copy'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...signer, '-out', `${name}.crt`, '-days', '2');
    return { ca: read(`${name}-ca.crt`), cert: read(`${name}.crt`), key: read(`${name}.key`) };
  }

  it('lets in who has a certificate, and talks to nobody else', async (t) => {
    t.after(() => rmSync(directory, { recursive: true }));
    const own = makeAuthority('own');
    const other = makeAuthority('other');
    await using served = await serve(taking, {}, {}, { tls: { context: own, verifyClients: true } });
    const serverName = 'ingester.test';
    const push = (tls: IngesterPoolOptions['tls']) =>
      poolOf(t, { healthCheck: false, ...(tls && { tls }) })
        .pool.client('i', served.address)
        .push(BATCH);
    await push({ ...own, serverName });
    await push({ cert: own.cert, key: own.key, insecureSkipVerify: true });
    const refused = isUnavailable(/./);
    await assert.rejects(push({ ca: own.ca, serverName }), refused, 'no certificate');
    await assert.rejects(push({ ...other, ca: own.ca, serverName }), refused, 'one of another authority');
    await assert.rejects(
      push({ ...own, ca: other.ca, serverName }),
      refused,
      'the server has one of another authority',
    );
    await assert.rejects(push({ ...own, serverName: 'other.test' }), refused, 'another name');
    await assert.rejects(push({ ...own }), refused, 'the address is not in the certificate');
    await assert.rejects(push(undefined), refused, 'plain text');

    const numbered = makeAuthority('numbered', 'IP:127.0.0.1');
    await using byAddress = await serve(
      taking,
      { tls: numbered },
      {},
      { tls: { context: numbered, verifyClients: true } },
    );
    await byAddress.remote.push(BATCH);

    const { pool } = poolOf(t, { healthCheck: false, tls: { ...other, serverName } });
    await assert.rejects(pool.client('i', served.address).push(BATCH), refused);
    assert.throws(() => pool.replaceTls({ cert: own.cert, key: other.key }), /key/);
    pool.replaceTls({ ...own, serverName });
    await pool.client('i', served.address).push(BATCH);
  });
});
