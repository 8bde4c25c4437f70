import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { nowNs, type PushedValue, TestClient, until } from '../harness/client.ts';
import { Backends, Cluster } from './cluster.ts';

interface Answer {
  readonly data: readonly { readonly pattern: string; readonly level: string; readonly samples: [number, number][] }[];
}

const SECOND_NS = 1_000_000_000n;
const STREAMS = 5;
const LINES = 40;

/** Each line lies on three ingesters, of which a read asks two. */
describe('the patterns of a cluster', () => {
  let backends: Backends;
  let cluster: Cluster;

  before(async () => {
    backends = await Backends.start();
    cluster = await Cluster.start(backends, {
      config: { auth_enabled: false, pattern_ingester: { enabled: true } },
      cache: 'none',
      members: [
        ['ingester-1', 'ingester'],
        ['ingester-2', 'ingester'],
        ['ingester-3', 'ingester'],
        ['distributor-1', 'distributor'],
        ['frontend-1', 'query-frontend'],
        ['querier-1', 'querier'],
      ],
    });
  });
  after(async () => {
    await cluster?.kill();
    await backends?.stop();
  });

  it('count each line once, also without one of its ingesters', async () => {
    const writer = new TestClient(cluster.url('distributor-1'));
    const reader = new TestClient(cluster.url('frontend-1'));
    const startNs = (nowNs() / (60n * SECOND_NS)) * 60n * SECOND_NS - 60n * SECOND_NS; // a whole minute
    const valuesOf = (level: string, second: bigint): PushedValue[] =>
      Array.from({ length: LINES }, (_, i) => [
        String(startNs + second * SECOND_NS + BigInt(i)),
        `level=${level} msg="request done" path=/users/${i} took=${i}ms`,
      ]);
    for (let i = 0; i < STREAMS; i++) {
      const stream = { app: 'web', pod: `pod-${i}` };
      await writer.mustPush([{ stream, values: [...valuesOf('info', 0n), ...valuesOf('error', 25n)] }]);
    }
    const second = Number(startNs / SECOND_NS);
    const pattern = (level: string) => `level=${level} msg="request done" path=<_> took=<_>`;
    const expected = [
      { pattern: pattern('error'), level: 'error', samples: [[second + 20, STREAMS * LINES]] },
      { pattern: pattern('info'), level: 'info', samples: [[second, STREAMS * LINES]] },
    ];
    const params = { query: '{app="web"}', start: startNs, end: startNs + 60n * SECOND_NS, step: '10s' };
    const asked = async () => (await reader.json<Answer>('/loki/api/v1/patterns', params)).data;
    // Pushes are acknowledged when most of their ingesters have them.
    await until('the slowest ingester has all lines', async () => isDeepStrictEqual(await asked(), expected));
    await cluster.end('ingester-2', 'SIGKILL');
    assert.deepEqual(await asked(), expected);
  });
});
