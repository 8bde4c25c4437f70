import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { TestServer } from '../harness/server.ts';
import { type RadosGateway, startRadosGateway } from './radosgw.ts';

const BUCKET = 'logs';
const LINES = 500;

describe('the whole program with its segments in S3', () => {
  let gateway: RadosGateway;
  let directory: string;

  before(async () => {
    gateway = await startRadosGateway();
    const { endpoint, region, accessKeyId, secretAccessKey } = gateway;
    const admin = new S3Client({
      endpoint,
      region,
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
    });
    await admin.send(new CreateBucketCommand({ Bucket: BUCKET }));
    admin.destroy();
    directory = mkdtempSync(join(tmpdir(), 'loptr-s3-'));
    const host = new URL(endpoint).host;
    writeFileSync(
      join(directory, 'loki.yaml'),
      `auth_enabled: false
common:
  path_prefix: ./data
  replication_factor: 1
  ring: {kvstore: {store: inmemory}}
  storage:
    s3:
      bucketnames: ${BUCKET}
      endpoint: ${host}
      region: ${region}
      access_key_id: ${accessKeyId}
      secret_access_key: ${secretAccessKey}
      s3forcepathstyle: true
      insecure: true
schema_config:
  configs:
    - {from: 2020-10-24, store: tsdb, object_store: s3, schema: v13, index: {prefix: index_, period: 24h}}
ingester:
  flush_op_backoff: {min_period: 100ms, max_period: 1s}
`,
    );
  });
  after(async () => {
    await gateway?.stop();
    if (directory) rmSync(directory, { recursive: true, force: true });
  });

  const start = () => TestServer.start({ cwd: directory, args: ['-config.file=loki.yaml'] });

  it('finds lines in S3 after a flush and a start without local data', async () => {
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    {
      await using server = await start();
      await push(server, 'stored', nowNs);
      assert.equal((await fetch(`${server.url}/flush`, { method: 'POST' })).status, 204);
      assert.equal(await count(server, 'stored'), LINES);
      assert.deepEqual(await server.stop(), { code: 0, signal: null });
    }
    rmSync(join(directory, 'data'), { recursive: true });
    await using server = await start();
    assert.equal(await count(server, 'stored'), LINES);
    const labels = (await (await fetch(`${server.url}/loki/api/v1/labels`)).json()) as { data: string[] };
    assert.deepEqual(labels.data, ['app', 'service_name']);
    await server.stop();
  });

  it('takes lines while S3 is gone, and keeps them in its log', async () => {
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    await using server = await start();
    await push(server, 'waiting', nowNs);
    await gateway.killGateway();
    await push(server, 'outage', nowNs);
    const flushing = fetch(`${server.url}/flush`, { method: 'POST', signal: AbortSignal.timeout(2000) });
    await assert.rejects(flushing.then((answer) => assert.equal(answer.status, 204)));
    assert.equal((await fetch(`${server.url}/ready`)).status, 200);
    server.kill('SIGKILL');
    await server.exited;
  });
});

async function push(server: TestServer, app: string, nowNs: bigint): Promise<void> {
  const values = Array.from({ length: LINES }, (_, i) => [String(nowNs + BigInt(i)), `line ${i} of ${app}`]);
  const answer = await fetch(`${server.url}/loki/api/v1/push`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ streams: [{ stream: { app }, values }] }),
  });
  assert.equal(answer.status, 204, await answer.text());
}

async function count(server: TestServer, app: string): Promise<number> {
  const query = encodeURIComponent(`sum(count_over_time({app="${app}"}[1h]))`);
  const answer = await fetch(
    `${server.url}/loki/api/v1/query?query=${query}&time=${Math.floor(Date.now() / 1000) + 60}`,
  );
  const body = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
  return Number(body.data.result[0]?.value[1] ?? 0);
}
