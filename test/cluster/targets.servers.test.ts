import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { linesOf, nowNs, TestClient, until } from '../harness/client.ts';
import { Backends, Cluster } from './cluster.ts';
import { NumberedLines } from './numbered-lines.ts';

const config = { auth_enabled: false };
const MINUTE_NS = 60_000_000_000n;
/** Delete requests are read every 15 s where they are not taken in. */
const DELETES_SEEN_MS = 40_000;

let backends: Backends;
before(async () => {
  backends = await Backends.start();
});
after(() => backends?.stop());

const clientsOf = (cluster: Cluster, target?: string): TestClient[] =>
  cluster.names(target).map((name) => new TestClient(cluster.url(name)));

async function statusOf(client: TestClient, path: string, method = 'GET'): Promise<number> {
  return (await client.send(path, { method })).status;
}

describe('processes that write, read, and do the rest', () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start(backends, {
      config,
      members: [
        ['write-1', 'write'],
        ['write-2', 'write'],
        ['write-3', 'write'],
        ['read-1', 'read'],
        ['read-2', 'read'],
        ['backend-1', 'backend'],
      ],
    });
  });
  after(() => cluster?.kill());

  it('take lines at any writer and give each back once at any reader, from memory and from the store', async () => {
    const lines = new NumberedLines('kinds');
    const readers = clientsOf(cluster, 'read');
    for (const writer of clientsOf(cluster, 'write')) await lines.push(writer);
    for (const reader of readers) await lines.check(reader);
    await clientsOf(cluster, 'write')[0]!.flush();
    for (const reader of readers) await lines.check(reader);
    for (const writer of clientsOf(cluster, 'write').slice(1)) await writer.flush();
    for (const reader of readers) await lines.check(reader);
    await lines.push(clientsOf(cluster, 'write')[2]!);
    for (const reader of readers) await lines.check(reader);
  });

  it('serve what belongs to them and answer 404 to everything else', async () => {
    const [write, read, backend] = ['write', 'read', 'backend'].map((target) => clientsOf(cluster, target)[0]!);
    for (const client of [write!, read!, backend!]) {
      for (const path of ['/ready', '/services', '/metrics', '/config', '/ring', '/loki/api/v1/status/buildinfo']) {
        assert.equal(await statusOf(client, path), 200, `${client.url}${path}`);
      }
      const unknown = await client.get('/no/such/thing');
      assert.deepEqual([unknown.status, unknown.text], [404, '404 page not found\n']);
    }
    for (const client of [read!, backend!]) {
      for (const path of ['/loki/api/v1/push', '/otlp/v1/logs', '/flush', '/ingester/shutdown']) {
        const { status, text } = await client.send(path, { method: 'POST' });
        assert.deepEqual([status, text], [404, '404 page not found\n'], path);
      }
    }
    for (const client of [write!, backend!]) {
      for (const path of ['/loki/api/v1/query', '/loki/api/v1/labels', '/loki/api/v1/series', '/loki/api/v1/tail']) {
        assert.equal(await statusOf(client, path), 404, `${client.url}${path}`);
      }
    }
    for (const client of [write!, read!]) assert.equal(await statusOf(client, '/loki/api/v1/rules'), 404);
  });

  it('name the services that they run', async () => {
    const services = async (target: string): Promise<string[]> => {
      const { text } = await clientsOf(cluster, target)[0]!.get('/services');
      for (const line of text.trim().split('\n')) assert.match(line, / => Running$/);
      return text.split('\n').map((line) => line.split(' ')[0]!);
    };
    const [write, read, backend] = [await services('write'), await services('read'), await services('backend')];
    for (const name of ['ingester', 'distributor']) assert.ok(write.includes(name) && !read.includes(name), name);
    for (const name of ['querier', 'query-frontend']) assert.ok(read.includes(name) && !write.includes(name), name);
    assert.ok(backend.includes('compactor') && !read.includes('compactor'));
    for (const client of clientsOf(cluster)) {
      const { text } = await client.get('/config');
      assert.match(text, /^replication_factor: 3$|^ {2,}replication_factor: 3$/m);
    }
  });

  it('go on when one writer and one reader are killed', async () => {
    const lines = new NumberedLines('killed');
    const [first, second, third] = clientsOf(cluster, 'write');
    await lines.push(first!);
    await cluster.end('write-2', 'SIGKILL');
    await cluster.end('read-1', 'SIGKILL');
    const reader = new TestClient(cluster.url('read-2'));
    for (const writer of [first!, third!]) {
      await lines.push(writer);
      await lines.check(reader);
    }
    await Promise.all([cluster.restart('write-2'), cluster.restart('read-1')]);
    await lines.push(second!);
    for (const client of clientsOf(cluster, 'read')) await lines.check(client);
  });
});

describe('three processes with everything in each', () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start(backends, {
      config: { ...config, compactor: { retention_enabled: true, delete_request_store: 's3' } },
      members: [
        ['all-1', 'all'],
        ['all-2', 'all'],
        ['all-3', 'all'],
      ],
    });
  });
  after(() => cluster?.kill());

  it('take lines anywhere and give each back once everywhere', async () => {
    const lines = new NumberedLines('all');
    for (const client of clientsOf(cluster)) await lines.push(client);
    for (const client of clientsOf(cluster)) await lines.check(client);
    await clientsOf(cluster)[1]!.flush();
    for (const client of clientsOf(cluster)) await lines.check(client);
  });

  it('know each other in every ring', async () => {
    for (const client of clientsOf(cluster)) {
      for (const path of ['/ring', '/distributor/ring', '/compactor/ring']) {
        const shards = await until(`three members of ${path}`, async () => {
          const { text } = await client.get(path, {}, { headers: { Accept: 'application/json' } });
          const { shards } = JSON.parse(text) as { shards: { id: string; state: string }[] };
          return shards.length === 3 && shards;
        });
        assert.deepEqual(
          shards.map(({ id, state }) => `${id} ${state}`).sort(),
          ['all-1 ACTIVE', 'all-2 ACTIVE', 'all-3 ACTIVE'],
          path,
        );
      }
    }
  });

  it('lose nothing and answer with one of them gone, and when it is back', async () => {
    const lines = new NumberedLines('one gone');
    const [first, second, third] = clientsOf(cluster);
    await lines.push(second!);
    await cluster.end('all-2', 'SIGKILL');
    for (const client of [first!, third!]) {
      await lines.push(client);
      await lines.check(client);
    }
    await cluster.restart('all-2');
    await lines.push(second!);
    for (const client of clientsOf(cluster)) await lines.check(client);
  });

  it('take delete requests anywhere, and let them be taken back anywhere else', async () => {
    const atNs = nowNs() - MINUTE_NS;
    const [first, second, third] = clientsOf(cluster);
    await first!.mustPush([{ stream: { app: 'deleted' }, values: [[String(atNs), 'x']] }]);
    const find = async (client: TestClient): Promise<string[]> =>
      linesOf(await client.range({ query: '{app="deleted"}', start: atNs - MINUTE_NS, end: atNs + MINUTE_NS }));
    const [start, end] = [atNs - MINUTE_NS, atNs + MINUTE_NS / 2n].map((ns) => String(ns / 1_000_000_000n));
    const params = new URLSearchParams({ query: '{app="deleted"}', start: start!, end: end! });
    const asked = await second!.send(`/loki/api/v1/delete?${params}`, { method: 'POST' });
    assert.equal(asked.status, 204, asked.text);
    for (const client of [second!, first!, third!]) {
      await until('the line is hidden', async () => (await find(client)).length === 0, DELETES_SEEN_MS);
    }
    const [request] = await until('the request is known', async () => {
      const requests = await third!.json<{ request_id: string }[]>('/loki/api/v1/delete');
      return requests.length > 0 && requests;
    });
    const path = `/loki/api/v1/delete?request_id=${request!.request_id}`;
    const takenBack = await third!.send(path, { method: 'DELETE' });
    assert.equal(takenBack.status, 204, takenBack.text);
    for (const client of [third!, first!, second!]) {
      await until('the line is found', async () => (await find(client)).length === 1, DELETES_SEEN_MS);
    }
  });

  it('end without an error, one after the other, while the others answer', async () => {
    const lines = new NumberedLines('ending');
    await lines.push(clientsOf(cluster)[0]!);
    assert.equal(await cluster.end('all-1', 'SIGTERM'), 0, cluster.log('all-1').slice(-3000));
    for (const client of clientsOf(cluster).slice(1)) await lines.check(client);
  });
});

for (const replicationFactor of [1, 2]) {
  describe(`three ingesters and a replication factor of ${replicationFactor}`, () => {
    let cluster: Cluster;
    let writer: TestClient;
    let reader: TestClient;
    before(async () => {
      cluster = await Cluster.start(backends, {
        config,
        replicationFactor,
        members: [
          ['ingester-1', 'ingester'],
          ['ingester-2', 'ingester'],
          ['ingester-3', 'ingester'],
          ['distributor-1', 'distributor'],
          ['read-1', 'read'],
        ],
      });
      writer = new TestClient(cluster.url('distributor-1'));
      reader = new TestClient(cluster.url('read-1'));
    });
    after(() => cluster?.kill());

    it('holds each line so many times and counts it once', async () => {
      const lines = new NumberedLines('few copies');
      await lines.push(writer);
      await lines.check(reader);
      const held = await Promise.all(
        clientsOf(cluster, 'ingester').map((client) => client.metric('loki_ingester_memory_streams')),
      );
      assert.equal(
        held.reduce((a, b) => a + b),
        12 * replicationFactor,
      );
      for (const client of clientsOf(cluster, 'ingester')) await client.flush();
      await lines.push(writer);
      await lines.check(reader);
    });

    it('takes no pushes at ingesters', async () => {
      for (const client of clientsOf(cluster, 'ingester')) {
        const { status, text } = await client.push([{ stream: { app: 'a' }, values: [[`${Date.now()}000000`, 'x']] }]);
        assert.deepEqual([status, text], [404, '404 page not found\n']);
      }
    });

    it('says so when a line may be missing, until its ingester is back', async () => {
      const lines = new NumberedLines('away');
      await lines.push(writer);
      await cluster.end('ingester-2', 'SIGKILL');
      const query = '{app="away"}';
      if (replicationFactor === 1) {
        const { status, text } = await until('an error', async () => {
          const answer = await reader.get('/loki/api/v1/query_range', { query });
          return answer.status !== 200 && answer;
        });
        assert.ok(status >= 500, text);
      } else await lines.check(reader);
      await cluster.restart('ingester-2');
      await until('all lines', async () => {
        const { status } = await reader.get('/loki/api/v1/query_range', { query });
        return status === 200;
      });
      await lines.check(reader);
    });

    if (replicationFactor > 1) return;
    it('answers again when an ingester is forgotten that will not come back', async () => {
      const lines = new NumberedLines('kept');
      await lines.push(writer);
      for (const client of clientsOf(cluster, 'ingester')) await client.flush();
      await cluster.end('ingester-3', 'SIGKILL');
      const ask = () => reader.get('/loki/api/v1/query_range', { query: '{app="kept"}' });
      const states = async (): Promise<string[]> => {
        const { text } = await writer.get('/ring', {}, { headers: { Accept: 'application/json' } });
        return (JSON.parse(text) as { shards: { id: string; state: string }[] }).shards.map(
          (s) => `${s.id} ${s.state}`,
        );
      };
      await until('unhealthy', async () => (await states()).includes('ingester-3 UNHEALTHY'));
      const { status, text } = await ask();
      assert.deepEqual([status, text.trim()], [500, 'too many unhealthy instances in the ring']);
      const forgotten = await writer.send('/ring', {
        method: 'POST',
        body: new URLSearchParams({ forget: 'ingester-3' }),
        redirect: 'manual',
      });
      assert.equal(forgotten.status, 302);
      await until('an answer', async () => (await ask()).status === 200);
      await lines.check(reader);
      assert.deepEqual(await states(), ['ingester-1 ACTIVE', 'ingester-2 ACTIVE']);
      await lines.push(writer);
      await lines.check(reader);
    });
  });
}
