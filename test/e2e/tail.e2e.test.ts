import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { type Categories, nowNs, TestClient, until } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';

interface TailMessage {
  readonly streams: readonly {
    readonly stream: Readonly<Record<string, string>>;
    readonly values: readonly (readonly [ns: string, line: string, categories?: Categories])[];
  }[];
  readonly encodingFlags?: readonly string[];
  readonly dropped_entries?: readonly { readonly timestamp: string; readonly labels: Record<string, string> }[];
}

const cwd = await mkdtemp(join(tmpdir(), 'loptr-tail-'));
const args = [
  '-distributor.ingestion-rate-limit-mb=1000',
  '-distributor.ingestion-burst-size-mb=1000',
  '-ingester.per-stream-rate-limit=1GB',
  '-ingester.per-stream-rate-limit-burst=1GB',
  '-querier.max-concurrent-tail-requests=3',
  '-auth.enabled=true',
];
let server: TestServer;
before(async () => {
  server = await TestServer.start({ cwd, args });
});
after(async () => {
  await server.stop();
  await rm(cwd, { recursive: true });
});

/** One follower, with all that it was sent. */
class Tail {
  readonly messages: TailMessage[] = [];
  readonly socket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;

  constructor(
    tenant: string,
    params: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ) {
    const url = `${server.url.replace('http', 'ws')}/loki/api/v1/tail?${new URLSearchParams(params)}`;
    this.socket = new WebSocket(url, { headers: { ...headers, 'X-Scope-OrgID': tenant } });
    this.socket.on('message', (data: Buffer) => this.messages.push(JSON.parse(data.toString()) as TailMessage));
    this.closed = new Promise((resolve, reject) => {
      this.socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
      this.socket.once('error', reject);
    });
    this.closed.catch(() => {}); // awaited by the tests that expect it
  }

  get lines(): string[] {
    return this.messages.flatMap(({ streams }) => streams.flatMap(({ values }) => values.map(([, line]) => line)));
  }

  async opened(): Promise<this> {
    await new Promise<void>((resolve, reject) => this.socket.once('open', resolve).once('error', reject));
    return this;
  }

  async holds(count: number): Promise<void> {
    await until(`${count} lines`, () => this.lines.length >= count);
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }
}

const client = (tenant: string): TestClient => new TestClient(server.url, tenant);
const push = (tenant: string, lines: readonly string[], atNs: bigint = nowNs(), stepNs = 1n): Promise<void> =>
  client(tenant).mustPush([
    { stream: { app: 'a' }, values: lines.map((line, i) => [`${atNs + BigInt(i) * stepNs}`, line] as const) },
  ]);
const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `line ${from + i}`);

test('the newest lines come first, oldest first, and then what is pushed, in order', async () => {
  await push('order', numbered(0, 50));
  await using tail = closing(await new Tail('order', { query: '{app="a"}', limit: '10' }).opened());
  await tail.holds(10);
  for (let n = 50; n < 80; n++) await push('order', [`line ${n}`]);
  await tail.holds(40);
  assert.deepEqual(tail.lines, numbered(40, 80));
  for (const { streams } of tail.messages) {
    for (const { stream, values } of streams) {
      assert.deepEqual(stream, { app: 'a', service_name: 'a', detected_level: 'unknown' });
      assert.equal(values.length, 1);
    }
  }
});

test('stages apply, and only lines from the start on are shown', async () => {
  const startNs = nowNs();
  await push('stages', ['n=1 old'], startNs - 1_000_000_000n);
  await push('stages', ['n=2 new', 'n=30 new', 'n=40 other'], startNs);
  const query = '{app="a"} |= "new" | logfmt | n > 1 | line_format "{{.n}}"';
  await using tail = closing(await new Tail('stages', { query, start: `${startNs}` }).opened());
  await push('stages', ['n=50 new', 'n=60 old', 'n=70 new']);
  await tail.holds(4);
  assert.deepEqual(tail.lines, ['2', '30', '50', '70']);
});

test('with the flag, metadata and what a stage has found stand apart from the labels', async () => {
  const query = '{app="a"} | logfmt';
  const headers = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' };
  await using tail = closing(await new Tail('flags', { query }, headers).opened());
  const value = [`${nowNs()}`, 'n=1', { trace_id: 't' }] as const;
  await client('flags').mustPush([{ stream: { app: 'a' }, values: [value] }]);
  await tail.holds(1);
  assert.deepEqual(tail.messages, [
    {
      encodingFlags: ['categorize-labels'],
      streams: [
        {
          stream: { app: 'a', service_name: 'a' },
          values: [
            [
              value[0],
              value[1],
              { structuredMetadata: { detected_level: 'unknown', trace_id: 't' }, parsed: { n: '1' } },
            ],
          ],
        },
      ],
    },
  ]);
});

test('delay_for gives late lines the time to be put in order', async () => {
  await using tail = closing(await new Tail('delay', { query: '{app="a"}', delay_for: '1', limit: '1' }).opened());
  const base = nowNs();
  for (const second of [3, 1, 2]) await push('delay', [`second ${second}`], base + BigInt(second) * 1000n);
  await tail.holds(3);
  assert.deepEqual(tail.lines, ['second 1', 'second 2', 'second 3']);
});

test('between the history and what comes live nothing is missing and nothing double', async () => {
  let pushed = 0;
  const stop = new AbortController();
  const pushing = (async () => {
    for (; !stop.signal.aborted; pushed += 7) await push('gap', numbered(pushed, pushed + 7), nowNs());
  })();
  await until('some lines', () => pushed > 50);
  for (let round = 0; round < 5; round++) {
    const tail = await new Tail('gap', { query: '{app="a"}', limit: '5000' }).opened();
    await tail.holds(1);
    const target = pushed + 300;
    await until('live lines', () => tail.lines.includes(`line ${target}`));
    await tail.close();
    const first = Number(tail.lines[0]!.slice(5));
    assert.deepEqual([...tail.lines].sort(byNumber), numbered(first, first + tail.lines.length));
  }
  stop.abort();
  await pushing;
});

const byNumber = (a: string, b: string): number => Number(a.slice(5)) - Number(b.slice(5));

test('what cannot be followed is refused with a reason', async () => {
  const closed = (params: Record<string, string>) => new Tail('refused', params).closed;
  assert.deepEqual(await closed({ query: 'rate({app="a"}[1m])' }), {
    code: 1011,
    reason: 'only log selector is supported',
  });
  await assert.rejects(closed({ query: '{app="a"' }), { message: 'Unexpected server response: 400' });
  await assert.rejects(closed({ query: '{app="a"}', delay_for: '6' }), { message: 'Unexpected server response: 400' });
  const plain = await client('refused').get('/loki/api/v1/tail', { query: '{app="a"}', delay_for: 6 });
  assert.match(`${plain.status} ${plain.text}`, /^400 delay_for can't be greater than 5\n?$/);
  const notAsked = await client('refused').get('/loki/api/v1/tail', { query: '{app="a"}' });
  assert.equal(`${notAsked.status} ${notAsked.text}`, '400 Bad Request\n');
});

test('a tenant may have no more tails than its limit, and again one when another has ended', async () => {
  const open = () => new Tail('many', { query: '{app="a"}' });
  const tails = await Promise.all(Array.from({ length: 3 }, () => open().opened()));
  const { code, reason } = await open().closed;
  assert.equal(code, 1011);
  assert.match(
    reason,
    /^rpc error: code = Code\(400\) desc = max concurrent tail requests limit exceeded, count > limit \(4 > 3\)/,
  );
  await tails[0]!.close();
  await until('a free place', async () => {
    const tail = await open().opened();
    await push('many', ['hello']);
    const isTaken = await Promise.race([tail.closed.then(() => false), tail.holds(1).then(() => true)]);
    if (isTaken) await tail.close();
    return isTaken || undefined;
  });
  for (const tail of tails.slice(1)) await tail.close();
});

test('a reader that is slow is told what it has missed', async () => {
  await using tail = closing(await new Tail('slow', { query: '{app="a"}' }).opened());
  tail.socket.pause();
  const line = 'x'.repeat(200_000);
  let sent = 0;
  // Past what the system and the server hold back for a reader.
  for (; sent < 300; sent++) await push('slow', [`${sent} ${line}`]);
  tail.socket.resume();
  const dropped = () => tail.messages.flatMap((message) => message.dropped_entries ?? []);
  await until('news of dropped lines', async () => {
    await push('slow', [`${sent++} end`]); // what was dropped is told with the next lines
    return dropped().length > 0;
  });
  assert.deepEqual(dropped()[0]!.labels, { app: 'a', service_name: 'a', detected_level: 'unknown' });
  await until('the newest line', () => tail.lines.includes(`${sent - 1} end`));
  assert.equal(tail.lines.length + dropped().length, sent);
  assert.equal(new Set(tail.lines).size, tail.lines.length);
});

test('a server that stops says so to its followers, and does not wait for them', async () => {
  const own = await mkdtemp(join(tmpdir(), 'loptr-tail-stop-'));
  const shared = server;
  server = await TestServer.start({ cwd: own, args });
  try {
    const tail = await new Tail('stop', { query: '{app="a"}' }).opened();
    assert.deepEqual(await server.stop(), { code: 0, signal: null });
    assert.deepEqual(await tail.closed, { code: 1001, reason: 'server is stopping' });
  } finally {
    server = shared;
    await rm(own, { recursive: true });
  }
});

/** Closes the tail at the end of its block. */
function closing(tail: Tail): Tail & AsyncDisposable {
  return Object.assign(tail, { [Symbol.asyncDispose]: () => tail.close() });
}

test('a history larger than what a socket holds arrives whole', async () => {
  const lines = Array.from({ length: 3000 }, (_, i) => `${String(i).padStart(4, '0')} ${'x'.repeat(6000)}`);
  const at = nowNs() - 60_000_000_000n;
  for (let from = 0; from < lines.length; from += 500) {
    await push('long', lines.slice(from, from + 500), at + BigInt(from));
  }
  const tail = await new Tail('long', { query: '{app="a"}', limit: '3000' }).opened();
  await tail.holds(lines.length);
  assert.deepEqual(tail.lines, lines);
  assert.deepEqual(
    tail.messages.filter((message) => message.dropped_entries !== undefined),
    [],
  );
  await tail.close();
});
