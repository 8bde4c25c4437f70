import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Labels } from '../../logql/labels.ts';
import type { PlanParams } from '../../logql/plan/index.ts';
import { headOf } from '../../storage/block/testing/heads.ts';
import { systemClock } from '../../storage/host/clock.ts';
import type { SegmentCatalog, SelectRequest } from '../../storage/index/index.ts';
import type { IngesterClient, RecentRequest } from '../rpc/ingester.ts';
import { explainQuery } from './explain.ts';
import { onlyIngester } from './ingester-set.ts';

const SECOND = 1_000_000_000n;
const LABELS: Labels = [['app', 'a']];
const TENANTS = { ids: ['t'], federated: false };
const PARAMS: PlanParams = {
  startNs: 100n * SECOND,
  endNs: 200n * SECOND,
  stepNs: 10n * SECOND,
  intervalNs: 0n,
  limit: 10,
  direction: 'backward',
  instant: false,
};

/** Ten rows of 4 bytes a second apart, from each of these seconds on. */
const STORED_FROM = [0n, 100n, 150n, 300n];

const catalog = {
  select: async ({ startNs, endNs, condition }: SelectRequest) => {
    const blocks = STORED_FROM.map((from) => ({
      segmentKey: 'k',
      offset: 8,
      length: 100,
      linesOffset: 50,
      stats: {
        minNs: from * SECOND,
        maxNs: (from + 9n) * SECOND,
        rowCount: 10,
        lineBytes: 40,
        metadataBytes: 0,
        encodedBytes: 100,
      },
    }))
      .filter(({ stats }) => stats.minNs <= endNs && stats.maxNs >= startNs)
      .slice(condition ? 1 : 0); // the filter of the first one
    return blocks.length > 0 ? [{ labels: LABELS, blocks }] : [];
  },
} as unknown as SegmentCatalog;

const ingester: Partial<IngesterClient> = {
  recent: async ({ startNs, endNs }: RecentRequest) => {
    const at = 190n * SECOND;
    const head = headOf([{ ns: at, line: 'recent' }]);
    return at >= startNs && at <= endNs ? [{ labels: LABELS, blocks: [], heads: [head] }] : [];
  },
};
const sources = { catalog, recent: onlyIngester(ingester as IngesterClient, systemClock) };

test('a log query shows what it would open, and what its time leaves out', async () => {
  const { query, plan, selection } = await explainQuery('{app="a"}|="x"', PARAMS, TENANTS, sources);
  assert.equal(query, '{app="a"} |= "x"');
  assert.equal(plan.kind, 'log');
  assert.deepEqual(selection, [
    {
      streams: 1,
      blocks: { considered: 5, stored: 1, recent: 1, skippedByTime: 2, skippedByFilter: 1 },
      rows: 11,
      lineBytes: 46,
    },
  ]);
});

test('each range of a metric query has its own time, with range and offset', async () => {
  const query = 'sum(rate({app="a"}[1m])) / sum(rate({app="a"}[2m] offset 10m))';
  const { selection } = await explainQuery(query, PARAMS, TENANTS, sources);
  assert.deepEqual(
    selection.map(({ blocks, rows }) => [blocks.stored, blocks.recent, rows]),
    [
      [2, 1, 21],
      [0, 0, 0],
    ],
  );
});

test('an instant query is explained at its one time', async () => {
  const at = { ...PARAMS, startNs: 110n * SECOND, endNs: 110n * SECOND, stepNs: 0n, instant: true };
  const { plan, selection } = await explainQuery('count_over_time({app="a"}[30s])', at, TENANTS, sources);
  assert.deepEqual(plan.kind === 'metric' && plan.times, { firstNs: '110000000000', step: '0s', count: 1 });
  assert.deepEqual([selection[0]!.blocks.stored, selection[0]!.rows], [1, 10]);
});

test('what cannot run cannot be explained', async () => {
  await assert.rejects(explainQuery('{app="a"} | pattern "x"', PARAMS, TENANTS, sources), { code: 'parse_error' });
  await assert.rejects(explainQuery('sum(', PARAMS, TENANTS, sources), { code: 'parse_error' });
});
