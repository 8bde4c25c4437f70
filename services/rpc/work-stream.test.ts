import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { connectToFrontend, type WorkConnection, type WorkStream, workService } from './work-stream.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A stream, seen from both sides. */
async function streams(): Promise<{
  querier: WorkStream;
  frontend: WorkStream;
  connection: WorkConnection;
  server: Server;
}> {
  const opened = Promise.withResolvers<WorkStream>();
  const service = workService((stream) => opened.resolve(stream));
  const server = new Server();
  server.addService(service.definition, service.implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const connection = connectToFrontend(`127.0.0.1:${port}`);
  ends.push(() => {
    connection.close();
    server.forceShutdown();
  });
  const querier = connection.open();
  await querier.send(Buffer.from('hello'));
  return { querier, frontend: await opened.promise, connection, server };
}

test('messages come in order in both directions, and the end is heard', async () => {
  const { querier, frontend } = await streams();
  const heard: string[] = [];
  const received = frontend.receive((message) => void heard.push(String(message)));
  for (let i = 0; i < 100; i++) await querier.send(Buffer.from(`${i}`));
  const answered = querier.receive(async (message) => assert.equal(String(message), 'answer'));
  await frontend.send(Buffer.from('answer'));
  querier.end();
  await received;
  frontend.end();
  await answered;
  assert.deepEqual(heard, ['hello', ...Array.from({ length: 100 }, (_, i) => `${i}`)]);
  await assert.rejects(querier.send(Buffer.from('late')), { code: 'work_stream' });
});

test('a sender waits for a receiver that is slow', async () => {
  const { querier, frontend } = await streams();
  const gate = Promise.withResolvers<void>();
  let taken = 0;
  const received = frontend.receive(async () => {
    taken++;
    if (taken === 2) await gate.promise;
  });
  let sent = 0;
  const sending = (async () => {
    for (; sent < 200; sent++) await querier.send(Buffer.alloc(64 * 1024));
    querier.end();
  })();
  let before = -1;
  while (before !== sent) {
    before = sent;
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(sent < 200, `${sent} of 200 went out although nobody took them`);
  gate.resolve();
  await sending;
  await received;
  assert.equal(taken, 201);
});

test('each side hears when the other breaks off or goes away', async () => {
  const nobody = () => assert.fail('nothing was sent');
  const first = await streams();
  const hello = Promise.withResolvers<void>();
  const left = first.frontend.receive(() => hello.resolve());
  await hello.promise;
  first.querier.cancel();
  await left;
  await assert.rejects(sendUntilOver(first.frontend), { code: 'work_stream' });

  const second = await streams();
  const cut = second.querier.receive(nobody);
  second.frontend.cancel();
  await cut;
  await assert.rejects(second.querier.send(Buffer.from('x')), { code: 'work_stream' });

  const third = await streams();
  const lost = third.querier.receive(nobody);
  third.server.forceShutdown();
  await lost;
});

async function sendUntilOver(stream: WorkStream): Promise<void> {
  for (;;) {
    await stream.send(Buffer.from('x'));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a receiver that throws ends the receiving', async () => {
  const { querier, frontend } = await streams();
  querier.receive(() => {}).catch(() => {});
  await assert.rejects(
    frontend.receive(() => {
      throw new Error('cannot read this');
    }),
    { message: 'cannot read this' },
  );
});
