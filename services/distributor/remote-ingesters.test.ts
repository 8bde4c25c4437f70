import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type LogFields, silentLogger } from '../../storage/host/logger.ts';
import { until } from '../ingester/testdata/fixture.ts';
import { PushRejectedError } from '../rpc/ingester.ts';
import { decodePushBatch } from '../rpc/push-batch.ts';
import { RemoteIngester, type RemoteIngesterSettings } from '../rpc/remote-ingester.ts';
import { ingesterOf } from '../rpc/testing/ingester-of.ts';
import { serve } from '../rpc/testing/served-ingester.ts';
import { NOW_NS, setUp } from './testing/setup.ts';

/** How an ingester behaves: it stores, refuses, takes no connection, or hangs as a stopped process does. */
type Kind = 'up' | 'refuses' | 'down' | 'hangs';

/** Three replicas behind gRPC and the distributor before them. */
async function cluster(t: TestContext, kinds: readonly Kind[], settings: RemoteIngesterSettings = {}) {
  const rows = new Map<string, number>();
  const clients = new Map<string, RemoteIngester>();
  for (const [i, kind] of kinds.entries()) {
    const id = `ingester-${i + 1}`;
    const push = async (batch: Uint8Array): Promise<void> => {
      assert.ok(batch.length <= 2 << 20, `${batch.length} bytes in one message`);
      if (kind === 'refuses') throw new PushRejectedError(429, 'too many ü');
      rows.set(id, (rows.get(id) ?? 0) + decodePushBatch(batch).rowCount);
    };
    let address = '127.0.0.1:1';
    if (kind === 'hangs') address = await silence(t);
    else if (kind !== 'down') {
      const served = await serve({ ...ingesterOf(async () => [], id), push });
      t.after(() => served[Symbol.asyncDispose]());
      address = served.address;
    }
    const client = new RemoteIngester({ id, address, ...settings });
    t.after(() => client.close());
    clients.set(id, client);
  }
  const logged: string[] = [];
  const note = (text: string, fields?: LogFields) => void logged.push(`${fields?.['ingester'] ?? ''}: ${text}`);
  const logger = { ...silentLogger, info: note, warn: note, error: note };
  const { membership, json } = setUp(
    { ingestion_rate_mb: 1000, ingestion_burst_size_mb: 1000 },
    { replicationFactor: 3, maxBatchBytes: 2 << 20, ingesters: (id) => clients.get(id), logger },
  );
  for (const [id, { address }] of clients) await membership.register({ id, address, zone: '', state: 'ACTIVE' });
  const push = (lines = 1, length = 10) =>
    json([
      { stream: { app: 'a' }, values: Array.from({ length: lines }, (_, i) => [NOW_NS, `${i}${'x'.repeat(length)}`]) },
    ]);
  return { push, rows, logged, clients };
}

async function silence(t: TestContext): Promise<string> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('two of three ingesters are enough, whatever is wrong with the third', async (t) => {
  for (const third of ['down', 'hangs', 'refuses'] as const) {
    const { push, rows } = await cluster(t, ['up', 'up', third], { pushTimeoutMs: 60_000 });
    assert.deepEqual(await push(), [204, ''], third);
    assert.deepEqual([...rows.values()], [1, 1], third);
  }
});

test('without a quorum the answer is 500 in the words of gRPC, no later than the timeout', async (t) => {
  const down = await cluster(t, ['up', 'down', 'down']);
  const [status, text] = await down.push();
  assert.equal(status, 500);
  assert.match(text, /^rpc error: code = Unavailable desc = /);
  const hung = await cluster(t, ['up', 'hangs', 'hangs'], { pushTimeoutMs: 200 });
  const answer = [500, 'rpc error: code = DeadlineExceeded desc = context deadline exceeded'];
  assert.deepEqual(await hung.push(), answer);
  assert.deepEqual(await hung.push(300, 20_000), answer, 'several messages');
});

test('an outage is logged when it begins and when it is over, not with each push', async (t) => {
  const { push, logged, clients } = await cluster(t, ['up', 'down', 'down']);
  for (let i = 0; i < 3; i++) assert.equal((await push())[0], 500);
  const outage = ['ingester-2: an ingester cannot be reached', 'ingester-3: an ingester cannot be reached'];
  assert.deepEqual(logged.toSorted(), outage);
  for (const id of ['ingester-2', 'ingester-3']) clients.set(id, clients.get('ingester-1')!);
  await push();
  await until(() => logged.length === 4, 'the end of it');
  assert.deepEqual(logged.slice(2).toSorted(), [
    'ingester-2: an ingester takes pushes again',
    'ingester-3: an ingester takes pushes again',
  ]);
});

test('a refusal keeps its status and text', async (t) => {
  const { push } = await cluster(t, ['up', 'refuses', 'refuses']);
  assert.deepEqual(await push(), [429, 'too many ü']);
});

test('one stream of any size goes in messages that servers take', async (t) => {
  const { push, rows } = await cluster(t, ['up', 'up', 'up']);
  assert.deepEqual(await push(500, 20_000), [204, '']);
  await until(() => rows.size === 3 && [...rows.values()].every((count) => count === 500), 'the third is done as well');
});

test('one that hangs holds no more than was agreed', async (t) => {
  const settings = { pushTimeoutMs: 60_000, maxInflightBytes: 3 << 20 };
  const { push, clients } = await cluster(t, ['up', 'up', 'hangs'], settings);
  for (let i = 0; i < 5; i++) assert.deepEqual(await push(50, 20_000), [204, '']);
  assert.ok(clients.get('ingester-3')!.inflightBytes <= 3 << 20);
});
