import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { WebSocket } from 'ws';
import { linesOf, nowNs, TestClient, until } from '../harness/client.ts';
import { freePort, TestServer } from '../harness/server.ts';
import { Daemon, freePorts, requirePrograms } from '../servers/daemon.ts';
import { TestEtcd } from '../servers/etcd.ts';
import { type RadosGateway, startRadosGateway } from '../servers/radosgw.ts';
import { at, object, readText, readYamlFile, texts } from './deploy-files.ts';

const STREAMS = 40;

/**
 * What deploy/compose/cluster.yaml starts, as processes of this machine: the same targets with the same configuration, where only
 * addresses are others, behind the same configuration of nginx.
 */
describe('the cluster of deploy/compose', () => {
  const processes = new Map<string, TestServer>();
  let directory: string;
  let etcd: TestEtcd;
  let s3: RadosGateway;
  let memcached: Daemon;
  let nginx: Daemon;
  let client: TestClient;

  before(async () => {
    await requirePrograms('etcd', 'memcached', 'nginx', 'radosgw');
    directory = await mkdtemp(join(tmpdir(), 'loptr-compose-'));
    etcd = await TestEtcd.start();
    s3 = await startRadosGateway();
    const credentials = { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey };
    const admin = new S3Client({ endpoint: s3.endpoint, region: s3.region, forcePathStyle: true, credentials });
    await admin.send(new CreateBucketCommand({ Bucket: 'loptr' }));
    admin.destroy();
    const [cachePort, gatewayPort] = (await freePorts(2)) as [number, number];
    memcached = await Daemon.start(
      'memcached',
      ['-l', '127.0.0.1', '-p', `${cachePort}`, '-u', 'nobody', '-I', '8m'],
      join(directory, 'memcached.out'),
    );

    const frontendPorts = { http: await freePort(), grpc: await freePort() };
    const configuration = join(directory, 'loptr.yaml');
    await writeFile(
      configuration,
      replaceAll(readText('deploy/compose/loptr.yaml'), {
        'etcd:2379': new URL(etcd.endpoint).host,
        's3:9000': new URL(s3.endpoint).host,
        'region: us-east-1': `region: ${s3.region}`,
        'memcached:11211': `127.0.0.1:${cachePort}`,
        'query-frontend:9095': `127.0.0.1:${frontendPorts.grpc}`,
      }),
    );
    // All of them, so that each that runs is known and ended.
    const started = await Promise.allSettled(
      copiesOf(object(readYamlFile('deploy/compose/cluster.yaml')['services'])).map(async ({ name, target, zone }) => {
        const args = [
          `-config.file=${configuration}`,
          '-config.expand-env',
          `-target=${target}`,
          `-common.path-prefix=${join(directory, name)}`,
          `-common.storage.ring.instance-id=${name}`,
          '-common.storage.ring.instance-addr=127.0.0.1',
          '-shutdown-delay=0s',
        ];
        const env = {
          AWS_ACCESS_KEY_ID: s3.accessKeyId,
          AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
          ...(zone === undefined ? {} : { LOPTR_ZONE: zone }),
        };
        const ports = target === 'query-frontend' ? { ports: frontendPorts } : {};
        processes.set(name, await TestServer.start({ cwd: directory, args, env, readyMs: 90_000, ...ports }));
      }),
    );
    for (const result of started) if (result.status === 'rejected') throw result.reason;

    const gateway = join(directory, 'nginx.conf');
    const addressOf = (name: string): string => processes.get(name)!.url;
    await writeFile(
      gateway,
      replaceAll(readText('deploy/compose/nginx.conf'), {
        '/tmp/': `${directory}/`,
        'listen 8080;': `listen 127.0.0.1:${gatewayPort};`,
        'http://distributor:3100': addressOf('distributor-1'),
        'http://query-frontend:3100': addressOf('query-frontend'),
        'http://querier:3100': addressOf('querier-1'),
        'http://compactor:3100': addressOf('compactor'),
      }),
    );
    const args = ['-c', gateway, '-p', directory, '-e', 'stderr', '-g', 'daemon off; user root;'];
    nginx = await Daemon.start('nginx', args, join(directory, 'nginx.out'));
    client = new TestClient(`http://127.0.0.1:${gatewayPort}`);
    await nginx.answers(`${client.url}/healthz`);
  });
  after(async () => {
    await nginx?.stop();
    await Promise.all([...processes.values()].map((process) => process[Symbol.asyncDispose]()));
    await memcached?.stop();
    await s3?.stop();
    await etcd?.stop();
    if (directory) await rm(directory, { recursive: true });
  });

  it('runs each process that the compose file names', () => {
    assert.equal(processes.size, 9);
  });

  it('gives back what it took: from three ingesters, from the bucket, and with one ingester gone', async () => {
    const startNs = nowNs();
    let count = 0;
    const push = async (): Promise<void> => {
      const streams = Array.from({ length: STREAMS }, (_, i) => ({
        stream: { app: `a${i}` },
        values: [[`${startNs + BigInt(count + i)}`, `line ${count + i}`]] as const,
      }));
      await client.mustPush(streams);
      count += STREAMS;
    };
    const check = async (): Promise<void> => {
      const end = startNs + 1_000_000n;
      const answer = await client.range({ query: '{app=~".+"}', start: startNs, end, limit: 5000 });
      const numbers = linesOf(answer).map((line) => Number(line.slice(5)));
      assert.deepEqual(
        numbers.sort((a, b) => a - b),
        Array.from({ length: count }, (_, i) => i),
      );
      const query = 'sum(count_over_time({app=~".+"}[10m]))';
      assert.equal(await client.number({ query, time: startNs + 60_000_000_000n }), count);
    };
    await push();
    await check();
    for (const name of ['ingester-1', 'ingester-2', 'ingester-3']) {
      await new TestClient(processes.get(name)!.url).flush();
    }
    await push();
    await until('stored and recent lines are found', async () => {
      await check();
      return true;
    });
    processes.get('ingester-2')!.kill('SIGKILL');
    await processes.get('ingester-2')!.exited;
    await push();
    await check();
  });

  it('follows new lines through the gateway', async () => {
    const query = encodeURIComponent('{app="followed"}');
    const socket = new WebSocket(`${client.url.replace('http', 'ws')}/loki/api/v1/tail?query=${query}`);
    const found: string[] = [];
    socket.on('message', (data: Buffer) => {
      const { streams } = JSON.parse(data.toString()) as { streams: { values: [string, string][] }[] };
      found.push(...streams.flatMap(({ values }) => values.map(([, text]) => text)));
    });
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
    await client.mustPush([{ stream: { app: 'followed' }, values: [[`${nowNs()}`, 'hello']] }]);
    await until('the line', () => found.length > 0);
    assert.deepEqual(found, ['hello']);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.close();
    await closed;
  });

  it('takes delete requests at the compactor', async () => {
    const now = Math.floor(Date.now() / 1000);
    const request = { query: '{app="a0"}', start: now - 3600, end: now };
    const answer = await client.post(`/loki/api/v1/delete?${new URLSearchParams(request as never)}`, {});
    assert.equal(answer.status, 204, answer.text);
    const listed = await client.json<{ query: string }[]>('/loki/api/v1/delete');
    assert.deepEqual(
      listed.map((one) => one.query),
      ['{app="a0"}'],
    );
  });

  it('stops every process without an error', async () => {
    for (const [name, process] of processes) {
      if (name === 'ingester-2') continue; // was killed
      const { code } = await process.stop();
      assert.equal(code, 0, `${name}\n${process.log.slice(-3000)}`);
    }
  });
});

function copiesOf(services: object): { name: string; target: string; zone: string | undefined }[] {
  return Object.entries(services).flatMap(([name, service]) => {
    const target = texts(at(service, 'command')).flatMap((text) => /^-target=(.*)/.exec(text)?.[1] ?? [])[0];
    if (target === undefined) return [];
    const replicas = Number(at(service, 'deploy', 'replicas') ?? 1);
    const zone = at(service, 'environment', 'LOPTR_ZONE') as string | undefined;
    return Array.from({ length: replicas }, (_, i) => ({
      name: replicas === 1 ? name : `${name}-${i + 1}`,
      target,
      zone,
    }));
  });
}

/** Each must be there. */
function replaceAll(text: string, replacements: Readonly<Record<string, string>>): string {
  for (const [from, to] of Object.entries(replacements)) {
    assert.ok(text.includes(from), from);
    text = text.replaceAll(from, to);
  }
  return text;
}
