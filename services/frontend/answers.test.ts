import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogPartAnswer, MetricPartAnswer } from '../querier/parts.ts';
import { QueryStats } from '../querier/stats.ts';
import {
  decodeBytes,
  decodeFingerprints,
  encodeBytes,
  encodeFingerprints,
  logMessage,
  metricMessage,
  readLogMessage,
  readMetricMessage,
} from './answers.ts';
import {
  decodeFromQuerier,
  decodeToQuerier,
  encodeFromQuerier,
  encodeToQuerier,
  type FromQuerier,
  messageType,
  type ToQuerier,
  type Work,
} from './messages.ts';

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

function statsOf(): QueryStats {
  const stats = new QueryStats();
  stats.scan.storedRows = 7;
  stats.queueMs = 1.5;
  stats.totalStreams = 3;
  return stats;
}

test('entries arrive as they were, with the same groups shared', () => {
  const group = {
    merged: [
      ['a', 'é'],
      ['b', ''],
    ] as const,
    stream: [['a', 'é']] as const,
    structuredMetadata: [],
    parsed: [['b', '']] as const,
    error: 'JSONParserErr',
  };
  const other = { merged: [], stream: [], structuredMetadata: [], parsed: [], error: '' };
  const answer: LogPartAnswer = {
    entries: [
      { timestampNs: MIN, group, line: 'é€😀' },
      { timestampNs: 0n, group: other, line: '' },
      { timestampNs: MAX, group, line: 'x\u0000\n' },
    ],
    stats: statsOf(),
    warnings: ['w'],
    fingerprint: 'f',
  };
  const type = messageType('LogAnswer');
  const found = readLogMessage(type.decode(type.encode(logMessage(answer))));
  assert.deepEqual(found.entries, answer.entries);
  assert.equal(found.entries[0]!.group, found.entries[2]!.group);
  assert.deepEqual(found.stats.counts(), answer.stats.counts());
  assert.deepEqual([found.warnings, found.fingerprint], [['w'], 'f']);
  const empty = { ...answer, entries: [], fingerprint: null };
  const none = readLogMessage(type.decode(type.encode(logMessage(empty))));
  assert.deepEqual([none.entries, none.fingerprint], [[], null]);
});

test('series arrive as they were, whatever their values', () => {
  const answer: MetricPartAnswer = {
    matrix: {
      timesMs: Float64Array.of(-1, 0.5, 1e15),
      series: [
        { labels: [], values: Float64Array.of(Number.NaN, -0, Infinity), present: Uint8Array.of(1, 1, 1) },
        { labels: [['a', 'a']], values: Float64Array.of(0, 5e-324, 0), present: Uint8Array.of(0, 1, 0) },
      ],
    },
    stats: statsOf(),
    warnings: [],
    fingerprint: null,
  };
  const type = messageType('MetricAnswer');
  const found = readMetricMessage(type.decode(type.encode(metricMessage(answer))));
  assert.deepEqual(found.matrix, answer.matrix);
  assert.ok(Object.is(found.matrix.series[0]!.values[1], -0));
});

test('an answer whose columns do not fit is refused', () => {
  const type = messageType('LogAnswer');
  const refused = { code: 'foreign_message' };
  const figures = { values: {}, warnings: [], fingerprint: '' };
  const eight = Buffer.alloc(8);
  const four = Buffer.alloc(4);
  for (const message of [
    { figures, timestampsNs: eight },
    { figures, timestampsNs: eight, groups: four, lineLengths: four },
    { figures, errors: [''] },
    { figures, lines: eight },
    {},
  ]) {
    assert.throws(() => readLogMessage(type.decode(type.encode(message))), refused);
  }
  const metric = messageType('MetricAnswer');
  assert.throws(
    () => readMetricMessage(metric.decode(metric.encode({ figures, labels: { sizes: [0] }, timesMs: eight }))),
    refused,
  );
  assert.throws(() => type.decode(Buffer.from([0xff, 0xff])), refused);
});

test('figures and fingerprints arrive', () => {
  assert.deepEqual(decodeBytes(encodeBytes({ bytes: 2 ** 50, contextBytes: 0 })), { bytes: 2 ** 50, contextBytes: 0 });
  assert.deepEqual(decodeFingerprints(encodeFingerprints(['a', null, 'b'])), ['a', null, 'b']);
});

test('every kind of request and of word between frontend and querier arrives', () => {
  const works: Work[] = [
    {
      kind: 'whole',
      whole: {
        method: 'POST',
        url: '/x?y=é',
        route: '/label/{name}/values',
        variables: { name: 'a/b' },
        form: 'q=1&q=2',
        headers: { 'x-query-tags': 'a=b' },
      },
    },
    {
      kind: 'log',
      part: {
        query: '{a="é"}',
        startNs: MIN,
        endNs: MAX,
        limit: 4_294_967_295,
        direction: 'forward',
        intervalNs: 1n,
        periodNs: 3_600_000_000_000n,
        wantsFingerprint: true,
      },
    },
    {
      kind: 'metric',
      part: { query: 'q', startNs: -1n, endNs: 0n, stepNs: 1n, splitNs: 0n, maxSeries: 0, wantsFingerprint: false },
    },
    { kind: 'bytes', whole: { query: 'q', startNs: 1n, endNs: 2n, stepNs: 3n }, limitsContext: '{}' },
    {
      kind: 'fingerprints',
      of: {
        query: 'q',
        stepNs: 5n,
        ranges: [
          { startNs: MIN, endNs: 1n },
          { startNs: 2n, endNs: MAX },
        ],
      },
    },
    { kind: 'fingerprints', of: { query: 'q', stepNs: 5n, ranges: [] } },
  ];
  for (const work of works) {
    const tenants = { ids: ['a', 'b'], federated: true };
    const message: ToQuerier = { kind: 'request', request: { number: 9, tenants, timeoutMs: 1.5, queuedMs: 0, work } };
    assert.deepEqual(decodeToQuerier(encodeToQuerier(message)), message);
  }
  const cancel: ToQuerier = { kind: 'cancel', number: 2 ** 32 - 1 };
  assert.deepEqual(decodeToQuerier(encodeToQuerier(cancel)), cancel);

  const failure = { status: 400, message: 'é', code: 'parse_error', headers: { a: 'b' }, retryable: true };
  const words: FromQuerier[] = [
    { number: 0, kind: 'hello', querier: 'q' },
    { number: 1, kind: 'head', head: { status: 200, headers: { 'Content-Type': 'x' } } },
    { number: 1, kind: 'piece', piece: Buffer.from('abc') },
    { number: 1, kind: 'done' },
    { number: 1, kind: 'failure', failure },
    { number: 0, kind: 'leaving' },
  ];
  for (const word of words) assert.deepEqual(decodeFromQuerier(encodeFromQuerier(word)), word);
  assert.throws(() => decodeFromQuerier(Buffer.alloc(0)), { code: 'foreign_message' });
});
