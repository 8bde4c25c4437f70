/** How answers and failures of a server are understood. What a real server does is in `test/servers`. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { ObjectStoreError, type ObjectStoreErrorCode } from './index.ts';
import { S3Store, type S3StoreConfig } from './s3-store.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, nth: number) => void;

describe('S3Store', () => {
  const servers: Server[] = [];
  const stores: S3Store[] = [];
  after(() => {
    for (const store of stores) store.close();
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function serve(handler: Handler, more: Partial<S3StoreConfig> = {}): Promise<S3Store> {
    let calls = 0;
    const server = createServer((request, response) => {
      request.resume();
      handler(request, response, ++calls);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const store = new S3Store({
      kind: 's3',
      bucket: 'logs',
      region: 'us-east-1',
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      accessKeyId: 'key',
      secretAccessKey: 'secret',
      forcePathStyle: true,
      maxAttempts: 2,
      ...more,
    });
    stores.push(store);
    return store;
  }

  const answer = (response: ServerResponse, status: number, code: string): void => {
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(`<Error><Code>${code}</Code><Message>told so</Message></Error>`);
  };
  const failsWith = (code: ObjectStoreErrorCode) => (error: unknown) =>
    error instanceof ObjectStoreError && error.code === code && error.cause !== undefined;

  it('understands the answers of a server', async () => {
    const cases: [number, string, ObjectStoreErrorCode][] = [
      [404, 'NoSuchKey', 'not_found'],
      [404, 'NoSuchBucket', 'invalid'],
      [403, 'SignatureDoesNotMatch', 'denied'],
      [403, 'AccessDenied', 'denied'],
      [400, 'InvalidArgument', 'invalid'],
      [416, 'InvalidRange', 'invalid'],
      [500, 'InternalError', 'unavailable'],
      [503, 'SlowDown', 'unavailable'],
      [429, 'TooManyRequests', 'unavailable'],
    ];
    for (const [status, name, code] of cases) {
      const store = await serve((_, response) => answer(response, status, name), { maxAttempts: 1 });
      await assert.rejects(store.get('key'), failsWith(code), name);
    }
  });

  it('tries again what may pass', async () => {
    const store = await serve((_, response, nth) => {
      if (nth === 1) answer(response, 503, 'SlowDown');
      else response.end('content');
    });
    assert.equal(Buffer.from(await store.get('key')).toString(), 'content');
  });

  it('does not take a part of an answer for the whole', async () => {
    const broken = await serve((_, response) => {
      response.writeHead(200, { 'content-length': '10' });
      response.write('01234', () => response.destroy());
    });
    await assert.rejects(broken.get('key'), failsWith('unavailable'));
    const short = await serve((_, response) => {
      response.writeHead(206, { 'content-length': '5', 'content-range': 'bytes 0-4/5' });
      response.end('01234');
    });
    await assert.rejects(short.get('key', { offset: 0, length: 10 }), { code: 'invalid' });
  });

  it('gives up on a server that does not answer in time', async () => {
    const silent = await serve(() => undefined, { maxAttempts: 1, requestTimeoutMs: 50 });
    await assert.rejects(silent.get('key'), failsWith('unavailable'));
  });

  it('stops a request under way when its signal fires', async () => {
    const controller = new AbortController();
    const store = await serve(() => controller.abort());
    await assert.rejects(store.get('key', undefined, controller.signal), failsWith('aborted'));
  });

  it('asks for exactly the range, and for an empty one not at all', async () => {
    const ranges: (string | undefined)[] = [];
    const store = await serve((request, response) => {
      ranges.push(request.headers.range);
      response.writeHead(206);
      response.end('abc');
    });
    await store.get('key', { offset: 4, length: 3 });
    await store.get('key', { offset: 4, length: 0 });
    assert.deepEqual(ranges, ['bytes=4-6']);
  });
});
