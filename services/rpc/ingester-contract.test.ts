import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Labels } from '../../logql/labels.ts';
import { RegexError } from '../../logql/regex/index.ts';
import type { Matcher, MatchOp } from '../../logql/syntax/ast.ts';
import { columnsOfHead, type HeadRows } from '../../storage/block/index.ts';
import { ALL_TIME, batchOf, headRows, rowsOfRecent, type TestRow } from '../ingester/testdata/fixture.ts';
import { startIngester } from '../ingester/testdata/started.ts';
import { type IngesterClient, PushRejectedError, type RecentRequest } from './ingester.ts';
import { encodePushBatch, type StreamBatch } from './push-batch.ts';
import { serve } from './testing/served-ingester.ts';

type Overrides = Parameters<typeof startIngester>[0];
type Case = (client: IngesterClient) => Promise<void>;

const matcher = (name: string, op: MatchOp, value: string): Matcher => ({ kind: 'matcher', name, op, value });
const ANY = [matcher('app', '=~', '.+')];
const asking = (change: Partial<RecentRequest> = {}): RecentRequest => ({
  tenant: 't',
  matchers: ANY,
  ...ALL_TIME,
  ...change,
});
const T0 = 1_795_000_000_123_456_789n;
const numbered = (from: number, to: number): TestRow[] =>
  Array.from({ length: to - from }, (_, i) => [T0 + BigInt(from + i), `line ${from + i}`]);
const push = (client: IngesterClient, labels: string, rows: readonly TestRow[]) =>
  client.push(batchOf('t', { labels, rows }));

/** One stream of `rows` lines of `length` bytes, as a push. */
function bulk(labels: string, rows: number, length: number): Buffer {
  const source = Buffer.alloc(rows * length, 'abcdefghij klmnopqrst');
  return encodePushBatch('t', [
    {
      labels,
      baseNs: T0,
      firstRow: 0,
      rowCount: rows,
      offsetsNs: Float64Array.from({ length: rows }, (_, i) => i),
      source,
      lineStarts: Uint32Array.from({ length: rows }, (_, i) => i * length),
      lineLengths: new Uint32Array(rows).fill(length),
      metaIndexes: new Uint32Array(rows),
      metaSetCount: 0,
      metaEnds: new Uint32Array(0),
      metaBytes: new Uint8Array(0),
      ascending: true,
    },
  ]);
}

/** What is in a head, whatever room its columns have. */
const contentOf = (head: HeadRows) => ({
  rows: headRows(head),
  ascending: head.ascending,
  size: head.metadataBytes,
});

/** The same ingester in the process and behind gRPC. */
function inBoth(name: string, run: Case, overrides: Overrides = {}): void {
  it(`${name} (in the process)`, async () => {
    await using own = await startIngester(overrides);
    await run(own.ingester);
  });
  it(`${name} (over gRPC)`, async () => {
    await using own = await startIngester(overrides);
    await using served = await serve(own.ingester);
    await run(served.remote);
    assert.equal(served.remote.inflightBytes, 0);
  });
}

describe('an ingester', () => {
  inBoth('answers what was pushed, to the nanosecond, in any script, with its metadata', async (client) => {
    const set = { trace: 'ключ', detected_level: 'info' };
    const extremes = [-(2n ** 63n) + 5n, -1n, 0n, 2n ** 63n - 5n];
    await push(client, '{app="ä", ключ="✓ 世界 😀"}', [
      [T0, 'drei ü', set],
      [T0 + 1n, ''],
      [T0 + 2n, '😀', set],
    ]);
    for (const [i, ns] of extremes.entries()) await push(client, `{app="x${i}"}`, [[ns, `at ${ns}`]]);
    const rows = rowsOfRecent(await client.recent(asking()));
    assert.equal(rows.length, 7);
    assert.ok(rows.some((row) => row.startsWith(`{app="ä", ключ="✓ 世界 😀"} ${T0} drei ü "`)));
    for (const [i, ns] of extremes.entries()) assert.ok(rows.includes(`{app="x${i}"} ${ns} at ${ns}`));
    assert.equal((await client.recent(asking({ startNs: T0 + 2n, endNs: T0 + 2n })))[0]!.labels[0]![1], 'ä');
    assert.deepEqual(await client.recent(asking({ startNs: T0 + 3n, endNs: T0 + 4n })), []);
  });

  inBoth('answers about labels and sizes', async (client) => {
    for (const [i, labels] of ['{app="b", env="ö"}', '{app="a", env="dev"}', '{app="c"}'].entries()) {
      await push(client, labels, numbered(i, i + 2));
    }
    const series = await client.series(asking({ matchers: [matcher('env', '!=', '')] }));
    assert.deepEqual(series.map((labels) => labels.flat()).sort(), [
      ['app', 'a', 'env', 'dev'],
      ['app', 'b', 'env', 'ö'],
    ]);
    assert.deepEqual(await client.labelNames(asking()), ['app', 'env']);
    assert.deepEqual(await client.labelNames(asking({ matchers: [matcher('app', '=', 'c')] })), ['app']);
    assert.deepEqual(await client.labelValues('app', asking()), ['a', 'b', 'c']);
    assert.deepEqual(await client.labelValues('none', asking()), []);
    assert.deepEqual(await client.stats(asking()), { streams: 3, chunks: 3, rows: 6, bytes: 36 });
    assert.deepEqual(await client.stats(asking({ tenant: 'other' })), { streams: 0, chunks: 0, rows: 0, bytes: 0 });
    assert.deepEqual(await client.recent(asking({ tenant: 'other' })), []);
    assert.deepEqual(await client.series(asking({ startNs: 0n, endNs: 1n })), []);
  });

  inBoth(
    'refuses with status and text, however long the text is',
    async (client) => {
      const name = 'ü'.repeat(40_000);
      await push(client, `{app="${name}"}`, [[T0, 'x']]);
      await assert.rejects(push(client, `{app="${name}2"}`, [[T0, 'x']]), (error: unknown) => {
        assert.ok(error instanceof PushRejectedError);
        assert.equal(error.status, 429);
        assert.ok(
          error.message.startsWith(
            `maximum active stream limit exceeded when trying to create stream {app="${name}2"}`,
          ),
        );
        return true;
      });
      assert.equal((await client.recent(asking())).length, 1);
    },
    { limits: { max_streams_per_user: 1, max_global_streams_per_user: 0 } },
  );

  inBoth('says of a pattern that it is none', async (client) => {
    await push(client, '{app="a"}', [[T0, 'x']]);
    const bad = asking({ matchers: [matcher('app', '=~', '(')] });
    await assert.rejects(client.recent(bad), RegexError);
    await assert.rejects(client.stats(bad), RegexError);
  });

  inBoth('lets its rows be followed', async (client) => {
    const got: string[] = [];
    const onRows = (labels: Labels, rows: StreamBatch): void => {
      got.push(`${labels.flat().join()} ${rows.rowCount} ${rows.baseNs} ${rows.lineBytes}`);
      if (got.length === 2) both.resolve();
    };
    const both = Promise.withResolvers<void>();
    const stop = client.tail('t', [matcher('app', '=~', 'a|ж')], onRows, (error) => both.reject(error));
    await client.recent(asking()); // answered once rows are followed
    await push(client, '{app="a"}', numbered(0, 2));
    await push(client, '{app="b"}', numbered(0, 1));
    await push(client, '{app="ж"}', [[T0, 'ü', { trace: 'x' }]]);
    await both.promise;
    assert.deepEqual(got, [`app,a 2 ${T0} line 0line 1`, `app,ж 1 ${T0} ü`]);
    stop();
    stop();
    await push(client, '{app="a"}', numbered(2, 3));
    await client.recent(asking());
    assert.equal(got.length, 2);
  });

  inBoth('hands out a big push whole to who follows it', async (client) => {
    let rows = 0;
    let bytes = 0;
    const all = Promise.withResolvers<void>();
    client.tail('t', ANY, (_, batch) => {
      rows += batch.rowCount;
      bytes += batch.lineBytes.length;
      if (rows === 30_000) all.resolve();
    });
    await client.recent(asking());
    await client.push(bulk('{app="a"}', 30_000, 100));
    await all.promise;
    assert.equal(bytes, 3_000_000);
  });

  inBoth('stores everything when it is told to', async (client) => {
    await push(client, '{app="a"}', numbered(0, 10));
    assert.equal((await client.stats(asking())).rows, 10);
    await client.flush();
    assert.deepEqual(await client.recent(asking()), []);
  });

  inBoth(
    'has twenty thousand streams',
    async (client) => {
      for (let part = 0; part < 4; part++) {
        const streams = Array.from({ length: 5000 }, (_, i) => ({
          labels: `{app="service-${part * 5000 + i}", namespace="a-namespace-of-some-length"}`,
          rows: numbered(i, i + 1),
        }));
        await client.push(batchOf('t', ...streams));
      }
      const recent = await client.recent(asking());
      assert.equal(recent.length, 20_000);
      assert.equal(new Set(rowsOfRecent(recent)).size, 20_000);
      assert.equal((await client.series(asking())).length, 20_000);
      const values = await client.labelValues('app', asking());
      assert.deepEqual(values, [...values].sort());
      assert.equal(values.length, 20_000);
    },
    { limits: { max_global_streams_per_user: 0 } },
  );

  inBoth(
    'has 50 MB in heads',
    async (client) => {
      for (let i = 0; i < 25; i++) await client.push(bulk(`{app="${i}"}`, 20_000, 100));
      const recent = await client.recent(asking());
      const lines = Buffer.alloc(2_000_000, 'abcdefghij klmnopqrst');
      let bytes = 0;
      for (const { blocks, heads } of recent) {
        assert.equal(blocks.length, 0);
        for (const rows of heads) {
          const head = columnsOfHead(rows);
          assert.equal(head.rowCount, 20_000);
          assert.equal(head.offsetsNs[19_999], 19_999);
          bytes += head.lineEnds[19_999]!;
          assert.ok(lines.equals(head.bytes.subarray(0, lines.length)));
        }
      }
      assert.equal(bytes, 50_000_000);
    },
    { config: { blockBytes: 64 << 20, blockRows: 1 << 30, maxHeadBytes: 256 << 20 } },
  );
});

describe('an answer over gRPC', () => {
  it('is what the ingester has, blocks to the byte, in memory of exactly its size', async () => {
    await using own = await startIngester({ config: { blockRows: 1500 } });
    await using served = await serve(own.ingester);
    await push(own.ingester, '{app="a"}', numbered(0, 2000));
    await push(own.ingester, '{app="a"}', [
      [T0 + 5000n, 'x', { trace: 'one' }],
      [T0 + 5001n, 'y', { trace: 'two' }],
      [T0 + 5001n, 'y'],
    ]);
    await push(own.ingester, '{app="b"}', numbered(0, 3));
    let here = await own.ingester.recent(asking());
    while (here[0]!.blocks.length === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      here = await own.ingester.recent(asking());
    }
    const there = await served.remote.recent(asking());
    const plain = (recent: typeof here) =>
      recent.map(({ labels, blocks, heads }) => ({
        labels,
        blocks: blocks.map(({ bytes, stats, filter }) => ({
          bytes: Buffer.from(bytes),
          stats,
          filter: Buffer.from(filter),
        })),
        heads: heads.map(contentOf),
      }));
    assert.deepEqual(plain(there), plain(here));
    for (const { blocks, heads } of there) {
      for (const { bytes, filter } of blocks) {
        assert.equal(bytes.byteLength, bytes.buffer.byteLength);
        assert.ok(bytes.buffer instanceof SharedArrayBuffer, 'workers need no copy');
        assert.equal(filter.byteLength, filter.buffer.byteLength);
      }
      for (const head of heads) {
        const { offsetsNs, lineEnds, metaIndexes, metaEnds, metaBytes, bytes } = columnsOfHead(head);
        const columns = [offsetsNs, lineEnds, metaIndexes, metaEnds, metaBytes, bytes];
        assert.equal(
          columns.reduce((sum, column) => sum + column.byteLength, 0),
          offsetsNs.buffer.byteLength,
        );
        for (const column of columns) assert.equal(column.buffer, offsetsNs.buffer);
      }
    }
  });
});
