import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMatchers } from '../../logql/syntax/index.ts';
import { encodeMetadataSet } from '../../storage/block/metadata-set.ts';
import { encodePushBatch } from '../rpc/push-batch.ts';
import { PatternStore } from './pattern-store.ts';
import type { LineOutcomes } from './pattern-stream.ts';
import { patternConfig } from './testing/pattern-config.ts';

const NOW_MS = 1_800_000_000_000;

interface Line {
  readonly atMs: number;
  readonly line: string;
  readonly level?: string;
}

function batchOf(tenant: string, labels: string, lines: readonly Line[]): Buffer {
  const source = Buffer.from(lines.map(({ line }) => line).join(''), 'utf8');
  const lengths = Uint32Array.from(lines, ({ line }) => Buffer.byteLength(line));
  const starts = new Uint32Array(lines.length);
  for (let i = 1; i < lines.length; i++) starts[i] = starts[i - 1]! + lengths[i - 1]!;
  const levels = [...new Set(lines.flatMap(({ level }) => (level === undefined ? [] : [level])))];
  const sets = levels.map((level) => encodeMetadataSet([['detected_level', level]]));
  let end = 0;
  const metaEnds = Uint32Array.from(sets, (set) => (end += set.length));
  return encodePushBatch(tenant, [
    {
      labels,
      baseNs: BigInt(lines[0]!.atMs) * 1_000_000n,
      firstRow: 0,
      rowCount: lines.length,
      offsetsNs: Float64Array.from(lines, ({ atMs }) => (atMs - lines[0]!.atMs) * 1e6),
      lineStarts: starts,
      lineLengths: lengths,
      source,
      metaIndexes: Uint32Array.from(lines, ({ level }) => (level === undefined ? 0 : levels.indexOf(level) + 1)),
      metaSetCount: sets.length,
      metaEnds,
      metaBytes: Buffer.concat(sets),
      ascending: true,
    },
  ]);
}

function push(store: PatternStore, labels: string, lines: readonly Line[], tenant = 'a', stride = 1): LineOutcomes {
  const outcomes = new Map<string, LineOutcomes>();
  store.push(batchOf(tenant, labels, lines), ['msg'], stride, NOW_MS, outcomes);
  assert.deepEqual([...outcomes.keys()], [tenant]);
  return outcomes.get(tenant)!;
}

function query(store: PatternStore, selector: string, tenant = 'a') {
  const matchers = parseMatchers(selector);
  const range = { startMs: NOW_MS - 3_600_000, endMs: NOW_MS + 3_600_000, stepMs: 10_000 };
  return store
    .query({ tenant, matchers, ...range })
    .map(({ pattern, level, samples }) => [pattern, level, ...samples.map(([ms, lines]) => [ms - NOW_MS, lines])])
    .sort();
}

test('the same pattern of several streams is one, levels and tenants are apart', () => {
  const store = new PatternStore(patternConfig);
  push(store, '{app="x", pod="1"}', [
    { atMs: NOW_MS, line: 'took 5 ms to answer', level: 'info' },
    { atMs: NOW_MS + 1, line: 'took 6 ms to answer', level: 'info' },
    { atMs: NOW_MS + 2, line: 'took 7 ms to answer', level: 'ERROR' },
    { atMs: NOW_MS + 3, line: 'took 8 ms to answer', level: 'strange' },
  ]);
  push(store, '{app="x", pod="2"}', [
    { atMs: NOW_MS + 10_000, line: 'took 1 ms to answer', level: 'info' },
    { atMs: NOW_MS + 10_001, line: 'took 2 ms to answer', level: 'info' },
  ]);
  push(store, '{app="x", pod="1"}', [{ atMs: NOW_MS, line: 'a line of another', level: 'info' }], 'b');
  assert.deepEqual(query(store, '{app="x"}'), [
    ['took 7 ms to answer', 'error', [0, 1]],
    ['took 8 ms to answer', 'unknown', [0, 1]],
    ['took <_> ms to answer', 'info', [0, 2], [10_000, 2]],
  ]);
  assert.deepEqual(query(store, '{app="x", pod!="1"}'), [['took <_> ms to answer', 'info', [10_000, 2]]]);
  assert.deepEqual(query(store, '{app="x"}', 'b'), [['a line of another', 'info', [0, 1]]]);
  assert.deepEqual(query(store, '{app="y"}'), []);
});

test('lines from before the newest of their stream are passed over and named', () => {
  const store = new PatternStore(patternConfig);
  const line = 'one two three four';
  const outcomes = push(store, '{app="x"}', [
    { atMs: NOW_MS, line },
    { atMs: NOW_MS - 1, line },
    { atMs: NOW_MS, line },
    { atMs: NOW_MS, line: 'short' },
  ]);
  assert.deepEqual(outcomes, { counted: 2, late: 1, too_few_tokens: 1 });
});

test('a line stands for those that were not looked at', () => {
  const store = new PatternStore(patternConfig);
  const lines = Array.from({ length: 10 }, (_, i) => ({ atMs: NOW_MS, line: `took ${i} ms to answer` }));
  assert.deepEqual(push(store, '{app="x"}', lines, 'a', 4), { counted: 10 });
  assert.deepEqual(query(store, '{app="x"}'), [['took <_> ms to answer', 'unknown', [0, 10]]]);
});

test('what Loki writes about patterns and metrics is not looked at', () => {
  const store = new PatternStore(patternConfig);
  push(store, '{__pattern__="x"}', [{ atMs: NOW_MS, line: 'one two three four' }]);
  push(store, '{__aggregated_metric__="x"}', [{ atMs: NOW_MS, line: 'one two three four' }]);
  assert.equal(store.streamCount, 0);
});

test('memory is bounded, the stream without lines for longest goes first', () => {
  const store = new PatternStore({ ...patternConfig, maxMemoryBytes: 20_000 });
  const line = 'one two three four';
  for (let i = 0; i < 50; i++) {
    push(store, `{app="x", pod="${i}"}`, [{ atMs: NOW_MS, line }]);
    push(store, '{app="busy"}', [{ atMs: NOW_MS, line }]);
    assert.ok(store.sizeBytes <= 20_000);
  }
  assert.ok(store.streamCount > 2 && store.streamCount < 20, `${store.streamCount} streams`);
  assert.deepEqual(query(store, '{app="busy"}'), [[line, 'unknown', [0, 50]]]);
  assert.equal(query(store, '{pod="0"}').length, 0);
  assert.equal(query(store, '{pod="49"}').length, 1);
});

test('old samples are forgotten, and streams without any', () => {
  const store = new PatternStore(patternConfig);
  push(store, '{app="old"}', [{ atMs: NOW_MS, line: 'one two three four' }]);
  push(store, '{app="new"}', [{ atMs: NOW_MS + 3_600_000, line: 'one two three four' }]);
  store.prune(NOW_MS + patternConfig.retainForMs + 10_000);
  assert.equal(store.streamCount, 1);
  store.prune(NOW_MS + patternConfig.retainForMs + 3_610_001);
  assert.equal(store.streamCount, 0);
  assert.equal(store.sizeBytes, 0);
});
