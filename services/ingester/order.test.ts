import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodePushBatch, encodePushBatch } from '../rpc/push-batch.ts';
import { formatGoTime, formatRfc3339Seconds } from './go-time.ts';
import { HeadMemory } from './head-memory.ts';
import { describeRefusals, formatByteSize, judge, type OrderRules } from './order.ts';
import { Stream } from './stream.ts';
import { streamRows, type TestRow } from './testdata/fixture.ts';
import { TokenBucket } from './token-bucket.ts';

const LABELS = '{app="a"}';
const T0 = 1_795_000_000_000_000_000n;
const S = 1_000_000_000n;
const HOUR_NS = 3_600_000_000_000;

const batchOf = (rows: readonly TestRow[]) =>
  decodePushBatch(encodePushBatch('t', [streamRows({ labels: LABELS, rows })])).streams[0]!;

const rulesOf = (overrides: Partial<OrderRules> = {}): OrderRules => ({
  windowNs: HOUR_NS,
  unorderedWrites: true,
  rateLimitWholeStream: true,
  bucket: new TokenBucket(),
  rateBytes: 1e9,
  burstBytes: 1e9,
  nowMs: 0,
  ...overrides,
});

/** Pushes batch after batch; per batch the accepted rows (null: all) and the answer's text. */
function pushAll(batches: readonly (readonly TestRow[])[], overrides: Partial<OrderRules> = {}, maxListed = 10) {
  const stream = new Stream([['app', 'a']], LABELS, new HeadMemory(0));
  const rules = rulesOf(overrides);
  return batches.map((rows) => {
    const batch = batchOf(rows);
    const { rows: accepted, refusals } = judge(batch, stream, rules);
    if (accepted === null || accepted.length > 0) stream.append(batch, accepted, 0);
    const context = { tenant: 'T', batch, rateBytes: rules.rateBytes, maxListed };
    return {
      accepted: accepted === null ? null : [...accepted],
      ...(refusals.length > 0 ? describeRefusals(refusals, context) : {}),
    };
  });
}

describe('order of rows in a stream', () => {
  it('compares with the newest accepted row, those of the same push included', () => {
    const old = T0 - BigInt(HOUR_NS);
    const [first] = pushAll([
      [
        [old, 'first is always fine'],
        [T0, 'newest'],
        [old, 'at the edge'],
        [old - 1n, 'behind'],
      ],
    ]);
    assert.deepEqual(first!.accepted, [0, 1, 2]);
    assert.equal(first!.status, 400);
    const [, second] = pushAll([
      [[T0, 'newest']],
      [
        [old - 1n, 'behind'],
        [old, 'at the edge'],
      ],
    ]);
    assert.deepEqual(second!.accepted, [1]);
  });

  it('names at most so many rows but counts all', () => {
    const late = Array.from({ length: 5 }, (_, i): TestRow => [T0 - 2n * BigInt(HOUR_NS) + BigInt(i) * S, 'late']);
    const [, result] = pushAll([[[T0, 'newest']], late], {}, 2);
    const line = (i: number) => {
      const ns = late[i]![0];
      return `entry with timestamp ${formatGoTime(ns)} ignored, reason: 'entry too far behind, entry timestamp is: ${formatRfc3339Seconds(ns)}, oldest acceptable timestamp is: ${formatRfc3339Seconds(T0 - BigInt(HOUR_NS))}',\n`;
    };
    assert.equal(result!.message, `${line(0)}${line(1)}user 'T', total ignored: 5 out of 5 for stream: {app="a"}`);
  });

  it('refuses every step back when unordered writes are off', () => {
    const [result] = pushAll(
      [
        [
          [T0, 'a'],
          [T0 + S, 'b'],
          [T0, 'c'],
          [T0 + S, 'd'],
        ],
      ],
      { unorderedWrites: false },
    );
    assert.deepEqual(result!.accepted, [0, 1, 3]);
    assert.equal(result!.status, 400);
    assert.equal(
      result!.message,
      `entry with timestamp ${formatGoTime(T0)} ignored, reason: 'entry out of order',\nuser 'T', total ignored: 1 out of 4 for stream: {app="a"}`,
    );
  });

  it('skips what repeats the last stored row, and nothing else', () => {
    const results = pushAll([
      [
        [T0, 'a'],
        [T0, 'a'],
        [T0, 'b'],
        [T0, 'a'],
      ],
      [
        [T0, 'a'],
        [T0 + 1n, 'a'],
      ],
      [
        [T0 + 1n, 'a', { k: 'v' }],
        [T0 + 1n, 'a', { k: 'v' }],
        [T0 + 1n, 'a', { k: 'w' }],
      ],
      [[T0 + 1n, 'a', { k: 'w' }]],
      [[T0 + 1n, 'a']],
    ]);
    assert.deepEqual(
      results.map((r) => r.accepted),
      [[0, 2, 3], [1], [0, 2], [], null],
    );
  });

  it('knows the last row also after it was cut', () => {
    const stream = new Stream([['app', 'a']], LABELS, new HeadMemory(0));
    const batch = batchOf([
      [T0, 'a'],
      [T0 + 1n, 'b', { k: 'v' }],
    ]);
    stream.append(batch, null, 0);
    stream.cut();
    assert.deepEqual([...judge(batchOf([[T0 + 1n, 'b', { k: 'v' }]]), stream, rulesOf()).rows!], []);
    assert.equal(judge(batchOf([[T0 + 1n, 'b']]), stream, rulesOf()).rows, null);
    stream.forgetLast();
    assert.equal(judge(batchOf([[T0 + 1n, 'b', { k: 'v' }]]), stream, rulesOf()).rows, null);
  });
});

describe('rate of a stream', () => {
  const text = (ns: bigint, bytes: number) =>
    `entry with timestamp ${formatGoTime(ns)} ignored, reason: 'Per stream rate limit exceeded (limit: 100B/sec) while attempting to ingest for stream '{app="a"}' totaling ${bytes}B, consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased',\n`;
  const rows: TestRow[] = [
    [T0, 'x'.repeat(60)],
    [T0 + 1n, 'y'.repeat(50), { detected_level: 'info', k: 'value' }],
    [T0 + 2n, 'z'.repeat(40)],
  ];

  it('refuses all rows of a push that does not fit, with sharding of streams on', () => {
    const [result] = pushAll([rows], { rateBytes: 100, burstBytes: 100 });
    assert.deepEqual(result!.accepted, []);
    assert.equal(result!.status, 429);
    assert.equal(
      result!.message,
      `${text(T0, 60)}${text(T0 + 1n, 56)}${text(T0 + 2n, 40)}user 'T', total ignored: 3 out of 3 for stream: {app="a"}`,
    );
  });

  it('judges row by row with sharding off, and lets tokens come back', () => {
    const rules = { rateBytes: 100, burstBytes: 100, rateLimitWholeStream: false };
    const [result] = pushAll([rows], rules);
    assert.deepEqual(result!.accepted, [0, 2]);
    assert.equal(result!.status, 429);
    assert.equal(result!.message, `${text(T0 + 1n, 56)}user 'T', total ignored: 1 out of 3 for stream: {app="a"}`);
    const bucket = new TokenBucket();
    const at = (nowMs: number) => ({ rateBytes: 100, burstBytes: 150, nowMs });
    assert.deepEqual(
      [
        bucket.allow(151, at(0)),
        bucket.allow(150, at(0)),
        bucket.allow(1, at(0)),
        bucket.allow(50, at(500)),
        bucket.allow(1, at(500)),
      ],
      [false, true, false, true, false],
    );
  });

  it('gives tokens also after the clock was set back', () => {
    const bucket = new TokenBucket();
    const at = (nowMs: number) => ({ rateBytes: 100, burstBytes: 100, nowMs });
    assert.deepEqual(
      [
        bucket.allow(100, at(1_000_000)),
        bucket.allow(100, at(0)),
        bucket.allow(100, at(500)),
        bucket.allow(100, at(1000)),
      ],
      [true, false, false, true],
    );
  });

  it('prints sizes by the largest unit that divides them', () => {
    assert.deepEqual([0, 60, 1024, 3 << 20, 1536 << 10, 1500, 2 ** 30].map(formatByteSize), [
      '0B',
      '60B',
      '1KB',
      '3MB',
      '1536KB',
      '1500B',
      '1GB',
    ]);
  });
});

describe('timestamps as Go prints them', () => {
  it('drops zeros at the end of the fraction, and knows the zero time', () => {
    assert.equal(formatGoTime(1_795_171_800_123_456_789n), '2026-11-20 10:50:00.123456789 +0000 UTC');
    assert.equal(formatGoTime(1_795_171_800_120_000_000n), '2026-11-20 10:50:00.12 +0000 UTC');
    assert.equal(formatGoTime(1_795_171_800_000_000_000n), '2026-11-20 10:50:00 +0000 UTC');
    assert.equal(formatGoTime(-1n), '1969-12-31 23:59:59.999999999 +0000 UTC');
    assert.equal(formatGoTime(-6795364578871345152n), '0001-01-01 00:00:00 +0000 UTC');
    assert.equal(formatRfc3339Seconds(-6795364578871345152n), '0001-01-01T00:00:00Z');
    assert.equal(formatRfc3339Seconds(1_795_171_800_999_999_999n), '2026-11-20T10:50:00Z');
  });
});
