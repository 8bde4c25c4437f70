import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { linesOf, nowNs, TestClient, until } from '../harness/client.ts';
import { Backends, Cluster } from './cluster.ts';
import { TailClient } from './tail-client.ts';

const HOUR_NS = 3_600_000_000_000n;
const MINUTE_NS = 60_000_000_000n;
/** Delete requests are read every 15 s where they are not taken in. */
const DELETES_SEEN_MS = 40_000;

/** One process a service: what is asked of query frontends, one with memcached and one with Redis. */
describe('a cluster that is read', () => {
  let backends: Backends;
  let cluster: Cluster;
  let writer: TestClient;
  let backend: TestClient;
  const frontends: TestClient[] = [];

  before(async () => {
    backends = await Backends.start();
    cluster = await Cluster.start(backends, {
      config: {
        auth_enabled: false,
        ingester: { chunk_idle_period: '1h' },
        compactor: {
          retention_enabled: true,
          delete_request_store: 's3',
          delete_request_cancel_period: '20s',
          compaction_interval: '1s',
          retention_delete_delay: '1s',
        },
        frontend_worker: { frontend_address: '' },
        limits_config: { retention_stream: [{ selector: '{app="short"}', priority: 1, period: '24h' }] },
      },
      members: [
        ['ingester-1', 'ingester'],
        ['ingester-2', 'ingester'],
        ['ingester-3', 'ingester'],
        ['distributor-1', 'distributor'],
        ['frontend-1', 'query-frontend'],
        ['frontend-2', 'query-frontend', `-frontend.redis.endpoint=${backends.redis}`],
        ['querier-1', 'querier'],
        ['backend-1', 'backend'],
      ],
    });
    writer = new TestClient(cluster.url('distributor-1'));
    backend = new TestClient(cluster.url('backend-1'));
    for (const name of cluster.names('query-frontend')) frontends.push(new TestClient(cluster.url(name)));
  });
  after(async () => {
    await cluster?.kill();
    await backends?.stop();
  });

  const push = (app: string, lines: readonly string[], atNs = nowNs(), stepNs = 1n): Promise<void> =>
    writer.mustPush([
      { stream: { app }, values: lines.map((line, i) => [String(atNs + BigInt(i) * stepNs), line] as const) },
    ]);
  const flush = async (): Promise<void> => {
    for (const name of cluster.names('ingester')) await new TestClient(cluster.url(name)).flush();
  };
  const find = async (frontend: TestClient, query: string, startNs: bigint, endNs: bigint): Promise<string[]> =>
    linesOf(await frontend.range({ query, start: startNs, end: endNs, limit: 5000, direction: 'forward' }));

  it('is followed: each line once and in order, also while an ingester is killed and comes back', async () => {
    const tail = await TailClient.open(frontends[0]!.url, '{app="followed"}');
    const delayed = await TailClient.open(frontends[1]!.url, '{app="followed"} |= "0"', { delay_for: '1' });
    const sent: string[] = [];
    const pushFor = async (done: () => boolean): Promise<void> => {
      do {
        const lines = Array.from({ length: 10 }, (_, i) => `line ${sent.length + i}`);
        await push('followed', lines);
        sent.push(...lines);
        await sleep(5);
      } while (!done());
    };
    const during = async (work: () => Promise<unknown>): Promise<void> => {
      let isDone = false;
      const working = work().finally(() => {
        isDone = true;
      });
      await pushFor(() => isDone);
      await working;
    };
    await during(() => tail.holds(200));
    await during(() => cluster.end('ingester-1', 'SIGKILL'));
    await during(() => cluster.restart('ingester-1'));
    await during(() => tail.holds(sent.length + 200));
    await tail.holds(sent.length);
    assert.deepEqual(tail.lines, sent);
    const withZero = sent.filter((line) => line.includes('0'));
    await delayed.holds(withZero.length);
    assert.deepEqual(delayed.lines, withZero);
    assert.deepEqual([tail.dropped, delayed.dropped], [0, 0]);
    await tail.close();
    await delayed.close();
  });

  it('shows deleted rows to nobody, before and while and after they are removed', async () => {
    const beganNs = nowNs();
    const firstNs = beganNs - 30n * MINUTE_NS;
    const lines = Array.from({ length: 40 }, (_, i) => `${i % 2 ? 'secret' : 'plain'} ${i}`);
    const plain = lines.filter((line) => line.startsWith('plain'));
    await push('deleted', lines.slice(0, 20), firstNs, MINUTE_NS / 4n);
    await flush();
    await push('deleted', lines.slice(20), firstNs + 20n * (MINUTE_NS / 4n), MINUTE_NS / 4n);
    const all = (frontend: TestClient, query = '{app="deleted"} != "probe"') =>
      find(frontend, query, beganNs - HOUR_NS, nowNs());
    for (const frontend of frontends) assert.deepEqual(await all(frontend), lines);
    const tails = await Promise.all(frontends.map(({ url }) => TailClient.open(url, '{app="deleted"}')));

    const asked = new URLSearchParams({
      query: '{app="deleted"} |= "secret"',
      start: String((beganNs - HOUR_NS) / 1_000_000_000n),
      end: String(nowNs() / 1_000_000_000n),
    });
    const { status, text } = await backend.post(`/loki/api/v1/delete?${asked}`, {});
    assert.equal(status, 204, text);
    for (const frontend of frontends) {
      await until('they are hidden', async () => (await all(frontend)).length === plain.length, DELETES_SEEN_MS);
    }
    // From here on nobody may ever see one again.
    const watching = new AbortController();
    const watch = async (frontend: TestClient): Promise<number> => {
      let looks = 0;
      for (; !watching.signal.aborted; looks++) {
        assert.deepEqual(await all(frontend), plain);
        const query = 'sum(count_over_time({app="deleted"} |= "secret" [1h]))';
        assert.equal(await frontend.number({ query, time: nowNs() }), 0);
        await sleep(50);
      }
      return looks;
    };
    const watches = frontends.map(watch);
    const states = async (): Promise<string[]> =>
      (await backend.json<{ status: string }[]>('/loki/api/v1/delete')).map((request) => request.status);
    // Pairs of lines: who is shown the second was not shown the first.
    let probes = 0;
    const hidesFirst = async (): Promise<boolean> => {
      const [first, second] = [`secret probe ${++probes}`, `plain probe ${probes}`];
      await push('deleted', [first, second], beganNs - 20n * MINUTE_NS + BigInt(10 * probes));
      for (const tail of tails) await until('the second line', () => tail.lines.includes(second));
      return tails.every(({ lines: shown }) => !shown.includes(first));
    };
    await until('a tail hides what it follows', hidesFirst, DELETES_SEEN_MS);
    for (const tail of tails) tail.lines.length = 0;
    await push('deleted', ['secret late', 'plain late'], beganNs - 10n * MINUTE_NS);
    for (const tail of tails) {
      await tail.holds(1);
      assert.deepEqual(tail.lines, ['plain late']);
      await tail.close();
    }
    plain.push('plain late');
    await flush(); // what ingesters hold keeps a request from being done
    await until('the request is carried out', async () => (await states())[0] === 'processed', 90_000);
    await sleep(2000);
    watching.abort();
    for (const looks of await Promise.all(watches)) assert.ok(looks > 10);
    await cluster.end('querier-1', 'SIGTERM');
    await cluster.restart('querier-1');
    for (const frontend of frontends) {
      await until('an answer', async () => (await frontend.get('/ready')).status === 200);
      assert.deepEqual(await all(frontend), plain);
    }
  });
});
