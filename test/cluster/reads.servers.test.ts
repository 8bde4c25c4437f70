import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { linesOf, nowNs, type SeriesResult, TestClient, until } from '../harness/client.ts';
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
  const askToDelete = async (query: string, startNs: bigint, endNs: bigint): Promise<void> => {
    const [start, end] = [startNs, endNs].map((ns) => String(ns / 1_000_000_000n));
    const asked = new URLSearchParams({ query, start: start!, end: end! });
    const { status, text } = await backend.post(`/loki/api/v1/delete?${asked}`, {});
    assert.equal(status, 204, text);
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

  it('answers again from memcached and from Redis, and at once otherwise when rows come late or go', async () => {
    const endNs = (nowNs() / HOUR_NS) * HOUR_NS - HOUR_NS;
    const startNs = endNs - 6n * HOUR_NS;
    const lines = Array.from({ length: 72 }, (_, i) => `line ${i}`);
    await push('cached', lines, startNs + MINUTE_NS, 5n * MINUTE_NS);
    await flush();
    const params = {
      query: 'sum(count_over_time({app="cached"}[1h]))',
      start: startNs + HOUR_NS,
      end: endNs,
      step: 3600,
    };
    const counts = async (frontend: TestClient): Promise<number[]> => {
      const { result } = await frontend.range<SeriesResult>(params);
      return result[0]!.values!.map(([, value]) => Number(value));
    };
    const parts = (frontend: TestClient) => frontend.metric('loptr_frontend_cache_parts_served_total');
    const expected = [12, 12, 12, 12, 12, 12];
    for (const [i, frontend] of frontends.entries()) {
      assert.deepEqual(await counts(frontend), expected);
      const before = await parts(frontend);
      await until(`frontend ${i} serves parts that it kept`, async () => {
        assert.deepEqual(await counts(frontend), expected);
        return (await parts(frontend)) >= before + 5;
      });
      assert.ok((await frontend.metric('loki_cache_hits')) > 0);
    }
    await writer.mustPush([{ stream: { app: 'cached', late: 'yes' }, values: [[String(endNs - 3n * HOUR_NS), 'x']] }]);
    for (const frontend of frontends) assert.deepEqual(await counts(frontend), [12, 12, 13, 12, 12, 12]);
    await flush();
    for (const frontend of frontends) assert.deepEqual(await counts(frontend), [12, 12, 13, 12, 12, 12]);

    await askToDelete('{app="cached", late="yes"}', startNs, endNs);
    for (const frontend of frontends) {
      await until('the row is hidden', async () => (await counts(frontend))[2] === 12, DELETES_SEEN_MS);
      assert.deepEqual(await counts(frontend), expected);
    }
    for (const cache of ['memcached', 'redis'] as const) await backends.stopCache(cache);
    for (const frontend of frontends) for (let i = 0; i < 3; i++) assert.deepEqual(await counts(frontend), expected);
  });

  it('shows deleted rows to nobody, before and while and after they are removed', async (t) => {
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

    await askToDelete('{app="deleted"} |= "secret"', beganNs - HOUR_NS, nowNs());
    for (const frontend of frontends) {
      await until('they are hidden', async () => (await all(frontend)).length === plain.length, DELETES_SEEN_MS);
    }
    // From here on nobody may ever see one again.
    const watching = new AbortController();
    const watch = async (frontend: TestClient): Promise<number> => {
      let looks = 0;
      for (; !watching.signal.aborted; looks++) {
        assert.deepEqual(await all(frontend, '{app="deleted"} !~ "probe|late"'), plain);
        const query = 'sum(count_over_time({app="deleted"} |= "secret" [1h]))';
        assert.equal(await frontend.number({ query, time: nowNs() }), 0);
        await sleep(50);
      }
      return looks;
    };
    const watches = Promise.all(frontends.map(watch));
    t.after(async () => {
      watching.abort();
      await watches; // whatever failed first, nobody asks a cluster that is gone
    });
    const isProcessed = async (): Promise<boolean> => {
      const requests = await backend.json<{ query: string; status: string }[]>('/loki/api/v1/delete');
      return requests.find(({ query }) => query.includes('secret'))?.status === 'processed';
    };
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
    await flush(); // what ingesters hold keeps a request from being done
    await until('the request is carried out', isProcessed, 90_000);
    await sleep(2000);
    watching.abort();
    for (const looks of await watches) assert.ok(looks > 10);
    await cluster.end('querier-1', 'SIGTERM');
    await cluster.restart('querier-1');
    for (const frontend of frontends) {
      await until('an answer', async () => (await frontend.get('/ready')).status === 200);
      assert.deepEqual(await all(frontend), [...plain, 'plain late']);
    }
  });

  it('lets go of what is older than its retention, and of nothing else', async () => {
    await flush(); // what is flushed next is as old as what it is to be a test of
    const oldNs = nowNs() - 30n * HOUR_NS;
    for (const app of ['short', 'long']) await push(app, ['old', 'older'], oldNs);
    for (const frontend of frontends) {
      for (const app of ['short', 'long']) {
        const found = await find(frontend, `{app="${app}"}`, oldNs - HOUR_NS, nowNs());
        assert.deepEqual(found, ['old', 'older']);
      }
    }
    await flush();
    const all = (frontend: TestClient, app: string) => find(frontend, `{app="${app}"}`, oldNs - HOUR_NS, nowNs());
    for (const frontend of frontends) {
      await until('old lines are gone', async () => (await all(frontend, 'short')).length === 0, 60_000);
      assert.deepEqual(await all(frontend, 'long'), ['old', 'older']);
    }
  });
});
