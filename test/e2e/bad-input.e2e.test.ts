import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import snappy from 'snappyjs';
import { nowNs, TestClient } from '../harness/client.ts';
import { peakMemoryMb } from '../harness/memory.ts';
import { RawConnection } from '../harness/raw-connection.ts';
import { ReadyWatch } from '../harness/ready-watch.ts';
import { TestServer } from '../harness/server.ts';

const MB = 1024 * 1024;
/** More than all bodies of these tests that may be in work at once, with all copies, and far less than they add up to. */
const MAX_RSS_MB = 2048;
const READ_TIMEOUT_MS = 3000;

const cwd = await mkdtemp(join(tmpdir(), 'loptr-bad-input-'));
let server: TestServer;
let client: TestClient;
let watch: ReadyWatch;

before(async () => {
  const args = [
    '-auth.enabled=true',
    `-server.http-read-timeout=${READ_TIMEOUT_MS}ms`,
    '-distributor.max-decompressed-size=200MB',
  ];
  server = await TestServer.start({ cwd, args });
  client = new TestClient(server.url, 'tenant');
  watch = new ReadyWatch(server.url);
});

after(async () => {
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
  await rm(cwd, { recursive: true });
});

const PROTOBUF = 'application/x-protobuf';
const JSON_TYPE = 'application/json';

async function push(body: string | Buffer, headers: Record<string, string>): Promise<string> {
  const { status, text } = await client.send('/loki/api/v1/push', {
    method: 'POST',
    headers,
    body: body as NonNullable<RequestInit['body']>,
  });
  return `${status} ${text}`;
}

const jsonPush = (line: string, labels: Record<string, string> = { app: 'bad' }): string =>
  JSON.stringify({ streams: [{ stream: labels, values: [[`${nowNs()}`, line]] }] });

test('broken snappy, protobuf and compression are refused with what is wrong', async () => {
  const message = Buffer.from('0a120a0b7b6170703d22626164227d12030a010a', 'hex');
  const block = Buffer.from(snappy.compress(message));
  const corrupt = '400 snappy: corrupt input\n';
  const protobuf = { 'Content-Type': PROTOBUF };
  const cases: [what: string, body: Buffer | string, headers: Record<string, string>, answer: RegExp | string][] = [
    ['half a block', Buffer.from(snappy.compress(Buffer.alloc(100_000, 'ab'))).subarray(0, 1000), protobuf, corrupt],
    ['a length of 4 GB', Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x61]), protobuf, /^4\d\d .+\n$/],
    ['a length of 190 MB for 7 bytes', Buffer.from([0x80, 0x80, 0xcc, 0x5a, 0x00, 0x61]), protobuf, corrupt],
    ['no snappy around protobuf', message, protobuf, corrupt],
    ['random bytes', Buffer.from('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b', 'hex'), protobuf, corrupt],
    ['snappy around rubbish', Buffer.from(snappy.compress(Buffer.alloc(99, 0xff))), protobuf, /^400 .+\n$/],
    [
      'a field that ends outside',
      Buffer.from(snappy.compress(Buffer.from([0x0a, 0x7f, 0x01]))),
      protobuf,
      /^400 .+\n$/,
    ],
    ['a form', 'a=b', { 'Content-Type': 'application/x-www-form-urlencoded' }, corrupt],
    ['text', 'hello', { 'Content-Type': 'text/plain' }, corrupt],
    ['an unreadable type', block, { 'Content-Type': ';;' }, /^400 mime: .+\n$/],
    [
      'brotli',
      '{}',
      { 'Content-Type': JSON_TYPE, 'Content-Encoding': 'br' },
      '400 Content-Encoding "br" not supported\n',
    ],
    [
      'upper case',
      '{}',
      { 'Content-Type': JSON_TYPE, 'Content-Encoding': 'GZIP' },
      '400 Content-Encoding "GZIP" not supported\n',
    ],
    ['zlib as deflate', deflateSync('{}'), { 'Content-Type': JSON_TYPE, 'Content-Encoding': 'deflate' }, '400 EOF\n'],
    [
      'no gzip',
      'plainly no gzip',
      { 'Content-Type': JSON_TYPE, 'Content-Encoding': 'gzip' },
      '400 gzip: invalid header\n',
    ],
    [
      'half a gzip',
      gzipSync('x'.repeat(9999)).subarray(0, 30),
      { 'Content-Type': JSON_TYPE, 'Content-Encoding': 'gzip' },
      '400 unexpected EOF\n',
    ],
    ['nothing', '', { 'Content-Type': JSON_TYPE }, '400 EOF\n'],
    ['half a document', '{"streams":[{"stream":{', { 'Content-Type': JSON_TYPE }, /^400 .+\n$/],
    ['an array', '[]', { 'Content-Type': JSON_TYPE }, /^4\d\d .+\n$/],
    [
      'no streams',
      '{}',
      { 'Content-Type': JSON_TYPE },
      '422 error at least one valid stream is required for ingestion\n',
    ],
  ];
  for (const [what, body, headers, answer] of cases) {
    const got = await push(body, headers);
    if (typeof answer === 'string') assert.equal(got, answer, what);
    else assert.match(got, answer, what);
  }
});

test('a gzip bomb is stopped at the limit of decompressed bytes', async () => {
  const bomb = gzipSync(Buffer.alloc(400 * MB), { level: 1 });
  const gzip = { 'Content-Encoding': 'gzip' };
  assert.match(await push(bomb, { ...gzip, 'Content-Type': JSON_TYPE }), /^413 decompressed message size too large/);
  assert.match(await push(bomb, { ...gzip, 'Content-Type': PROTOBUF }), /^413 decompressed message size too large/);
});

test('bodies of 100 MB are refused for what they are', async () => {
  const type = { 'Content-Type': JSON_TYPE };
  const line = 'x'.repeat(200_000);
  const value = `["${nowNs()}","${line}"]`;
  const document = (values: number): string =>
    `{"streams":[{"stream":{"app":"big"},"values":[${Array(values).fill(value).join(',')}]}]}`;
  const allowed = document(500);
  assert.ok(allowed.length < 100 * MB);
  assert.match(
    await push(allowed, type),
    /^429 ingestion rate limit exceeded for user tenant \(limit: 4194304 bytes\/sec\)/,
  );
  const large = document(530);
  assert.match(
    await push(large, type),
    /^413 request body too large: message size too large than max \(\d+ vs 104857600\)\n$/,
  );
  const nested = Buffer.alloc(100 * MB - 20, '[');
  assert.match(await push(nested, type), /^400 .+\n$/);
  const nestedInside = `{"streams":[{"stream":{"app":"deep"},"extra":${'{"a":'.repeat(15 * MB)}`;
  assert.match(await push(nestedInside, type), /^400 .+\n$/);
  const unclosed = `{"streams":[{"stream":{"app":"deep"},"values":[["1","${'x'.repeat(90 * MB)}`;
  assert.match(await push(unclosed, type), /^400 .+\n$/);
});

test('label sets and lines beyond the limits are refused by name', async () => {
  const type = { 'Content-Type': JSON_TYPE };
  const labels = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`label_${n}`, `value ${n}`]));
  assert.match(
    await push(jsonPush('x', labels), type),
    /^400 entry for stream '\{.+\}' has 10000 label names; limit 15\n$/s,
  );
  assert.match(
    await push(jsonPush('x'.repeat(256 * 1024 + 1)), type),
    /^400 max entry size '262144' bytes exceeded for stream/,
  );
  assert.match(
    await push(jsonPush('x', { a: 'v'.repeat(2049) }), type),
    /^400 stream '\{a=.+' has label value too long/,
  );
  assert.match(await push(jsonPush('x', { 'a-b': 'c' }), type), /^400 couldn't parse labels: /);
});

test('queries that are too long or too deep are refused', async () => {
  const tooLong = '400 parse error : input size too long (1048576 > 131072)';
  const query = `{app="${'x'.repeat(MB - 8)}"}`;
  const posted = await client.post('/loki/api/v1/query_range', { query });
  assert.equal(`${posted.status} ${posted.text}`, tooLong);
  const tooDeep = `${'('.repeat(60_000)}1${')'.repeat(60_000)}`;
  const deep = await client.post('/loki/api/v1/query', { query: tooDeep });
  assert.match(`${deep.status} ${deep.text}`, /^400 .+/);
  const form = await client.post('/loki/api/v1/query', { query: 'x'.repeat(11 * MB) });
  assert.equal(`${form.status} ${form.text}`, '413 http: request body too large');
  // In the address a query is bounded by the headers' size.
  const inUrl = await client.get('/loki/api/v1/query_range', { query });
  assert.equal(inUrl.status, 431);
  const slow = await client.post('/loki/api/v1/query_range', { query: '{app="bad"} |~ "(((a+)+)+)+$"' });
  assert.equal(slow.status, 200);
});

test("tenants' names that could be something else are refused", async () => {
  const body = jsonPush('x');
  const ask = async (tenant: string): Promise<string> => {
    const connection = await RawConnection.open(server.ports.http);
    connection.write(
      `POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: ${JSON_TYPE}\r\n` +
        `X-Scope-OrgID: ${tenant}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const answer = await connection.closed;
    return `${answer.split(' ')[1]} ${answer.split('\r\n\r\n')[1]}`;
  };
  assert.equal(await ask('../x'), "400 tenant ID '../x' contains unsupported character '/'\n");
  assert.equal(await ask('..'), "400 tenant ID is '.' or '..'\n");
  assert.equal(await ask('.'), "400 tenant ID is '.' or '..'\n");
  assert.equal(await ask('a'.repeat(151)), '400 tenant ID is too long: max 150 characters\n');
  assert.equal(await ask('a'.repeat(150)), '204 ');
  assert.match(await ask('a\0b'), /^400 /);
  assert.match(await ask('gr\xc3\xb6\xc3\x9fe'), /^400 tenant ID '.+' contains unsupported character '.+'\n$/);
  assert.match(await ask('a\\b'), /^400 tenant ID 'a\\b' contains unsupported character '\\'\n$/);
  assert.equal(await ask('a|b'), '400 multiple org IDs present\n');
  assert.equal(await ask(''), '401 no org id\n');
});

test('clients that dawdle are cut off, and those that only listen cost nobody else anything', async () => {
  const { http } = server.ports;
  const open = (text: string) => async () => {
    const connection = await RawConnection.open(http);
    connection.write(text);
    return connection;
  };
  const push = 'POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\nX-Scope-OrgID: tenant\r\n';
  const slowHeaders = await Promise.all(Array.from({ length: 50 }, open(push)));
  const slowBodies = await Promise.all(
    Array.from({ length: 50 }, open(`${push}Content-Type: ${JSON_TYPE}\r\nContent-Length: 1000\r\n\r\n{`)),
  );
  const slow = [...slowHeaders, ...slowBodies];
  const idle = await Promise.all(Array.from({ length: 500 }, open('')));
  // Each drips on: what counts is when a request is whole.
  const drip = setInterval(() => {
    for (const connection of slowHeaders) connection.write('X-A: b\r\n');
    for (const connection of slowBodies) connection.write(' ');
  }, 300);
  try {
    assert.equal((await client.get('/loki/api/v1/labels')).status, 200);
    const answers = await Promise.all(slow.map(({ closed }) => closed));
    for (const answer of answers) assert.match(answer, /^(HTTP\/1\.1 408 Request Timeout\r\n|$)/);
    assert.ok(answers.some((answer) => answer !== ''));
  } finally {
    clearInterval(drip);
    for (const connection of [...slow, ...idle]) connection.destroy();
  }
  assert.equal((await client.get('/loki/api/v1/labels')).status, 200);
});

test('requests that are no HTTP are answered and closed', async () => {
  const ask = async (text: string): Promise<string> => {
    const connection = await RawConnection.open(server.ports.http);
    connection.write(text);
    return connection.closed;
  };
  assert.match(await ask('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'), /^HTTP\/1\.1 400 /);
  assert.match(await ask('GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.match(await ask(`GET / HTTP/1.1\r\nX: ${'x'.repeat(2 * MB)}\r\n\r\n`), /^(HTTP\/1\.1 431 |$)/);
  assert.match(
    await ask(
      'POST /loki/api/v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ),
    /^HTTP\/1\.1 400 /,
  );
});

test('all the while the server was ready and its memory stayed within bounds', async (t) => {
  const { answers, failures, worstMs } = await watch.stop();
  const peakMb = peakMemoryMb(server.pid);
  t.diagnostic(
    `/ready: ${answers} answers, the slowest took ${Math.round(worstMs)} ms; memory at most ${Math.round(peakMb)} MB`,
  );
  assert.ok(answers > 0);
  assert.equal(failures, 0);
  assert.ok(peakMb < MAX_RSS_MB, `${peakMb} MB`);
  await client.mustPush([{ stream: { app: 'good' }, values: [[`${nowNs()}`, 'still here']] }]);
  assert.equal(await client.number({ query: 'sum(count_over_time({app="good"}[5m]))' }), 1);
  assert.doesNotMatch(server.log, /level=error/);
});
