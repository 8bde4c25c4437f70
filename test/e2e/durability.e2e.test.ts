import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { linesOf, nowNs, type QueryData, type StreamResult, TestClient, until } from '../harness/client.ts';
import { peakMemoryMb } from '../harness/memory.ts';
import { TestServer } from '../harness/server.ts';

const MB = 1024 * 1024;
const CONFIG = `
auth_enabled: false
ingester:
  chunk_block_size: 200000
  chunk_target_size: 100000
  flush_check_period: 50ms
  flush_op_backoff: {min_period: 20ms, max_period: 100ms}
  flush_bytes: 2MB
  max_unflushed_bytes: 6MB
limits_config:
  ingestion_rate_mb: 1000
  ingestion_burst_size_mb: 1000
  per_stream_rate_limit: 1GB
  per_stream_rate_limit_burst: 1GB
`;
const folder = await mkdtemp(join(tmpdir(), 'loptr-durability-'));
after(() => rm(folder, { recursive: true }));

async function startIn(name: string, ...args: string[]) {
  const cwd = await mkdtemp(join(folder, `${name}-`));
  await writeFile(join(cwd, 'loptr.yaml'), CONFIG);
  const options = { cwd, args: ['-config.file=loptr.yaml', ...args] };
  const server = await TestServer.start(options);
  return { cwd, server, client: new TestClient(server.url), again: () => TestServer.start(options) };
}

const base = nowNs();
/** Lines that hardly compress. */
const batchOf = (batch: number, size: number) =>
  Array.from(
    { length: size },
    (_, i) => [`${base + BigInt(batch * 1000 + i)}`, `${batch} ${i} ${randomBytes(750).toString('base64')}`] as const,
  );

async function countOf(client: TestClient): Promise<number> {
  return client.number({ query: 'sum(count_over_time({app="d"}[2h]))', time: base + 3600_000_000_000n });
}

test('while the object store fails, pushes go on up to a bound, are refused then, and nothing is lost once it heals', async (t) => {
  const { cwd, server, client, again } = await startIn('store');
  const chunks = join(cwd, 'data', 'chunks');
  await client.mustPush([{ stream: { app: 'd' }, values: batchOf(0, 100) }]);
  await client.flush();
  let acknowledged = 100;

  await rename(chunks, `${chunks}.away`);
  await writeFile(chunks, 'a file where the directory was');
  const refused: string[] = [];
  for (let batch = 1; refused.length < 10; batch++) {
    const { status, text } = await client.push([
      { stream: { app: 'd', b: `${batch % 5}` }, values: batchOf(batch, 100) },
    ]);
    if (status === 204) acknowledged += 100;
    else refused.push(`${status} ${text}`);
    assert.ok(batch < 1000, 'pushes are never refused');
  }
  assert.deepEqual(new Set(refused), new Set(['503 too many rows wait for the object store; try again later\n']));
  const unflushed = await client.metric('loki_ingester_unflushed_bytes');
  t.diagnostic(`${unflushed} bytes waited, memory at most ${Math.round(peakMemoryMb(server.pid))} MB`);
  assert.ok(unflushed <= 7 * MB && unflushed > 2 * MB, `${unflushed} bytes wait`);
  assert.ok((await client.metric('loki_ingester_flush_failures_total')) > 0);
  assert.equal((await client.get('/ready')).status, 200);
  const all = { query: '{app="d"} |~ "^[01] 99 "', start: `${base}`, end: `${base + 3600_000_000_000n}` };
  const cut = JSON.parse((await client.get('/loki/api/v1/query_range', all)).text) as {
    warnings: string[];
    data: QueryData<StreamResult>;
  };
  assert.equal(linesOf(cut.data).length, 1);
  assert.deepEqual(cut.warnings, ['1 segments cannot be read and were left out of this answer']);

  await rm(chunks);
  await rename(`${chunks}.away`, chunks);
  await until('a push that is taken again', async () => {
    const { status } = await client.push([{ stream: { app: 'd' }, values: batchOf(5000, 100) }]);
    return status === 204 || undefined;
  });
  acknowledged += 100;
  assert.equal(await countOf(client), acknowledged);
  await client.flush();
  assert.equal(await countOf(client), acknowledged);
  // Told when it began and when it ended, not at each try.
  assert.equal(server.log.match(/the object store takes no segments/g)?.length, 1);
  assert.equal(server.log.match(/the object store takes segments again/g)?.length, 1);
  assert.deepEqual(await server.stop(), { code: 0, signal: null });

  const next = await again();
  assert.equal(await countOf(new TestClient(next.url)), acknowledged);
  await next.stop();
});

/** Pushes from several connections until the server takes no more. Resolves with the lines that were acknowledged. */
async function pushUntilRefused(client: TestClient, clients: number, onFirst: () => void): Promise<number> {
  let lines = 0;
  const pushAll = async (id: number): Promise<void> => {
    for (let batch = id; ; batch += clients) {
      try {
        const { status } = await client.push([{ stream: { app: 'd', id: `${id}` }, values: batchOf(batch, 20) }]);
        if (status !== 204) return;
      } catch {
        return; // no answer: nothing was promised
      }
      lines += 20;
      if (lines > 2000) onFirst();
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, id) => pushAll(id)));
  return lines;
}

test('SIGTERM under load ends the program in time and keeps everything acknowledged', async () => {
  const { server, client, again } = await startIn('term', '-server.graceful-shutdown-timeout=10s');
  let askedMs = 0;
  const acknowledged = await pushUntilRefused(client, 4, () => {
    if (askedMs !== 0) return;
    askedMs = performance.now();
    server.kill('SIGTERM');
  });
  assert.deepEqual(await server.exited, { code: 0, signal: null });
  assert.ok(performance.now() - askedMs < 10_000);
  const next = await again();
  const counted = await countOf(new TestClient(next.url));
  // Of a push without an answer all or nothing may be there.
  assert.ok(counted >= acknowledged && counted <= acknowledged + 4 * 20, `${counted} of ${acknowledged}`);
  await next.stop();
});

test('SIGTERM while the object store fails ends the program in time, and the log keeps what it holds', async () => {
  const { cwd, server, client, again } = await startIn('both', '-server.graceful-shutdown-timeout=2s');
  const chunks = join(cwd, 'data', 'chunks');
  await rm(chunks, { recursive: true });
  await writeFile(chunks, 'a file where the directory was');
  for (let batch = 0; batch < 20; batch++)
    await client.mustPush([{ stream: { app: 'd' }, values: batchOf(batch, 100) }]);
  const { code } = await server.stop();
  assert.equal(code, 0);
  assert.match(server.log, /level=warn .*the write-ahead log keeps it/);
  await rm(chunks);
  const next = await again();
  const after = new TestClient(next.url);
  assert.equal(await countOf(after), 2000);
  await after.flush();
  assert.equal(await countOf(after), 2000);
  await next.stop();
});
