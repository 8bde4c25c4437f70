import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Labels } from '../../logql/labels.ts';
import type { MemoryBlockRef } from '../../storage/scan/units.ts';
import { aggregateVolumes, type VolumeOptions, volumeBuckets } from './volume.ts';

const block = (minNs: bigint, maxNs: bigint, lineBytes: number): MemoryBlockRef => ({
  kind: 'memory',
  bytes: new Uint8Array(0),
  minNs,
  maxNs,
  rowCount: 1,
  lineBytes,
  metadataBytes: 0,
});
const stream = (labels: Labels, bytes: number) => ({ labels, tenant: null, blocks: [block(0n, 99n, bytes)] });
const options = (change: Partial<VolumeOptions>): VolumeOptions => ({
  aggregateBy: 'series',
  targetLabels: null,
  matcherNames: ['app'],
  limit: 100,
  maxSeries: 1000,
  ...change,
});
const whole = [{ startNs: 0n, endNs: 1000n }];
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
  assert.deepEqual(aggregateVolumes(streams, whole, options({})), [
    { metric: [['app', 'b']], bytes: [30] },
    { metric: [['app', 'a']], bytes: [15] },
  ]);
});

test('target labels win over the selector, and a stream without them is left out', () => {
  assert.deepEqual(aggregateVolumes(streams, whole, options({ targetLabels: ['env'] })), [
    { metric: [['env', 'x']], bytes: [40] },
    { metric: [['env', 'y']], bytes: [5] },
  ]);
  assert.deepEqual(aggregateVolumes(streams, whole, options({ targetLabels: ['nosuch'] })), []);
});

test('by labels, a sample names a label alone', () => {
  assert.deepEqual(aggregateVolumes(streams, whole, options({ aggregateBy: 'labels' })), [
    { metric: [['app', '']], bytes: [45] },
    { metric: [['env', '']], bytes: [45] },
  ]);
});

test('more groups than allowed are refused in Loki’s words', () => {
  assert.throws(() => aggregateVolumes(streams, whole, options({ maxSeries: 1 })), {
    message: 'the query hit the max number of series limit (limit: 1 series)',
  });
});

test('buckets are cut at multiples of the step and end a millisecond before the next', () => {
  const ms = 1_000_000n;
  assert.deepEqual(volumeBuckets({ startNs: 5n * ms, endNs: 25n * ms }, 10n * ms), [
    { startNs: 5n * ms, endNs: 9n * ms },
    { startNs: 10n * ms, endNs: 19n * ms },
    { startNs: 20n * ms, endNs: 25n * ms },
  ]);
});

test('a block over the edge of a bucket counts by its share', () => {
  const [volume] = aggregateVolumes([stream([['app', 'a']], 99)], [{ startNs: 0n, endNs: 33n }], options({}));
  assert.deepEqual(volume!.bytes, [33]);
});
