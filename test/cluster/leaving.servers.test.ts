import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { verifyRound } from '../crash/verify.ts';
import { TestClient, until } from '../harness/client.ts';
import { Backends, Cluster, type MemberSpec } from './cluster.ts';
import { type ClientErrors, pushUntil, queryUntil } from './load.ts';
import { NumberedLines } from './numbered-lines.ts';

const CLIENTS = 3;
const config = {
  auth_enabled: false,
  ingester: { chunk_idle_period: '2s', flush_check_period: '500ms' },
  limits_config: {
    ingestion_rate_mb: 1000,
    ingestion_burst_size_mb: 1000,
    shard_streams: { enabled: false },
    creation_grace_period: '3h',
  },
};

let backends: Backends;
before(async () => {
  backends = await Backends.start();
});
after(() => backends?.stop());

/** Rounds of load on a cluster, in each of which something happens to it. */
class Load {
  readonly #cluster: Cluster;
  readonly #reader: string;
  readonly #baseNs = BigInt(Date.now()) * 1_000_000n;
  #settled = { round: 0, lines: 0 };
  #round = 0;

  constructor(cluster: Cluster, reader: string) {
    this.#cluster = cluster;
    this.#reader = cluster.url(reader);
  }

  /**
   * Pushes and asks while `work` is done. Every acknowledged line must be there once afterwards, and no answer may be
   * wrong meanwhile. Resolves with what clients saw of errors.
   */
  async during(work: () => Promise<unknown>): Promise<{ pushes: ClientErrors; queries: ClientErrors }> {
    const ending = new AbortController();
    const givingUp = new AbortController();
    const round = ++this.#round;
    const pushing = pushUntil(ending.signal, {
      distributors: this.#cluster.names('distributor').map((name) => this.#cluster.url(name)),
      clients: CLIENTS,
      round,
      baseNs: this.#baseNs,
      giveUp: givingUp.signal,
    });
    const asking = queryUntil(ending.signal, this.#reader, this.#baseNs, this.#settled);
    try {
      await sleep(500); // so that there is something in memory
      await work();
    } catch (error: unknown) {
      givingUp.abort();
      ending.abort();
      await Promise.allSettled([pushing, asking]);
      throw error;
    }
    ending.abort();
    const { acknowledged, errors } = await pushing;
    const { wrong, answers, errors: queries } = await asking;
    assert.deepEqual([...new Set(wrong)], []);
    assert.ok(answers > 0, 'no query was answered');
    const lines = await verifyRound(this.#reader, this.#baseNs, round, { acknowledged, open: [] });
    this.#settled = { round, lines };
    return { pushes: errors, queries };
  }

  /** As `during`, for what clients must not notice. */
  async unnoticed(work: () => Promise<unknown>): Promise<void> {
    const { pushes, queries } = await this.during(work);
    assert.deepEqual([...pushes.counts, ...queries.counts], []);
  }
}

async function statesOf(client: TestClient): Promise<string[]> {
  const { text } = await client.get('/ring', {}, { headers: { Accept: 'application/json' } });
  return (JSON.parse(text) as { shards: { id: string; state: string }[] }).shards.map((s) => `${s.id} ${s.state}`);
}

const ingesters = (count: number, ...args: string[]): MemberSpec[] =>
  Array.from({ length: count }, (_, i) => [`ingester-${i + 1}`, 'ingester', ...args]);

describe('ingesters that come and go', () => {
  let cluster: Cluster;
  let load: Load;
  let reader: TestClient;
  before(async () => {
    cluster = await Cluster.start(backends, {
      config,
      members: [...ingesters(3), ['distributor-1', 'distributor'], ['read-1', 'read']],
    });
    load = new Load(cluster, 'read-1');
    reader = new TestClient(cluster.url('read-1'));
    await load.unnoticed(async () => {}); // something to ask for
  });
  after(() => cluster?.kill());
  const at = (name: string): TestClient => new TestClient(cluster.url(name));
  const post = async (name: string, path: string, status = 204): Promise<void> => {
    const answer = await at(name).send(path, { method: 'POST' });
    assert.equal(answer.status, status, answer.text);
  };

  it('are not missed when one after the other stores everything, leaves the ring on SIGTERM, and is back', async () => {
    await load.unnoticed(async () => {
      for (const name of cluster.names('ingester')) {
        assert.equal(await cluster.end(name, 'SIGTERM'), 0, cluster.log(name).slice(-3000));
        const others = cluster.names('ingester').filter((other) => other !== name);
        assert.deepEqual(
          await statesOf(reader),
          others.map((other) => `${other} ACTIVE`),
        );
        await cluster.restart(name);
        // Two of three replicas are enough; the next may leave once everybody knows that this one is back.
        for (const client of [reader, at('distributor-1')]) {
          await until('three members', async () => {
            const states = await statesOf(client);
            return states.length === 3 && states.every((state) => state.endsWith(' ACTIVE'));
          });
        }
      }
    });
  });

  it('take /ingester/prepare_shutdown and then end', async () => {
    await load.unnoticed(async () => {
      await post('ingester-2', '/ingester/prepare_shutdown');
      assert.deepEqual((await at('ingester-2').get('/ingester/prepare_shutdown')).text.trim(), 'set');
      assert.equal(await cluster.end('ingester-2', 'SIGTERM'), 0);
      assert.ok(!(await statesOf(reader)).some((state) => state.startsWith('ingester-2')));
      await cluster.restart('ingester-2');
    });
  });

  it('store what they have and stay, stopped, on /ingester/shutdown?terminate=false', async () => {
    await load.unnoticed(async () => {
      await post('ingester-3', '/ingester/shutdown?terminate=false');
      assert.equal((await at('ingester-3').get('/ready')).status, 503);
      await until('two members', async () => (await statesOf(reader)).length === 2);
      assert.equal(await cluster.end('ingester-3', 'SIGTERM'), 0);
      await cluster.restart('ingester-3');
    });
    await load.unnoticed(async () => {
      await post('ingester-1', '/ingester/shutdown');
      assert.equal(await cluster.ended('ingester-1'), 0);
      assert.deepEqual(await statesOf(reader), ['ingester-2 ACTIVE', 'ingester-3 ACTIVE']);
      await cluster.restart('ingester-1');
    });
  });

  it('store everything on /flush while they are written to', async () => {
    await load.unnoticed(async () => {
      for (const name of cluster.names('ingester')) await post(name, '/flush');
    });
  });

  it('become four, and three again', async () => {
    const lines = new NumberedLines('four');
    await load.unnoticed(async () => {
      await cluster.grow('ingester-4', 'ingester');
      await until('streams in the fourth', async () => {
        await lines.push(at('distributor-1'));
        await lines.check(reader);
        return (await at('ingester-4').metric('loki_ingester_streams_created_total')) > 0;
      });
    });
    await load.unnoticed(async () => {
      assert.equal(await cluster.end('ingester-4', 'SIGTERM'), 0);
      await lines.check(reader);
    });
    assert.equal((await statesOf(reader)).length, 3);
    await lines.check(reader);
  });

  it('start while the store is away: lines are taken at once, and found, all of them, when it is back', async (t) => {
    t.after(() => {
      backends.s3.fault = 'none';
    });
    const lines = new NumberedLines('away');
    const writer = at('distributor-1');
    await lines.push(writer);
    await post('ingester-1', '/flush');
    await lines.push(writer);
    backends.s3.fault = 'error';
    await Promise.all(cluster.names('ingester').map((name) => cluster.end(name, 'SIGKILL')));
    await Promise.all(['ingester-1', 'ingester-2', 'ingester-3'].map((name) => cluster.restart(name)));
    await lines.push(writer);
    const refused = await reader.get('/loki/api/v1/query_range', { query: '{app="away"}' });
    assert.ok(refused.status >= 500, refused.text);
    backends.s3.fault = 'none';
    await until('an answer', async () => (await reader.get('/loki/api/v1/labels')).status === 200);
    await lines.check(reader);
    await lines.push(writer);
    await lines.check(reader);
  });

  it('may all be gone: pushes and queries fail, /ready does not, and everything is there when they are back', async () => {
    const lines = new NumberedLines('gone');
    const writer = at('distributor-1');
    await lines.push(writer);
    await Promise.all(cluster.names('ingester').map((name) => cluster.end(name, 'SIGTERM')));
    assert.equal((await writer.get('/ready')).status, 200);
    const refused = await writer.push([{ stream: { app: 'gone' }, values: [[`${Date.now()}000000`, 'x']] }]);
    assert.deepEqual([refused.status, refused.text.trim()], [500, 'empty ring']);
    const asked = await reader.get('/loki/api/v1/query_range', { query: '{app="gone"}' });
    assert.deepEqual([asked.status, asked.text.trim()], [500, 'empty ring']);
    await Promise.all(['ingester-1', 'ingester-2', 'ingester-3'].map((name) => cluster.restart(name)));
    await until('an answer', async () => (await reader.get('/loki/api/v1/labels')).status === 200);
    await lines.check(reader);
    await lines.push(writer);
    await lines.check(reader);
  });
});

describe('ingesters in three zones', () => {
  let cluster: Cluster;
  let load: Load;
  before(async () => {
    const inZone = (zone: string): MemberSpec[] =>
      [1, 2].map((i) => [
        `ingester-${zone}${i}`,
        'ingester',
        `-common.storage.ring.instance-availability-zone=${zone}`,
      ]);
    cluster = await Cluster.start(backends, {
      config: { ...config, common: { ring: { zone_awareness_enabled: true } } },
      members: [...['a', 'b', 'c'].flatMap(inZone), ['distributor-1', 'distributor'], ['read-1', 'read']],
    });
    load = new Load(cluster, 'read-1');
    await load.unnoticed(async () => {});
  });
  after(() => cluster?.kill());

  it('keep one copy of each line in every zone', async () => {
    const lines = new NumberedLines('zones');
    await lines.push(new TestClient(cluster.url('distributor-1')));
    for (const zone of ['a', 'b', 'c']) {
      let held = 0;
      for (const i of [1, 2]) {
        const client = new TestClient(cluster.url(`ingester-${zone}${i}`));
        const appended = await client.metric('loki_ingester_streams_created_total');
        held += appended;
      }
      assert.ok(held >= 12, `${held} streams in zone ${zone}`);
    }
    await lines.check(new TestClient(cluster.url('read-1')));
  });

  for (const zone of ['a', 'c']) {
    it(`lose nothing and go on when zone ${zone} is killed`, async () => {
      const both = [`ingester-${zone}1`, `ingester-${zone}2`];
      const { pushes } = await load.during(async () => {
        await Promise.all(both.map((name) => cluster.end(name, 'SIGKILL')));
        await sleep(2000);
        const lines = new NumberedLines(`without ${zone}`);
        await lines.push(new TestClient(cluster.url('distributor-1')));
        await lines.check(new TestClient(cluster.url('read-1')));
        await Promise.all(both.map((name) => cluster.restart(name)));
      });
      assert.deepEqual([...pushes.counts], []);
    });
  }
});
