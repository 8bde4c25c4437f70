import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { parseMatchers } from '../../logql/syntax/index.ts';
import { systemClock } from '../../storage/host/clock.ts';
import { defaultLimits } from '../config/limits.ts';
import { PatternsUnavailableError } from '../rpc/patterns.ts';
import { encodePushBatch } from '../rpc/push-batch.ts';
import { PatternIngester } from './service.ts';
import { patternConfig } from './testing/pattern-config.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

function start(registry: Registry, maxWaitingBytes?: number): PatternIngester {
  const patterns = new PatternIngester({
    config: patternConfig,
    limits: { for: () => ({ ...defaultLimits, pattern_ingester_tokenizable_json_fields_append: ['note'] }) },
    clock: systemClock,
    logger: quiet,
    registry,
    ...(maxWaitingBytes === undefined ? {} : { maxWaitingBytes }),
  });
  patterns.start();
  return patterns;
}

function batchOf(lines: readonly string[]): Buffer {
  const bytes = lines.map((line) => Buffer.from(line, 'utf8'));
  const lengths = Uint32Array.from(bytes, (line) => line.length);
  let at = 0;
  return encodePushBatch('a', [
    {
      labels: '{app="x"}',
      baseNs: BigInt(Date.now()) * 1_000_000n,
      firstRow: 0,
      rowCount: lines.length,
      offsetsNs: new Float64Array(lines.length),
      lineStarts: lengths.map((length) => (at += length) - length),
      lineLengths: lengths,
      source: Buffer.concat(bytes),
      metaIndexes: new Uint32Array(lines.length),
      metaSetCount: 0,
      metaEnds: new Uint32Array(0),
      metaBytes: new Uint8Array(0),
      ascending: true,
    },
  ]);
}

const request = {
  tenant: 'a',
  matchers: parseMatchers('{app="x"}'),
  startMs: 0,
  endMs: 8e12,
  stepMs: 10_000,
};

test('pushes from before a query are in its answer, and the bytes of a push may be overwritten after it', async () => {
  const registry = new Registry();
  const patterns = start(registry);
  const batch = batchOf(['{"note":"sent 5 of 9"}', '{"note":"sent 6 of 9"}', 'x']);
  patterns.push('a', batch);
  batch.fill(0);
  const [series, ...others] = await patterns.patterns(request);
  assert.deepEqual(others, []);
  assert.equal(series!.pattern, '<_>sent <_> of 9<_>');
  assert.equal(
    series!.samples.reduce((sum, [, lines]) => sum + lines, 0),
    2,
  );
  const { values } = await registry.getSingleMetric('loki_pattern_ingester_patterns_dropped_total')!.get();
  assert.deepEqual(values, [{ labels: { tenant: 'a', reason: 'not_in_format' }, value: 1 }]);
  await patterns.stop();
});

test('pushes that find too many others waiting are let go and counted', async () => {
  const registry = new Registry();
  const batch = batchOf(['one two three four']);
  const patterns = start(registry, batch.length * 2);
  for (let i = 0; i < 5; i++) patterns.push('a', batch);
  const droppedBytes = async () =>
    (await registry.getSingleMetric('loptr_pattern_ingester_dropped_bytes_total')!.get()).values[0]!.value;
  assert.equal(await droppedBytes(), batch.length * 3);
  const [series] = await patterns.patterns(request);
  assert.equal(series!.pattern, 'one two three four');
  for (let i = 0; i < 2; i++) patterns.push('a', batch);
  await patterns.patterns(request);
  assert.equal(await droppedBytes(), batch.length * 3, 'what was looked at makes room');
  await patterns.stop();
});

test('a query whose thread is broken by a batch is refused, and the next thread answers again', async () => {
  const errors: string[] = [];
  const patterns = new PatternIngester({
    config: {
      retainForMs: 3_600_000,
      maxChunkAgeMs: 3_600_000,
      sampleIntervalMs: 10_000,
      maxClusters: 300,
      maxEvictionRatio: 0.25,
      maxLineBytes: 3000,
      maxMemoryBytes: 1024 * 1024,
    },
    limits: { for: () => defaultLimits },
    clock: { ...systemClock, nowMs: () => (nowMs += 2000) },
    logger: { ...quiet, error: (message) => errors.push(message) },
    registry: new Registry(),
  });
  let nowMs = Date.now();
  patterns.push('a', Buffer.from('this is no batch'));
  await assert.rejects(patterns.patterns(request), PatternsUnavailableError);
  assert.deepEqual(errors, ['the thread that finds patterns ended and starts anew']);
  patterns.push('a', batchOf(['one two three four']));
  assert.equal((await patterns.patterns(request))[0]!.pattern, 'one two three four');
  await patterns.stop();
  await assert.rejects(patterns.patterns(request), /is stopping/);
});
