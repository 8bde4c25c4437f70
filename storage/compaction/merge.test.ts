import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseLogSelector } from '../../logql/syntax/index.ts';
import { MemoryStore } from '../../test/faults/memory-store.ts';
import { type BlockLimits, defaultBlockLimits, encodeBlocks, openBlock } from '../block/index.ts';
import { headOf, rowTexts, type TestRow } from '../block/testing/heads.ts';
import { systemClock } from '../host/clock.ts';
import { newSegmentId, SegmentReader, writeSegment } from '../segment/index.ts';
import { type MergeRequest, mergeSegments } from './index.ts';

const ID_PREFIX = newSegmentId(1_700_000_000_000).slice(0, 24);
const APPS = ['a', 'b', 'c'];

/** Each segment: rows by stream, in order of arrival. */
async function stored(
  store: MemoryStore,
  segments: readonly ReadonlyMap<string, readonly TestRow[]>[],
  limits: BlockLimits,
) {
  const keys: string[] = [];
  for (const streams of segments) {
    const series = [...streams].map(([app, rows]) => ({
      labels: [['app', app]] as const,
      blocks: encodeBlocks(headOf(rows), limits),
    }));
    const { key, pieces } = writeSegment('t', series, systemClock);
    await store.put(key, pieces);
    keys.push(key);
  }
  return keys;
}

const requestOf = (sources: string[], own: Partial<MergeRequest> = {}): MergeRequest => ({
  tenant: 't',
  sources,
  idPrefix: ID_PREFIX,
  maxBytes: 2 ** 27,
  cutsNs: [],
  expiry: null,
  deletes: [],
  limits: defaultBlockLimits,
  ...own,
});

/** Rows of each stream in the order in which its blocks hold them. */
async function rowsOf(store: MemoryStore, key: string): Promise<Map<string, string[]>> {
  const reader = await SegmentReader.open(store, key);
  const found = new Map<string, string[]>();
  for (let s = 0; s < reader.footer.seriesCount; s++) {
    const texts: string[] = [];
    for (const place of reader.footer.blocksOf(s, -(2n ** 63n), 2n ** 63n - 1n)) {
      const block = await reader.openBlock(place);
      assert.deepEqual(block.stats, place.stats);
      texts.push(...rowTexts(block.columns({ lines: true, metadata: null })));
    }
    found.set(reader.footer.labelsOf(s)[0]![1], texts);
  }
  return found;
}

/** What a merge must give: rows by time, then arrival, each distinct one once. */
function expected(
  segments: readonly ReadonlyMap<string, readonly TestRow[]>[],
  app: string,
  keep: (row: TestRow) => boolean,
) {
  const all = segments.flatMap((streams) => streams.get(app) ?? []).filter(keep);
  const sorted = all.map((row, i) => ({ row, i })).sort((x, y) => Number(x.row.ns - y.row.ns) || x.i - y.i);
  const texts = sorted.map(({ row }) =>
    JSON.stringify([String(row.ns), Buffer.from(row.line as string).toString('latin1'), row.metadata ?? []]),
  );
  return [...new Set(texts)];
}

const arbitraryRow = fc.record({
  ns: fc.bigInt({ min: 0n, max: 60n }),
  line: fc.constantFrom('x', 'y', 'error', 'žlutý', ''),
  metadata: fc.constantFrom<[string, string][]>(
    [],
    [['k', 'v']],
    [['k', 'w']],
    [
      ['j', ''],
      ['k', 'v'],
    ],
  ),
});
const arbitrarySegments = fc.array(
  fc.array(fc.tuple(fc.constantFrom(...APPS), fc.array(arbitraryRow, { minLength: 1, maxLength: 12 })), {
    minLength: 1,
    maxLength: 3,
  }),
  { minLength: 1, maxLength: 5 },
);

describe('mergeSegments', () => {
  it('gives what sorting all rows and dropping repetitions and deleted rows gives', async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitrarySegments,
        fc.constantFrom(1, 3, 16_384),
        fc.boolean(),
        fc.bigInt({ min: 0n, max: 60n }),
        async (lists, maxRows, deletes, at) => {
          const limits = { ...defaultBlockLimits, maxRows };
          const segments = lists.map((list) => new Map(list));
          const store = new MemoryStore();
          const sources = await stored(store, segments, limits);
          const { matchers, stages } = parseLogSelector('{app="a"} |= "r"');
          const all = parseLogSelector('{app=~"a|b"}');
          const request = requestOf(sources, {
            limits,
            expiry: deletes
              ? {
                  nowNs: 100n,
                  periodNs: 0n,
                  streams: [{ matchers: parseLogSelector('{app="c"}').matchers, priority: 0, periodNs: at }],
                }
              : null,
            deletes: deletes
              ? [
                  { id: '1', matchers, stages, startNs: at, endNs: 40n },
                  { id: '2', matchers: all.matchers, stages: [], startNs: 5n, endNs: 8n },
                ]
              : [],
          });
          const { outputs, isChanged } = await mergeSegments(store, request);
          const keep = (app: string) => (row: TestRow) => {
            if (!deletes) return true;
            if (app === 'c') return at === 0n || row.ns >= 100n - at;
            if (row.ns >= 5n && row.ns <= 8n) return false;
            return !(app === 'a' && String(row.line).includes('r') && row.ns >= at && row.ns <= 40n);
          };
          assert.ok(outputs.length <= 1);
          if (!isChanged) assert.equal(sources.length, 1);
          if (!isChanged) return;
          const found = outputs[0] ? await rowsOf(store, outputs[0].key) : new Map<string, string[]>();
          for (const app of APPS) {
            const rows = found.get(app) ?? [];
            assert.deepEqual([...rows].sort(), expected(segments, app, keep(app)).sort());
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('copies blocks that overlap no other as they are', async () => {
    const store = new MemoryStore();
    const rows = (from: number) =>
      Array.from({ length: 4000 }, (_, i) => ({ ns: BigInt(from + i), line: `line ${from + i}` }));
    const segments = [0, 10_000, 20_000].map((from) => new Map([['a', rows(from)]]));
    const sources = await stored(store, segments, defaultBlockLimits);
    const result = await mergeSegments(store, requestOf(sources));
    assert.deepEqual([result.copiedBlocks, result.writtenBlocks], [3, 0]);
    const [output] = result.outputs;
    const merged = await SegmentReader.open(store, output!.key);
    const places = merged.footer.blocksOf(0, 0n, 2n ** 62n);
    for (const [i, source] of sources.entries()) {
      const reader = await SegmentReader.open(store, source);
      const [place] = reader.footer.blocksOf(0, 0n, 2n ** 62n);
      const bytes = (key: string, at: typeof place) => store.get(key, { offset: at!.offset, length: at!.length });
      assert.deepEqual(await bytes(output!.key, places[i]), await bytes(source, place));
    }
  });

  it('joins small blocks, and rows of one time in order of arrival', async () => {
    const store = new MemoryStore();
    const segments = Array.from({ length: 8 }, (_, i) => new Map([['a', [{ ns: BigInt(i >> 1), line: `line ${i}` }]]]));
    const sources = await stored(store, segments, defaultBlockLimits);
    const { outputs, writtenBlocks } = await mergeSegments(store, requestOf(sources));
    assert.equal(writtenBlocks, 1);
    assert.deepEqual(
      (await rowsOf(store, outputs[0]!.key)).get('a'),
      expected(segments, 'a', () => true),
    );
  });

  it('holds a stretch of a stream at a time, however much overlaps', async () => {
    const store = new MemoryStore();
    const line = 'x'.repeat(250_000);
    const segments = Array.from(
      { length: 12 },
      (_, s) =>
        new Map([['a', Array.from({ length: 20 }, (_, i) => ({ ns: BigInt(i * 12 + s), line: `${s} ${i} ${line}` }))]]),
    );
    const sources = await stored(store, segments, defaultBlockLimits);
    const output = (await mergeSegments(store, requestOf(sources))).outputs[0]!;
    const reader = await SegmentReader.open(store, output.key);
    let last = -1n;
    let rows = 0;
    for (const place of reader.footer.blocksOf(0, 0n, 2n ** 62n)) {
      const bytes = await store.get(output.key, { offset: place.offset, length: place.length });
      const { stats } = openBlock(bytes);
      assert.ok(stats.minNs > last, 'blocks follow each other');
      last = stats.maxNs;
      rows += stats.rowCount;
    }
    assert.equal(rows, 240);
  });

  it('says which segment is corrupt', async () => {
    const store = new MemoryStore();
    const segments = [1, 2].map((s) => new Map([['a', [{ ns: 1n, line: `line ${s}` }]]]));
    const sources = await stored(store, segments, defaultBlockLimits);
    store.objects.get(sources[1]!)!.fill(7, 8, 60);
    const { corrupt, outputs } = await mergeSegments(store, requestOf(sources));
    assert.equal(corrupt?.segmentKey, sources[1]);
    assert.deepEqual(outputs, []);
  });
});
