import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { linesOf, nowNs, TestClient } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';

/** Rows go from memory to blocks and from there to segments all the time. */
const CONFIG = `
auth_enabled: false
ingester:
  chunk_block_size: 5000
  chunk_target_size: 4000
  chunk_idle_period: 100ms
  flush_check_period: 20ms
limits_config:
  ingestion_rate_mb: 1000
  ingestion_burst_size_mb: 1000
`;
const ROUNDS = 10;
const PAGE = 700;
/** Lines that are paged in a round: the newest, which are on the move. */
const NEWEST = 5000;
const STEP_NS = 1000n;
const base = nowNs();
const timeOf = (n: number): bigint => base + BigInt(n) * STEP_NS;
const lineOf = (n: number): string => `line ${n} ${'.'.repeat(n % 60)}`;

/** Pushes lines in order, in batches of any size, until it is stopped. */
class Pusher {
  /** Lines `0 .. sent` are on their way, `0 .. acknowledged` are there. */
  sent = 0;
  acknowledged = 0;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(client: TestClient) {
    this.#done = this.#run(client);
  }

  async #run(client: TestClient): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const from = this.sent;
      this.sent += 1 + ((from * 7919) % 90);
      const values = Array.from(
        { length: this.sent - from },
        (_, i) => [`${timeOf(from + i)}`, lineOf(from + i)] as const,
      );
      await client.mustPush([{ stream: { app: 'steady' }, values }]);
      this.acknowledged = this.sent;
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

test('counting and paging while lines move to the object store show each line once', async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'loptr-consistency-'));
  await writeFile(join(cwd, 'loptr.yaml'), CONFIG);
  const server = await TestServer.start({ cwd, args: ['-config.file=loptr.yaml'] });
  const client = new TestClient(server.url);
  const pusher = new Pusher(client);
  const flushed = (): Promise<number> => client.metric('loki_ingester_chunks_flushed_total');
  try {
    for (let round = 0; round < ROUNDS || (await flushed()) < 20; round++) {
      await countOnce(client, pusher);
      const to = pusher.acknowledged;
      await pageForward(client, Math.max(0, to - NEWEST), to, PAGE);
      await pageBackward(client, Math.max(0, to - NEWEST), to);
    }
    await pusher.stop();
    await countOnce(client, pusher);
    await pageForward(client, 0, pusher.sent, 5000);
  } finally {
    await server.stop();
    await rm(cwd, { recursive: true });
  }
});

async function countOnce(client: TestClient, pusher: Pusher): Promise<void> {
  const atLeast = pusher.acknowledged;
  const counted = await client.number({
    query: 'sum(count_over_time({app="steady"}[2h]))',
    time: base + 3600_000_000_000n,
  });
  assert.ok(counted >= atLeast && counted <= pusher.sent, `${counted}, acknowledged ${atLeast}, sent ${pusher.sent}`);
}

async function pageForward(client: TestClient, first: number, to: number, limit: number): Promise<void> {
  for (let from = first; from < to; from += limit) {
    const lines = await page(client, from, to, 'forward', limit);
    assert.deepEqual(lines, linesBetween(from, Math.min(to, from + limit)));
  }
}

async function pageBackward(client: TestClient, first: number, to: number): Promise<void> {
  for (let end = to; end > first; end -= PAGE) {
    const lines = await page(client, first, end, 'backward', PAGE);
    assert.deepEqual(lines, linesBetween(Math.max(first, end - PAGE), end).reverse());
  }
}

const linesBetween = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => lineOf(from + i));

async function page(client: TestClient, from: number, to: number, direction: string, limit: number): Promise<string[]> {
  const range = { start: timeOf(from), end: timeOf(to), direction, limit };
  return linesOf(await client.range({ query: '{app="steady"} | drop detected_level', ...range }));
}
