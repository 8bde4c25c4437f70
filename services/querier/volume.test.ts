import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Labels } from '../../logql/labels.ts';
import { aggregateVolumes, type VolumeOptions, volumeBuckets } from './volume.ts';

const stream = (labels: Labels, ...bytes: number[]) => ({
  labels,
  tenant: null,
  blocks: 1,
  cells: bytes.map((b, bucket) => ({ bucket, rows: 1, bytes: b })),
});
const options = (change: Partial<VolumeOptions>): VolumeOptions => ({
  aggregateBy: 'series',
  targetLabels: null,
  matcherNames: ['app'],
  limit: 100,
  maxSeries: 1000,
  ...change,
});
const streams = [
  stream(
    [
      ['app', 'a'],
      ['env', 'x'],
    ],
    10,
  ),
  stream(
    [
      ['app', 'b'],
      ['env', 'x'],
    ],
    30,
  ),
  stream(
    [
      ['app', 'a'],
      ['env', 'y'],
    ],
    5,
  ),
];

test('volumes are grouped by the labels that the selector names, largest first', () => {
  assert.deepEqual(aggregateVolumes(streams, 1, options({})), [
    { metric: [['app', 'b']], bytes: [30] },
    { metric: [['app', 'a']], bytes: [15] },
  ]);
});

test('target labels win over the selector, and a stream without them is left out', () => {
  assert.deepEqual(aggregateVolumes(streams, 1, options({ targetLabels: ['env'] })), [
    { metric: [['env', 'x']], bytes: [40] },
    { metric: [['env', 'y']], bytes: [5] },
  ]);
  assert.deepEqual(aggregateVolumes(streams, 1, options({ targetLabels: ['nosuch'] })), []);
});

test('by labels, a sample names a label alone', () => {
  assert.deepEqual(aggregateVolumes(streams, 1, options({ aggregateBy: 'labels' })), [
    { metric: [['app', '']], bytes: [45] },
    { metric: [['env', '']], bytes: [45] },
  ]);
});

test('more groups than allowed are refused in Loki’s words', () => {
  assert.throws(() => aggregateVolumes(streams, 1, options({ maxSeries: 1 })), {
    message: 'the query hit the max number of series limit (limit: 1 series)',
  });
});

test('buckets are cut at multiples of the step and touch each other', () => {
  const ms = 1_000_000n;
  assert.deepEqual(volumeBuckets({ startNs: 5n * ms, endNs: 25n * ms }, 10n * ms), [
    { startNs: 5n * ms, endNs: 10n * ms - 1n },
    { startNs: 10n * ms, endNs: 20n * ms - 1n },
    { startNs: 20n * ms, endNs: 25n * ms },
  ]);
});

test('what a stream has in a bucket adds up, also when it comes in parts, and empty lines make no volume', () => {
  const parts = { ...stream([['app', 'a']], 1, 2), cells: [1, 0, 1].map((bucket) => ({ bucket, rows: 1, bytes: 7 })) };
  assert.deepEqual(
    aggregateVolumes([parts, stream([['app', 'b']], 0, 0), stream([['app', 'a']], 1, 2)], 3, options({})),
    [{ metric: [['app', 'a']], bytes: [8, 16, 0] }],
  );
});
