import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HttpError } from '../http/http-error.ts';
import type { HttpRequest } from '../http/types.ts';
import { pushRoutes } from './http.ts';
import { NOW_NS, setUp } from './testing/setup.ts';

interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  readonly tenant?: () => string;
}

function request(body: string, sent: Sent = {}): HttpRequest {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'content-length': String(body.length),
    ...sent.headers,
  };
  return {
    signal: new AbortController().signal,
    header: (name: string) => headers[name] ?? '',
    tenant: sent.tenant ?? (() => 'T'),
    body: async (limit: number, tooLarge?: (size: number, limit: number) => string) => {
      if (body.length > limit) throw new HttpError(413, tooLarge!(body.length, limit));
      return Buffer.from(body);
    },
  } as Partial<HttpRequest> as HttpRequest;
}

const good = `{"streams":[{"stream":{"app":"x"},"values":[["${NOW_NS}","x"]]}]}`;

test('a push answers 204 without a body', async () => {
  const [route] = pushRoutes(setUp().distributor);
  assert.deepEqual(await route!.handler(request(good)), { status: 204 });
});

test('the old path reads the old shape', async () => {
  const { distributor, stored } = setUp();
  const old = pushRoutes(distributor).find(({ path }) => path === '/api/prom/push')!;
  await old.handler(
    request('{"streams":[{"labels":"{app=\\"x\\"}","entries":[{"ts":"2026-11-20T10:00:00Z","line":"old"}]}]}'),
  );
  assert.deepEqual(
    stored().map(({ line }) => line),
    ['old'],
  );
});

test('a refusal carries its status and text to the server', async () => {
  const [route] = pushRoutes(setUp().distributor);
  await assert.rejects(async () => route!.handler(request('{}')), {
    status: 422,
    message: 'error at least one valid stream is required for ingestion',
  });
});

test('the tenant is asked for before anything else', async () => {
  const [route] = pushRoutes(setUp().distributor);
  const tenant = () => {
    throw new HttpError(401, 'no org id');
  };
  await assert.rejects(async () => route!.handler(request('garbage', { tenant })), { status: 401 });
});

test('a body over the limit answers 413 in Loki’s words', async () => {
  const { distributor } = setUp({}, { maxReceivedBytes: 10 });
  const [route] = pushRoutes(distributor);
  await assert.rejects(async () => route!.handler(request(good)), {
    status: 413,
    message: `request body too large: message size too large than max (${good.length} vs 10)`,
  });
});

test('a push without room is turned away before its body is read', async () => {
  const { distributor } = setUp({}, { maxInflightBytes: 100 });
  const [route] = pushRoutes(distributor);
  const held = distributor.admit(90);
  let read = false;
  const body = async () => {
    read = true;
    return Buffer.from(good);
  };
  const sent = { ...request(good), body };
  await assert.rejects(async () => route!.handler(sent), { status: 503 });
  assert.equal(read, false);
  held.release();
  await route!.handler(sent);
  await route!.handler(request(good, { headers: { 'content-length': '' } }));
});
