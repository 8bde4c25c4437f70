import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Labels } from '../../logql/labels.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
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
