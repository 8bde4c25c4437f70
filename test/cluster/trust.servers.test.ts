import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { nowNs, TestClient, until } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';
import { freePorts } from '../servers/daemon.ts';
import { Backends, Cluster } from './cluster.ts';
import { NumberedLines } from './numbered-lines.ts';

const NO_CONNECTION = 14;
let backends: Backends;
let directory: string;

before(async () => {
  backends = await Backends.start();
  directory = await mkdtemp(join(backends.directory, 'trust-'));
});
after(() => backends?.stop());

const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: directory });
const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const file = (name: string): string => join(directory, name);

/** `name.crt` and `name.key`, which vouches for others. */
async function makeAuthority(name: string): Promise<void> {
  const files = ['-keyout', `${name}.key`, '-out', `${name}.crt`];
  await openssl('req', '-x509', ...EC_KEY, ...files, '-days', '2', '-subj', `/CN=${name}`);
}

/** A certificate for 127.0.0.1 that `authority` vouches for. */
async function makeCertificate(name: string, authority: string): Promise<void> {
  await openssl('req', ...EC_KEY, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
  await writeFile(file(`${name}.ext`), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  const signer = ['-CA', `${authority}.crt`, '-CAkey', `${authority}.key`, '-CAcreateserial'];
  const files = ['-in', `${name}.csr`, '-out', `${name}.crt`, '-extfile', `${name}.ext`];
  await openssl('x509', '-req', ...files, ...signer, '-days', '2');
}

describe('a cluster whose members know each other by certificates, and its users by tokens', () => {
  let cluster: Cluster;
  before(async () => {
    await makeAuthority('authority');
    await makeAuthority('other-authority');
    await makeCertificate('member', 'authority');
    await makeCertificate('stranger', 'other-authority');
    await writeFile(
      file('users.yaml'),
      [
        'tokens:',
        '  - {token: shop-writes, tenants: [shop], permissions: [write]}',
        '  - {token: shop-reads, tenants: [shop], permissions: [read]}',
        '  - {token: bank, tenants: [bank], permissions: [read, write]}',
        '',
      ].join('\n'),
    );
    const client = {
      tls_enabled: true,
      tls_ca_path: file('authority.crt'),
      tls_cert_path: file('member.crt'),
      tls_key_path: file('member.key'),
    };
    cluster = await Cluster.start(backends, {
      replicationFactor: 2,
      config: {
        access: { users_file: file('users.yaml'), reload_period: '200ms' },
        server: {
          grpc_tls_config: {
            cert_file: file('member.crt'),
            key_file: file('member.key'),
            client_ca_file: file('authority.crt'),
            client_auth_type: 'RequireAndVerifyClientCert',
          },
        },
        ingester_client: { grpc_client_config: client },
        frontend_worker: { grpc_client_config: client },
      },
      members: [
        ['ingester-1', 'ingester'],
        ['ingester-2', 'ingester'],
        ['distributor-1', 'distributor'],
        ['frontend-1', 'query-frontend'],
        ['querier-1', 'querier'],
        ['backend-1', 'backend'],
      ],
    });
  });
  after(() => cluster?.kill());
  const at = (name: string, tenant: string, token?: string) => new TestClient(cluster.url(name), tenant, token);

  it('takes, keeps and finds lines', async () => {
    const lines = new NumberedLines('trusted');
    await lines.push(at('distributor-1', 'shop', 'shop-writes'));
    await lines.check(at('frontend-1', 'shop', 'shop-reads'));
  });

  /** The code that a call ends with; 14 when there is no connection. */
  async function callIngester(own?: string): Promise<number> {
    const identity =
      own === undefined ? [] : await Promise.all([readFile(file(`${own}.key`)), readFile(file(`${own}.crt`))]);
    const security = credentials.createSsl(await readFile(file('authority.crt')), ...identity);
    const client = new Client(cluster.grpc('ingester-1').replace('127.0.0.1', 'localhost'), security);
    const same = (bytes: Buffer): Buffer => bytes;
    try {
      return await new Promise((resolve) => {
        const done = (error: ServiceError | null) => resolve(error?.code ?? 0);
        client.makeUnaryRequest('/loptr.Ingester/Stats', same, same, Buffer.alloc(0), new Metadata(), done);
      });
    } finally {
      client.close();
    }
  }

  it('talks gRPC to nobody without a certificate that the authority signed', async () => {
    assert.equal(await callIngester(), NO_CONNECTION);
    assert.equal(await callIngester('stranger'), NO_CONNECTION);
    assert.notEqual(await callIngester('member'), NO_CONNECTION);
  });

  it('keeps users of one tenant from another, at every door', async () => {
    const stream = [{ stream: { app: 'a' }, values: [[String(nowNs()), 'x']] as const }];
    const pushed = async (tenant: string, token?: string) =>
      (await at('distributor-1', tenant, token).push(stream)).status;
    assert.equal(await pushed('shop'), 401);
    assert.equal(await pushed('shop', 'shop-reads'), 403);
    assert.equal(await pushed('bank', 'shop-writes'), 403);
    assert.equal(await pushed('bank', 'bank'), 204);
    for (const name of ['frontend-1', 'querier-1']) {
      for (const path of ['/loki/api/v1/query_range', '/loki/api/v1/labels', '/loki/api/v1/series']) {
        const asked = async (tenant: string, token?: string) =>
          (await at(name, tenant, token).get(path, { query: '{app="a"}', 'match[]': '{app="a"}' })).status;
        assert.deepEqual(
          [await asked('bank'), await asked('bank', 'shop-reads'), await asked('shop', 'shop-writes')],
          [401, 403, 403],
          `${name}${path}`,
        );
        assert.equal(await asked('bank', 'bank'), 200, `${name}${path}`);
      }
    }
    assert.equal((await at('ingester-1', 'shop', 'shop-writes').send('/flush', { method: 'POST' })).status, 403);
    assert.equal((await at('ingester-1', 'shop').send('/ingester/shutdown', { method: 'POST' })).status, 401);
    assert.equal((await at('distributor-1', 'shop').send('/ring', { method: 'POST' })).status, 401);
  });

  it('goes on with other certificates of another authority, put in place while it runs', async () => {
    await makeAuthority('next-authority');
    await makeCertificate('next-member', 'next-authority');
    const replace = async (name: string, ...parts: string[]): Promise<void> => {
      const contents = await Promise.all(parts.map((part) => readFile(file(part))));
      const times = (member: string) => cluster.log(member).split('files were read again').length;
      const before = cluster.names().map(times);
      await writeFile(file(name), Buffer.concat(contents));
      if (name.endsWith('.crt') && parts[0] === 'next-member.crt') return; // the key is still another one's
      await until(`${name} is read`, () => cluster.names().every((member, i) => times(member) > before[i]!));
    };
    const lines = new NumberedLines('renewed');
    const check = async (): Promise<void> => {
      await lines.push(at('distributor-1', 'shop', 'shop-writes'));
      await lines.check(at('frontend-1', 'shop', 'shop-reads'));
    };
    await copyFile(file('authority.crt'), file('first-authority.crt'));
    await replace('authority.crt', 'first-authority.crt', 'next-authority.crt');
    await check();
    await replace('member.crt', 'next-member.crt');
    await replace('member.key', 'next-member.key');
    await check();
    await replace('authority.crt', 'next-authority.crt');
    await check();
    for (const name of ['ingester-1', 'frontend-1']) {
      await cluster.end(name, 'SIGTERM');
      await cluster.restart(name);
    }
    await check();
  });
});

describe('a process that cannot reach what it needs', () => {
  /** What it says before it ends. */
  async function failureOf(...args: string[]): Promise<string> {
    const cwd = await mkdtemp(join(directory, 'alone-'));
    const started = TestServer.start({
      cwd,
      args: [
        '-common.path-prefix=.',
        '-common.storage.ring.store=etcd',
        '-common.storage.ring.instance-id=alone',
        ...args,
      ],
    });
    const server = await started.catch((error: Error) => error);
    if (server instanceof Error) return server.message;
    await server[Symbol.asyncDispose]();
    throw new Error('it has started');
  }

  for (const target of ['all', 'distributor', 'query-frontend']) {
    it(`says that etcd is away and ends: ${target}`, async () => {
      const [port] = await freePorts(1);
      const text = await failureOf(
        `-target=${target}`,
        `-common.storage.ring.etcd.endpoints=http://127.0.0.1:${port}`,
        '-common.storage.ring.etcd.dial-timeout=1s',
      );
      assert.match(text, /"code":1,/);
      assert.match(text, /level=error .*msg="cannot start" err="etcd cannot be reached for the ring [^"]*ECONNREFUSED/);
    });
  }

  const withS3At = async (target: string, endpoint: string): Promise<string> => {
    await writeFile(
      file('schema.yaml'),
      'schema_config: {configs: [{from: 2020-10-24, store: tsdb, object_store: s3, schema: v13}]}\n',
    );
    return failureOf(
      `-target=${target}`,
      `-config.file=${file('schema.yaml')}`,
      `-common.storage.ring.etcd.endpoints=http://127.0.0.1:${backends.etcdPort}`,
      `-common.storage.s3.endpoint=${endpoint}`,
      '-common.storage.s3.force-path-style',
      '-common.storage.s3.buckets=b',
      '-common.storage.s3.region=r',
      '-common.storage.s3.access-key-id=a',
      '-common.storage.s3.secret-access-key=s',
      '-compactor.retention-enabled',
      '-compactor.delete-request-store=s3',
    );
  };

  for (const target of ['querier', 'query-frontend', 'backend']) {
    it(`says that S3 is away and ends: ${target}`, async () => {
      const [port] = await freePorts(1);
      const text = await withS3At(target, `http://127.0.0.1:${port}`);
      assert.match(text, /"code":1,/);
      assert.match(text, new RegExp(`msg="cannot start" err="[^"]*ECONNREFUSED 127\\.0\\.0\\.1:${port}`));
    });
  }

  for (const target of ['ingester', 'querier']) {
    it(`says that S3 refuses its key and ends: ${target}`, async () => {
      const text = await withS3At(target, backends.s3.endpoint);
      assert.match(text, /"code":1,/);
      assert.match(text, /msg="cannot start" err="[^"]*InvalidAccessKeyId/);
    });
  }
});
