import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SampleChunks } from './samples.ts';

const SECOND = 1000;
const HOUR = 3600 * SECOND;

function samplesOf(seconds: readonly number[]): SampleChunks {
  const samples = new SampleChunks();
  for (const second of seconds) samples.add(second * SECOND, 1, 10 * SECOND, HOUR);
  return samples;
}

const read = (samples: SampleChunks, from: number, to: number, step: number) =>
  samples.read(from * SECOND, to * SECOND, step * SECOND, 10 * SECOND).map(([ms, lines]) => [ms / SECOND, lines]);

test('lines are counted in intervals, the end of a range is outside', () => {
  const samples = samplesOf([100, 101, 109.999, 110, 135]);
  assert.deepEqual(read(samples, 0, 1000, 10), [
    [100, 3],
    [110, 1],
    [130, 1],
  ]);
  assert.deepEqual(read(samples, 110, 130, 10), [[110, 1]]);
  assert.deepEqual(read(samples, 101, 110, 10), [], 'an interval counts where it starts');
});

test('larger steps add intervals up and are zero in between', () => {
  assert.deepEqual(read(samplesOf([100, 110, 125, 250]), 0, 1000, 60), [
    [60, 2],
    [120, 1],
    [180, 0],
    [240, 1],
  ]);
});

test('between pieces of an hour there are no zeros', () => {
  assert.deepEqual(read(samplesOf([0, 7200]), 0, 10_000, 600), [
    [0, 1],
    [7200, 1],
  ]);
});

test('lines older than the newest interval are not counted, weights are', () => {
  const samples = samplesOf([100, 50]);
  samples.add(105 * SECOND, 7, 10 * SECOND, HOUR);
  assert.deepEqual(read(samples, 0, 1000, 10), [[100, 8]]);
});

test('pieces whose newest interval is too old are forgotten', () => {
  const samples = samplesOf([0, 3000, 7200]);
  samples.prune(2000 * SECOND);
  assert.equal(read(samples, 0, 10_000, 10).length, 3);
  samples.prune(4000 * SECOND);
  assert.deepEqual(read(samples, 0, 10_000, 10), [[7200, 1]]);
  samples.prune(HOUR * 3);
  assert.ok(samples.isEmpty);
  assert.equal(samples.sizeBytes, 0);
});
