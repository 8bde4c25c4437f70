import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { silentLogger } from '../../storage/host/logger.ts';
import { GrpcServer } from './grpc-server.ts';

const pushed: { orgId: string; message: string }[] = [];
const calls: string[] = [];
const options = {
  address: '127.0.0.1',
  port: 0,
  maxReceiveBytes: 1000,
  maxSendBytes: 1000,
  maxConcurrentStreams: 10,
  onCall: () => {},
  logger: silentLogger,
};
const server = new GrpcServer({
  ...options,
  push: async (orgId, message) => {
    if (orgId === '') throw Object.assign(new Error('no org id\n'), { status: 401 });
    if (orgId === 'broken') throw new Error('a secret');
    pushed.push({ orgId, message: message.toString() });
  },
  onCall: (method, code) => calls.push(`${method} ${code}`),
});
let client: Client;

before(async () => {
  client = new Client(`127.0.0.1:${await server.start()}`, credentials.createInsecure());
});
after(async () => {
  client.close();
  await server.stop(AbortSignal.abort());
});

const same = (bytes: Buffer): Buffer => bytes;
function ask(path: string, message: Buffer, orgId?: string): Promise<Buffer> {
  const metadata = new Metadata();
  if (orgId !== undefined) metadata.set('X-Scope-OrgID', orgId);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, same, same, message, metadata, (error, response) => {
      if (error) reject(error);
      else resolve(response!);
    });
  });
}
const failsWith = (code: number, details: RegExp) => (error: ServiceError) => {
  assert.equal(error.code, code);
  assert.match(error.details, details);
  return true;
};

test('a push reaches the distributor as it came, with its tenant', async () => {
  assert.equal((await ask('/logproto.Pusher/Push', Buffer.from('message'), 'a')).length, 0);
  assert.deepEqual(pushed, [{ orgId: 'a', message: 'message' }]);
  assert.ok(calls.includes('/logproto.Pusher/Push success'));
});

test("a refused push carries the HTTP status as gRPC's code; what is our fault says nothing", async () => {
  await assert.rejects(ask('/logproto.Pusher/Push', Buffer.from('x')), failsWith(401, /^no org id$/));
  await assert.rejects(
    ask('/logproto.Pusher/Push', Buffer.from('x'), 'broken'),
    failsWith(13, /^internal server error/),
  );
  await assert.rejects(ask('/logproto.Pusher/Push', Buffer.alloc(2000), 'a'), failsWith(8, /larger|max/i));
  await assert.rejects(ask('/logproto.Querier/Query', Buffer.from('x'), 'a'), failsWith(12, /./));
});

test('health says whether the server serves, and a watch hears of the change', async () => {
  const check = () => ask('/grpc.health.v1.Health/Check', Buffer.alloc(0));
  assert.deepEqual([...(await check())], [8, 2]);
  const seen: number[] = [];
  const watch = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', same, same, Buffer.alloc(0));
  const second = new Promise<void>((resolve) => {
    watch.on('data', (bytes: Buffer) => {
      seen.push(bytes[1]!);
      if (seen.length === 1) server.setStatus('SERVING');
      else resolve();
    });
  });
  watch.on('error', () => {});
  await second;
  assert.deepEqual(seen, [2, 1]);
  assert.deepEqual([...(await check())], [8, 1]);
  watch.cancel();
  await assert.rejects(ask('/grpc.health.v1.Health/Check', Buffer.from([10, 1, 120])), failsWith(5, /unknown service/));
});

test('what clients send before anybody can speak gRPC is not lost', async () => {
  const sizes: number[] = [];
  const other = new GrpcServer({
    ...options,
    maxReceiveBytes: 2_000_000,
    push: async (_, message) => void sizes.push(message.length),
  });
  const port = await other.start();
  const clients = Array.from({ length: 3 }, () => new Client(`127.0.0.1:${port}`, credentials.createInsecure()));
  const push = (from: Client, index: number) => {
    const message = Buffer.alloc(1_000_000 + index);
    return new Promise<void>((resolve, reject) => {
      from.makeUnaryRequest('/logproto.Pusher/Push', same, same, message, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  };
  await Promise.all(clients.map(push));
  assert.deepEqual(sizes.sort(), [1_000_000, 1_000_001, 1_000_002]);
  for (const one of clients) one.close();
  await other.stop(AbortSignal.timeout(10_000));
});

test('a stop that may not wait cuts off connections on which nothing was called, whatever is loaded by then', async () => {
  const other = new GrpcServer(options);
  const port = await other.start();
  const silent = connect(port, '127.0.0.1');
  await once(silent, 'connect');
  const gone = connect(port, '127.0.0.1');
  await once(gone, 'connect');
  gone.resetAndDestroy();
  const ended = once(silent.resume(), 'close');
  await other.stop(AbortSignal.abort());
  await ended;
});

test('an occupied port is told at the start', async () => {
  const first = new GrpcServer(options);
  const port = await first.start();
  const second = new GrpcServer({ ...options, port });
  await assert.rejects(second.start(), { code: 'EADDRINUSE' });
  await second.stop(AbortSignal.abort());
  await first.stop(AbortSignal.abort());
});
