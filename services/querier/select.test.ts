import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Labels } from '../../logql/labels.ts';
import { conditionOf } from '../../logql/plan/index.ts';
import type { LogSelectorExpr, Matcher } from '../../logql/syntax/ast.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { systemClock } from '../../storage/host/clock.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { SegmentCatalog } from '../../storage/index/index.ts';
import { type ObjectStore, ObjectStoreError } from '../../storage/objectstore/index.ts';
import { defaultLimits } from '../config/limits.ts';
import { ReadLease } from '../rpc/read-lease.ts';
import { ingesterOf } from '../rpc/testing/ingester-of.ts';
import { onlyIngester } from './ingester-set.ts';
import { Metadata } from './metadata.ts';
import { selectStreams } from './select.ts';
import { QueryStats } from './stats.ts';

const matchers: Matcher[] = [{ kind: 'matcher', name: 'app', op: '=', value: 'a' }];
const bounds = { startNs: 0n, endNs: 100n };
const federated = { ids: ['a', 'b', 'c'], federated: true };

/** 500 bytes of rows from 0 to 9 ns. */
const keyOf = (tenant: string): string =>
  `segments/${tenant}/1970-01-01/8000000000000000-8000000000000009-${'0'.repeat(28)}-dw-2s.seg`;

/** A store that lists one segment a tenant and fails to read it, at once or some turns later. */
function failingStore(tenants: readonly string[]): ObjectStore {
  const keys = tenants.map(keyOf);
  return {
    put: () => Promise.reject(new Error('nobody stores here')),
    get: async (key: string) => {
      for (let turns = key.includes('/a/') ? 20 : 0; turns > 0; turns--) await setImmediate();
      throw new ObjectStoreError('unavailable', 'down');
    },
    list: async function* () {
      for (const key of keys) yield { key, sizeBytes: 500 };
    },
    delete: () => Promise.reject(new Error('nobody deletes here')),
    head: () => Promise.reject(new Error('nobody asks here')),
    close: () => {},
  };
}

describe('selectStreams', () => {
  it('rejects once, and leaves no rejection to nobody, when the store fails for several tenants', async (t) => {
    const unhandled: unknown[] = [];
    const onUnhandled = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', onUnhandled);
    t.after(() => process.off('unhandledRejection', onUnhandled));
    const catalog = new SegmentCatalog(failingStore(federated.ids), silentLogger);
    await catalog.load();
    const sources = {
      catalog,
      recent: onlyIngester(
        ingesterOf(async () => []),
        systemClock,
      ),
    };
    const selection = { tenants: federated, matchers, tenantMatchers: 'choose' as const, ...bounds };
    await assert.rejects(selectStreams(sources, selection, new QueryStats(), { lease: new ReadLease() }), {
      code: 'unavailable',
    });
    for (let turns = 0; turns < 40; turns++) await setImmediate();
    assert.deepEqual(unhandled, []);
  });

  it('looks at no block any more once the query was given up, whose memory may be another one by then', async () => {
    const condition = conditionOf((parseQuery('{app="a"} |= "some text"') as LogSelectorExpr).stages);
    const catalog = new SegmentCatalog(failingStore([]), silentLogger);
    await catalog.load();
    for (const given of ['before the answer', 'while it is looked at']) {
      const client = new AbortController();
      const giveUp = (): void => client.abort(new Error('given up'));
      let looks = 0;
      const block = {
        bytes: new Uint8Array(0),
        stats: { minNs: 0n, maxNs: 9n, rowCount: 1, lineBytes: 1, metadataBytes: 0, encodedBytes: 0 },
        get filter(): Uint8Array {
          if (looks++ === 0) giveUp();
          return new Uint8Array(0);
        },
      };
      const streams = Array.from({ length: 5000 }, (_, i) => ({
        labels: [['app', `${i}`]] as const,
        blocks: [block],
        heads: [],
      }));
      const ingester = ingesterOf(async () => {
        if (given === 'before the answer') giveUp();
        return streams;
      });
      const sources = { catalog, recent: onlyIngester(ingester, systemClock) };
      const tenants = { ids: ['a'], federated: false };
      const selection = { tenants, matchers, tenantMatchers: 'choose' as const, ...bounds, condition };
      using lease = new ReadLease();
      await assert.rejects(selectStreams(sources, selection, new QueryStats(), { lease, signal: client.signal }), {
        message: 'given up',
      });
      assert.ok(given === 'before the answer' ? looks === 0 : looks > 0 && looks < 2000, `${looks} blocks`);
    }
  });
});

describe('Metadata', () => {
  it('asks the ingesters in the tick in which it asks the catalog', async () => {
    const labels: Labels = [['app', 'a']];
    let isFlushed = false;
    const ingester = ingesterOf(async () => (isFlushed ? [] : [{ labels, blocks: [], heads: [] }]));
    const catalog = new SegmentCatalog(failingStore([]), silentLogger);
    await catalog.load();
    const sources = { catalog, recent: onlyIngester(ingester, systemClock) };
    const metadata = new Metadata({ sources, limits: { for: () => defaultLimits }, clock: systemClock });
    const now = systemClock.nowNs();
    const lately = { startNs: now - 1_000_000_000n, endNs: now };
    const one = { ids: ['a'], federated: false };
    // Its rows leave for the store right after the question: the catalog's answer is about before.
    const asks = [
      () => metadata.labelNames(one, lately, []),
      () => metadata.labelValues(one, 'app', lately, []),
      () => metadata.series(one, lately, [[]]),
    ];
    const found: unknown[] = [];
    for (const ask of asks) {
      isFlushed = false;
      const asked = ask();
      isFlushed = true;
      found.push(await asked);
    }
    assert.deepEqual(found, [['app'], ['a'], [labels]]);
  });
});
