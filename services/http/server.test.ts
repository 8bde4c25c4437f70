import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { Registry } from 'prom-client';
import { WebSocket } from 'ws';
import { HttpError } from './http-error.ts';
import { HttpServer } from './server.ts';
import { serverOptions } from './testing/server-options.ts';
import type { Route, SocketRoute } from './types.ts';
import { jsonResponse, textResponse } from './write-response.ts';

const routes: Route[] = [
  { methods: ['GET'], path: '/ready', name: 'ready', auth: 'none', handler: () => textResponse(200, 'ready\n') },
  {
    methods: ['GET', 'POST'],
    path: '/loki/api/v1/query',
    name: 'loki_api_v1_query',
    auth: 'tenants',
    compress: 'configured',
    handler: async (request) => {
      const form = await request.form();
      if (form.get('query') === 'bad') throw Object.assign(new Error('parse error'), { code: 'parse_error' });
      if (form.get('query') === 'broken') throw new Error('a secret');
      return jsonResponse({ tenants: request.tenants(), query: form.getAll('query'), pad: 'x'.repeat(2000) });
    },
  },
  {
    methods: ['GET'],
    path: '/loki/api/v1/label/{name}/values',
    name: 'loki_api_v1_label_name_values',
    auth: 'tenants',
    handler: (request) => jsonResponse(request.params),
  },
  {
    methods: ['POST'],
    path: '/loki/api/v1/push',
    name: 'loki_api_v1_push',
    auth: 'tenant',
    handler: async (request) => {
      const body = await request.body(1000, (size, limit) => `too large (${size} vs ${limit})`);
      return { status: 204, headers: { 'X-Size': String(body.length), 'X-Tenant': request.tenant() } };
    },
  },
  {
    methods: ['GET'],
    path: '/hang',
    name: 'hang',
    auth: 'none',
    handler: (request) =>
      new Promise((_resolve, reject) => {
        started.resolve();
        request.signal.addEventListener('abort', () => reject(request.signal.reason), { once: true });
      }),
  },
];
const sockets: SocketRoute[] = [
  {
    path: '/loki/api/v1/tail',
    name: 'loki_api_v1_tail',
    open: async (request) => {
      if (request.query.get('query') === 'bad') throw new HttpError(400, 'bad query');
      if (request.query.get('query') === 'breaks') {
        return () => {
          throw new Error('a secret of the program');
        };
      }
      if (request.query.get('query') === 'refused') {
        return () => {
          throw new HttpError(400, 'é'.repeat(100));
        };
      }
      return (socket) => socket.send(`hello ${request.tenant()}`);
    },
  },
];

let started = Promise.withResolvers<void>();
const registry = new Registry();
const options = serverOptions({
  routes,
  sockets,
  idleTimeoutMs: 60_000,
  maxFormBytes: 100,
  compressResponses: true,
  tenancy: { authEnabled: true, multiTenantQueries: true },
  registry,
});
const server = new HttpServer(options);
let base = '';

before(async () => {
  base = `http://127.0.0.1:${await server.start()}`;
});
after(() => server.stop(AbortSignal.abort()));

const ask = (path: string, init: RequestInit & { tenant?: string } = {}) => {
  const headers = { ...(init.headers as Record<string, string>), ...(init.tenant && { 'X-Scope-OrgID': init.tenant }) };
  return fetch(base + path, { ...init, headers, redirect: 'manual' });
};
const answer = async (response: Response | Promise<Response>) => {
  const { status } = await response;
  return [status, await (await response).text()];
};
/** The whole answer to bytes sent as they are. */
const raw = (bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(new URL(base).port), '127.0.0.1', () => socket.write(bytes, 'latin1'));
    socket
      .on('data', (chunk) => (text += chunk.toString('utf8')))
      .on('close', () => resolve(text))
      .on('error', reject);
  });

test('unknown paths are 404, also with a slash too many at the end', async () => {
  for (const path of ['/', '/nope', '/ready/', '/READY', '/loki/api/v1/label/a', '/loki/api/v1/push/']) {
    assert.deepEqual(await answer(ask(path)), [404, '404 page not found\n'], path);
  }
});

test('a known path with the wrong method is 405 without a body, for GET and DELETE 404', async () => {
  assert.deepEqual(await answer(ask('/ready', { method: 'POST' })), [405, '']);
  assert.deepEqual(await answer(ask('/loki/api/v1/query', { method: 'PUT', tenant: 'a' })), [405, '']);
  assert.deepEqual(await answer(ask('/loki/api/v1/query', { method: 'HEAD' })), [405, '']);
  assert.deepEqual(await answer(ask('/loki/api/v1/push')), [404, '404 page not found\n']);
  assert.deepEqual(await answer(ask('/loki/api/v1/push', { method: 'DELETE' })), [404, '404 page not found\n']);
});

test('unclean paths are redirected with their query string', async () => {
  const sent = await raw('GET /loki//api/v1/../v1/query?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  assert.match(sent, /^HTTP\/1\.1 301 [\s\S]*Location: \/loki\/api\/v1\/query\?a=b\r\n/);
  assert.equal((await ask('/loki/api/v1/label//values')).status, 301);
});

test('variables of a path are decoded before the route is chosen', async () => {
  assert.deepEqual(await (await ask('/loki/api/v1/label/a%20b/values', { tenant: 'a' })).json(), { name: 'a b' });
  assert.equal((await ask('/loki/api/v1/label/a%2Fb/values', { tenant: 'a' })).status, 404);
  assert.match(await raw('GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 400 /);
});

test('a missing tenant is 401, a bad one 400 in the words of its path', async () => {
  assert.deepEqual(await answer(ask('/loki/api/v1/query')), [401, 'no org id\n']);
  assert.deepEqual(await answer(ask('/loki/api/v1/push', { method: 'POST' })), [401, 'no org id\n']);
  const bad = "tenant ID 'a/b' contains unsupported character '/'";
  assert.deepEqual(await answer(ask('/loki/api/v1/query', { tenant: 'x|a/b' })), [
    400,
    `rpc error: code = Code(400) desc = ${bad}`,
  ]);
  assert.deepEqual(await answer(ask('/loki/api/v1/push', { method: 'POST', tenant: 'a/b' })), [400, `${bad}\n`]);
  assert.deepEqual(await answer(ask('/loki/api/v1/push', { method: 'POST', tenant: 'a|b' })), [
    400,
    'multiple org IDs present\n',
  ]);
});

test('reads may name several tenants: sorted, distinct, empty ones left out', async () => {
  const tenants = async (header: string) =>
    ((await (await ask('/loki/api/v1/query', { tenant: header })).json()) as { tenants: unknown }).tenants;
  assert.deepEqual(await tenants('b|a|b'), { ids: ['a', 'b'], federated: true });
  assert.deepEqual(await tenants('a|a'), { ids: ['a'], federated: false });
  assert.deepEqual(await tenants('a|'), { ids: ['a'], federated: true });
});

test('form and URL parameters merge, those of the body first', async () => {
  const response = await ask('/loki/api/v1/query?query=url', {
    method: 'POST',
    tenant: 'a',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' },
    body: 'query=body+1',
  });
  assert.deepEqual(((await response.json()) as { query: unknown }).query, ['body 1', 'url']);
});

test('a body that is no form does not count as parameters', async () => {
  const init = { method: 'POST', tenant: 'a', headers: { 'Content-Type': 'application/json' }, body: '{"query":"x"}' };
  assert.deepEqual(((await (await ask('/loki/api/v1/query', init)).json()) as { query: unknown }).query, []);
});

test("mistakes in a query string are told in Go's words", async () => {
  assert.deepEqual(await answer(ask('/loki/api/v1/query?query=%zz', { tenant: 'a' })), [
    400,
    'invalid URL escape "%zz"',
  ]);
  assert.deepEqual(await answer(ask('/loki/api/v1/query?a=1;b=2', { tenant: 'a' })), [
    400,
    'invalid semicolon separator in query',
  ]);
});

test('errors of the layers below become their status; what has no code says nothing to the client', async () => {
  assert.deepEqual(await answer(ask('/loki/api/v1/query?query=bad', { tenant: 'a' })), [400, 'parse error']);
  const [status, text] = await answer(ask('/loki/api/v1/query?query=broken', { tenant: 'a' }));
  assert.equal(status, 500);
  assert.doesNotMatch(String(text), /secret/);
});

test('bodies over the limit are 413, announced or found out while reading', async () => {
  const push = (body: string, headers = {}) => ask('/loki/api/v1/push', { method: 'POST', tenant: 'a', body, headers });
  assert.equal((await push('x'.repeat(1000))).headers.get('x-size'), '1000');
  assert.deepEqual(await answer(push('x'.repeat(1001))), [413, 'too large (1001 vs 1000)\n']);
  const chunk = `${(2000).toString(16)}\r\n${'x'.repeat(2000)}\r\n`;
  const head = 'POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\nX-Scope-OrgID: a\r\nTransfer-Encoding: chunked\r\n\r\n';
  assert.match(await raw(head + chunk), /^HTTP\/1\.1 413 [\s\S]*too large \(\d+ vs 1000\)/);
  const form = { method: 'POST', tenant: 'a', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } };
  const long = await answer(ask('/loki/api/v1/query', { ...form, body: 'x'.repeat(101) }));
  assert.deepEqual(long, [413, 'http: request body too large']);
});

test('answers are compressed for clients that take it', async () => {
  const get = (accept: string) =>
    raw(
      `GET /loki/api/v1/query HTTP/1.1\r\nHost: x\r\nX-Scope-OrgID: a\r\nAccept-Encoding: ${accept}\r\nConnection: close\r\n\r\n`,
    );
  assert.match(await get('br, gzip'), /Content-Encoding: gzip/);
  assert.doesNotMatch(await get('gzip;q=0'), /Content-Encoding/);
  assert.doesNotMatch(await get('br'), /Content-Encoding/);
  const response = await ask('/loki/api/v1/query', { tenant: 'a', headers: { 'Accept-Encoding': 'gzip' } });
  assert.equal(((await response.json()) as { pad: string }).pad.length, 2000);
});

test('a client that hangs up aborts its request, which counts as 499', async () => {
  started = Promise.withResolvers();
  const abort = new AbortController();
  const pending = ask('/hang', { signal: abort.signal });
  await started.promise;
  abort.abort();
  await assert.rejects(pending);
  const seen = async () =>
    (await registry.metrics()).includes(
      'loki_request_duration_seconds_count{method="GET",route="hang",status_code="499",ws="false"} 1',
    );
  while (!(await seen())) await new Promise((resolve) => setImmediate(resolve));
});

test('a tail that breaks after the upgrade is closed with a frame, and tells no secrets', async () => {
  const closed = (query: string) => {
    const url = `${base.replace('http', 'ws')}/loki/api/v1/tail?query=${query}`;
    const socket = new WebSocket(url, { headers: { 'X-Scope-OrgID': 'a' } });
    return new Promise((resolve, reject) => {
      socket.on('close', (code, reason) => resolve([code, reason.toString()])).on('error', reject);
    });
  };
  assert.deepEqual(await closed('breaks'), [1011, 'internal server error, see the log of the server']);
  assert.deepEqual(await closed('refused'), [1011, 'é'.repeat(61)], 'as much as a frame takes');
});

test('a tail becomes a WebSocket; mistakes are answered before', async () => {
  const url = `${base.replace('http', 'ws')}/loki/api/v1/tail`;
  const socket = new WebSocket(url, { headers: { 'X-Scope-OrgID': 'a' } });
  const message = await new Promise((resolve, reject) => socket.on('message', resolve).on('error', reject));
  assert.equal(String(message), 'hello a');
  socket.close();
  const refused = (path: string, headers = {}) =>
    new Promise((resolve) => {
      new WebSocket(url + path, { headers }).on('error', (error) => resolve(error.message));
    });
  assert.equal(await refused('?query=bad', { 'X-Scope-OrgID': 'a' }), 'Unexpected server response: 400');
  assert.equal(await refused(''), 'Unexpected server response: 401');
  assert.equal(await refused('/x', { 'X-Scope-OrgID': 'a' }), 'Unexpected server response: 404');
  assert.deepEqual(await answer(ask('/loki/api/v1/tail', { tenant: 'a' })), [400, 'Bad Request\n']);
});

test('what is no HTTP is refused', async () => {
  assert.match(await raw('hello\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request/);
});

test('requests are measured under the name of their route, unknown paths together', async () => {
  const metrics = await registry.metrics();
  assert.match(
    metrics,
    /loki_request_duration_seconds_count\{method="GET",route="other",status_code="404",ws="false"\} \d/,
  );
  assert.match(
    metrics,
    /loki_request_duration_seconds_count\{method="GET",route="loki_api_v1_tail",status_code="101",ws="true"\} 3/,
  );
  assert.match(metrics, /loki_inflight_requests\{method="POST",route="loki_api_v1_push"\} 0/);
});

test('a stop waits for running requests, and cuts them off at the deadline', async () => {
  const other = new HttpServer({ ...options, registry: new Registry(), prefix: '/p' });
  const port = await other.start();
  started = Promise.withResolvers();
  const pending = fetch(`http://127.0.0.1:${port}/p/hang`);
  await started.promise;
  const deadline = new AbortController();
  let isStopped = false;
  const stopping = other.stop(deadline.signal).then(() => (isStopped = true));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isStopped, false);
  deadline.abort();
  await stopping;
  await pending.then(
    (response) => assert.ok(response.status >= 500 || response.status === 499),
    () => {},
  );
});
