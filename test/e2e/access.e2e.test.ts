import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { WebSocket } from 'ws';
import { nowNs, until } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';

const main = join(import.meta.dirname, '..', '..', 'services', 'main.ts');
const cwd = mkdtempSync(join(tmpdir(), 'loptr-access-'));

/** A certificate that signs itself, for a moment of this test: `name.crt` and `name.key`. */
function makeCertificate(name: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
  execFileSync('openssl', ['req', '-x509', ...key, '-out', `${name}.crt`, '-days', '2', ...subject], {
    cwd,
    stdio: 'ignore',
  });
}
const read = (name: string): Buffer => readFileSync(join(cwd, name));

function hashOf(password: string): string {
  const { stdout } = spawnSync(process.execPath, [main, '-hash-password'], {
    input: `${password}\n`,
    encoding: 'utf8',
  });
  return stdout.trim();
}
const agentHash = hashOf('pushes');
function writeUsers(more = ''): void {
  const lines = [
    'users:',
    `  - {name: agent, password_hash: '${agentHash}', tenants: [shop], permissions: [write]}`,
    '  - {name: reader, password: reads, tenants: [shop, bank], permissions: [read]}',
    "  - {name: root, password: rules, tenants: '*', permissions: [admin]}",
    'tokens:',
    '  - {token: t0ken, tenants: [shop], permissions: [read, write]}',
  ];
  writeFileSync(join(cwd, 'users.yaml'), `${lines.join('\n')}\n${more}`);
}

interface Asked {
  readonly user?: string;
  readonly tenant?: string;
  readonly method?: string;
  readonly body?: string;
  readonly client?: string;
}
interface Answered {
  readonly status: number;
  readonly text: string;
  readonly challenge: string | undefined;
  readonly servedBy: string;
}

let server: TestServer;
const headersOf = ({ user, tenant }: Asked): Record<string, string> => ({
  ...(user === undefined
    ? {}
    : { Authorization: user.includes(':') ? `Basic ${Buffer.from(user).toString('base64')}` : `Bearer ${user}` }),
  ...(tenant !== undefined && { 'X-Scope-OrgID': tenant }),
});

/** One request on a connection of its own. */
function ask(path: string, asked: Asked = {}, to = server): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const sent = request(
    `https://127.0.0.1:${to.ports.http}${path}`,
    {
      agent: false,
      rejectUnauthorized: false,
      method: asked.method ?? 'GET',
      headers: { ...headersOf(asked), 'Content-Type': 'application/json' },
      ...(asked.client && { cert: read(`${asked.client}.crt`), key: read(`${asked.client}.key`) }),
    },
    (response) => {
      const servedBy = (response.socket as TLSSocket).getPeerCertificate().subject.CN as string;
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode!, text, challenge: response.headers['www-authenticate'], servedBy });
      });
    },
  );
  sent.on('error', reject);
  sent.end(asked.body);
  return promise;
}

const pushBody = (line: string) =>
  JSON.stringify({ streams: [{ stream: { app: 'a' }, values: [[String(nowNs()), line]] }] });
const push = (asked: Asked, line = 'x') => ask('/loki/api/v1/push', { ...asked, method: 'POST', body: pushBody(line) });
const LABELS = '/loki/api/v1/labels';

const start = (args: readonly string[]) =>
  TestServer.start({ cwd, args: ['-auth.enabled=true', '-access.reload-period=100ms', ...args], scheme: 'https' });

before(async () => {
  for (const name of ['first', 'second', 'friend', 'stranger']) makeCertificate(name);
  for (const end of ['crt', 'key']) writeFileSync(join(cwd, `served.${end}`), read(`first.${end}`));
  writeUsers();
  server = await start([
    '-access.users-file=users.yaml',
    '-server.http-tls-cert-path=served.crt',
    '-server.http-tls-key-path=served.key',
    '-server.grpc-tls-cert-path=served.crt',
    '-server.grpc-tls-key-path=served.key',
  ]);
});
after(async () => {
  await server.stop();
  rmSync(cwd, { recursive: true });
});

test('who has no name is asked for one, except where everybody may look', async () => {
  for (const user of [undefined, 'agent:wrong', 'nobody:pushes', 'wrongtoken']) {
    const asked = user === undefined ? {} : { user };
    const { status, challenge, text } = await ask(LABELS, { ...asked, tenant: 'shop' });
    assert.deepEqual([status, challenge], [401, 'Basic realm="loptr"']);
    assert.match(text, /missing or wrong credentials/);
    assert.equal((await push({ ...asked, tenant: 'shop' })).status, 401);
    assert.equal((await ask('/flush', { ...asked, method: 'POST' })).status, 401);
  }
  assert.equal((await ask('/ready')).status, 200);
  assert.equal((await ask('/metrics')).status, 200);
});

test('a permission opens its routes, for its tenants, and no others', async () => {
  assert.equal((await push({ user: 'agent:pushes' })).status, 204);
  assert.equal((await push({ user: 'agent:pushes', tenant: 'shop' })).status, 204);
  assert.equal((await push({ user: 't0ken' })).status, 204);
  assert.equal((await push({ user: 'agent:pushes', tenant: 'bank' })).status, 403);
  assert.equal((await push({ user: 'reader:reads', tenant: 'shop' })).status, 403);
  assert.equal((await ask(LABELS, { user: 'agent:pushes' })).status, 403);
  assert.equal((await ask(LABELS, { user: 'root:rules', tenant: 'shop' })).status, 403);
  assert.match((await ask(LABELS, { user: 'reader:reads', tenant: 'shop' })).text, /"app"/);
  assert.equal((await ask(LABELS, { user: 'reader:reads', tenant: 'bank' })).status, 200);
  assert.match((await ask(LABELS, { user: 'reader:reads', tenant: 'other' })).text, /^tenant other is not open/);
  assert.deepEqual((await ask(LABELS, { user: 'reader:reads' })).text, 'no org id\n');
  for (const path of ['/config', '/services', '/flush', '/ring', '/runtime_config']) {
    assert.equal((await ask(path, { user: 'reader:reads' })).status, 403, path);
  }
  const { status, text } = await ask('/config', { user: 'root:rules' });
  assert.equal(status, 200);
  assert.doesNotMatch(text, /t0ken|\$scrypt/);
  assert.equal((await ask('/otlp/v1/logs', { user: 'reader:reads', tenant: 'shop', method: 'POST' })).status, 403);
});

test('a tail over TLS asks for the same', async () => {
  const open = (asked: Asked): Promise<WebSocket> => {
    const address = `wss://127.0.0.1:${server.ports.http}/loki/api/v1/tail?query=${encodeURIComponent('{app="a"}')}`;
    const socket = new WebSocket(address, { rejectUnauthorized: false, headers: headersOf(asked) });
    return new Promise((resolve, reject) => socket.once('open', () => resolve(socket)).once('error', reject));
  };
  await assert.rejects(open({ tenant: 'shop' }), /401/);
  await assert.rejects(open({ user: 'agent:pushes' }), /403/);
  await assert.rejects(open({ user: 'reader:reads', tenant: 'other' }), /403/);
  const socket = await open({ user: 'reader:reads', tenant: 'shop' });
  let received = '';
  socket.on('message', (data: Buffer) => {
    received += data.toString();
  });
  await push({ user: 'agent:pushes' }, 'for the tail');
  await until('the line', () => received.includes('for the tail'));
  socket.terminate();
});

/** The code that an empty push over gRPC ends with; 14 when there is no connection. */
async function pushOverGrpc(asked: Asked, trusted = 'first', to = server): Promise<number> {
  const own = asked.client === undefined ? [] : [read(`${asked.client}.key`), read(`${asked.client}.crt`)];
  // By name: grpc-js cannot ask for TLS of an address.
  const client = new Client(`localhost:${to.ports.grpc}`, credentials.createSsl(read(`${trusted}.crt`), ...own));
  const same = (bytes: Buffer): Buffer => bytes;
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headersOf(asked))) metadata.set(name, value);
  try {
    return await new Promise((resolve) => {
      const done = (error: ServiceError | null) => resolve(error?.code ?? 0);
      client.makeUnaryRequest('/logproto.Pusher/Push', same, same, Buffer.alloc(0), metadata, done);
    });
  } finally {
    client.close();
  }
}
const NO_CONNECTION = 14;
const EMPTY_PUSH = 422;

test('gRPC takes no way around it', async () => {
  assert.equal(await pushOverGrpc({ tenant: 'shop' }), 401);
  assert.equal(await pushOverGrpc({ user: 'reader:reads', tenant: 'shop' }), 403);
  assert.equal(await pushOverGrpc({ user: 'agent:pushes', tenant: 'bank' }), 403);
  assert.equal(await pushOverGrpc({ user: 'agent:pushes' }), EMPTY_PUSH);
  assert.equal(await pushOverGrpc({ user: 'agent:pushes' }, 'second'), NO_CONNECTION);
});

test('another certificate and other users are taken while the program runs', async () => {
  assert.equal((await ask('/ready')).servedBy, 'first');
  // A key that is not its own in between leaves what is served.
  writeFileSync(join(cwd, 'served.crt'), read('second.crt'));
  await until('the mistake is told', () => /served\.key: not the key of the certificate/.test(server.log));
  assert.equal((await ask('/ready')).servedBy, 'first');
  writeFileSync(join(cwd, 'served.key'), read('second.key'));
  await until('the second certificate', async () => (await ask('/ready')).servedBy === 'second');
  await until('the same over gRPC', async () => (await pushOverGrpc({}, 'second')) === 401);

  assert.equal((await push({ user: 'late' })).status, 401);
  writeUsers('  - {token: late, tenants: [shop], permissions: [write]}\n');
  await until('the new token', async () => (await push({ user: 'late' })).status === 204);
  assert.doesNotMatch(server.log, /pushes|rules\b|t0ken|\$scrypt/);
});

test('clients show a certificate where that is asked for', async () => {
  const files = ['-server.http-tls-cert-path=first.crt', '-server.http-tls-key-path=first.key'];
  const ca = '-server.http-tls-ca-path=friend.crt';
  const refuses = async (running: TestServer, client?: string): Promise<boolean> =>
    ask('/ready', client === undefined ? {} : { client }, running).then(
      ({ status }) => status !== 200,
      () => true,
    );
  const outcomes: Record<string, readonly boolean[]> = {};
  for (const [clientAuth, more] of [
    ['RequestClientCert', []],
    ['RequireAnyClientCert', []],
    ['VerifyClientCertIfGiven', [ca]],
    [
      'RequireAndVerifyClientCert',
      [
        ca,
        ...[...files, ca, '-server.http-tls-client-auth=RequireAndVerifyClientCert'].map((arg) =>
          arg.replace('http', 'grpc'),
        ),
      ],
    ],
  ] as const) {
    await using running = await TestServer.start({
      cwd: mkdtempSync(join(cwd, 'mutual-')),
      args: [...files, ...more, `-server.http-tls-client-auth=${clientAuth}`].map((arg) =>
        arg.replace(/=(\w+\.(?:crt|key))$/, `=${cwd}/$1`),
      ),
      scheme: 'https',
      identity: { cert: read('friend.crt'), key: read('friend.key') },
    });
    if (clientAuth === 'RequireAndVerifyClientCert') {
      const over = (client?: string) => pushOverGrpc({ tenant: 'a', ...(client && { client }) }, 'first', running);
      assert.deepEqual(
        [await over(), await over('stranger'), await over('friend')],
        [NO_CONNECTION, NO_CONNECTION, EMPTY_PUSH],
      );
    }
    outcomes[clientAuth] = [
      await refuses(running),
      await refuses(running, 'stranger'),
      await refuses(running, 'friend'),
    ];
  }
  assert.deepEqual(outcomes, {
    RequestClientCert: [false, false, false],
    RequireAnyClientCert: [true, false, false],
    VerifyClientCertIfGiven: [false, true, false],
    RequireAndVerifyClientCert: [true, true, false],
  });
});

test('a file that is missing or wrong ends the start with its name', () => {
  const endOf = (...args: string[]) => {
    const ports = ['-server.http-listen-port=0', '-server.grpc-listen-port=0', '-common.path-prefix=failing'];
    const { status, stderr } = spawnSync(process.execPath, [main, ...ports, ...args], { cwd, encoding: 'utf8' });
    assert.equal(status, 1, stderr);
    return stderr;
  };
  const tls = (cert: string, key: string) => [`-server.http-tls-cert-path=${cert}`, `-server.http-tls-key-path=${key}`];
  assert.match(endOf(...tls('none.crt', 'first.key')), /ENOENT.*none\.crt/);
  assert.match(endOf(...tls('users.yaml', 'first.key')), /users\.yaml: not a certificate in PEM/);
  assert.match(endOf(...tls('first.crt', 'first.crt')), /first\.crt: not a private key in PEM/);
  assert.match(endOf(...tls('first.crt', 'second.key')), /second\.key: not the key of the certificate in first\.crt/);
  assert.match(endOf('-access.users-file=first.crt'), /first\.crt/);
});
