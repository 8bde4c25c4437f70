/** Merging what several writers stored of the same streams, into several segments. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MemoryStore } from '../../test/faults/memory-store.ts';
import { defaultBlockLimits, encodeBlocks } from '../block/index.ts';
import { headOf, rowText, rowTexts, type TestRow } from '../block/testing/heads.ts';
import { systemClock } from '../host/clock.ts';
import { newSegmentId, parseSegmentKey, SegmentReader, writeSegment } from '../segment/index.ts';
import { findOverlaps, mergeSegments } from './index.ts';
import { stretchOf } from './outputs.ts';

const APPS = ['a', 'b', 'c', 'd', 'e'];
const EVER = { startNs: -(2n ** 62n), endNs: 2n ** 62n };
const ID_PREFIX = newSegmentId(1_700_000_000_000).slice(0, 24);

/** What a writer has: of each push to a stream some rows; where it cuts segments; all in order of arrival. */
interface Push {
  readonly app: string;
  readonly rows: readonly TestRow[];
  /** Per writer: whether the push reached it, and whether it stored a segment after it. */
  readonly writers: readonly { readonly has: boolean; readonly cuts: boolean }[];
}

const row: fc.Arbitrary<TestRow> = fc.record({
  ns: fc.bigInt({ min: 0n, max: 200n }),
  line: fc.constantFrom('x', 'y', 'error', 'žlutý', '', 'a longer line of text'),
  metadata: fc.constantFrom<[string, string][]>(
    [],
    [['k', 'v']],
    [
      ['j', ''],
      ['k', 'v'],
    ],
  ),
});
const writer = fc.record({
  has: fc.boolean().chain((twice) => (twice ? fc.constant(true) : fc.boolean())),
  cuts: fc.nat({ max: 5 }).map((n) => n === 0),
});
const pushes: fc.Arbitrary<Push[]> = fc.array(
  fc.record({
    app: fc.constantFrom(...APPS),
    rows: fc.array(row, { minLength: 1, maxLength: 10 }),
    writers: fc.array(writer, { minLength: 3, maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 40 },
);

/** Stores the segments of each writer; keys are in order of arrival. */
async function stored(store: MemoryStore, all: readonly Push[], maxRows: number): Promise<string[]> {
  const keys: string[] = [];
  const heads = [0, 1, 2].map(() => new Map<string, TestRow[]>());
  const cut = async (head: Map<string, TestRow[]>) => {
    if (head.size === 0) return;
    const series = [...head].map(([app, rows]) => ({
      labels: [['app', app]] as const,
      blocks: encodeBlocks(headOf(rows), { ...defaultBlockLimits, maxRows }),
    }));
    head.clear();
    const segment = writeSegment('t', series, systemClock);
    await store.put(segment.key, segment.pieces);
    keys.push(segment.key);
  };
  for (const { app, rows, writers } of all) {
    for (const [w, { has, cuts }] of writers.entries()) {
      const head = heads[w]!;
      if (has) head.set(app, [...(head.get(app) ?? []), ...rows]);
      if (cuts) await cut(head);
    }
  }
  for (const head of heads) await cut(head);
  return keys;
}

/** Rows of the segments by stream, each as often as it is there, and the segments that have the stream. */
async function contents(store: MemoryStore, keys: readonly string[]) {
  const streams = new Map<string, { rows: string[]; segments: string[]; bytes: number[] }>();
  for (const key of keys) {
    const reader = await SegmentReader.open(store, key);
    for (let s = 0; s < reader.footer.seriesCount; s++) {
      const app = reader.footer.labelsOf(s)[0]![1];
      const stream = streams.get(app) ?? { rows: [], segments: [], bytes: [] };
      streams.set(app, stream);
      stream.segments.push(key);
      for (const place of reader.footer.blocksOf(s, EVER.startNs, EVER.endNs)) {
        const block = await reader.openBlock(place);
        assert.deepEqual(block.stats, place.stats);
        stream.rows.push(...rowTexts(block.columns({ lines: true, metadata: null })));
      }
    }
    assert.equal((await reader.filters()).length, reader.footer.filters.length, 'filters are whole');
  }
  return streams;
}

describe('segments of several writers', () => {
  it('become one copy, in segments that divide streams and time between them', async () => {
    let several = 0;
    await fc.assert(
      fc.asyncProperty(
        pushes,
        fc.constantFrom(1, 3, 16_384),
        fc.constantFrom(400, 1500, 2 ** 27),
        fc.uniqueArray(fc.bigInt({ min: 1n, max: 200n }), { maxLength: 3 }),
        async (all, maxRows, maxBytes, cuts) => {
          const store = new MemoryStore();
          const sources = await stored(store, all, maxRows);
          if (sources.length === 0) return;
          const cutsNs = cuts.toSorted((a, b) => Number(a - b));
          const request = {
            tenant: 't',
            sources,
            idPrefix: ID_PREFIX,
            maxBytes,
            cutsNs,
            expiry: null,
            deletes: [],
            limits: { ...defaultBlockLimits, maxRows },
          };
          const { outputs, isChanged, corrupt } = await mergeSegments(store, request);
          assert.equal(corrupt, null);
          if (!isChanged) return;
          const keys = outputs.map(({ key }) => key);
          if (keys.length > 1) several++;
          const found = await contents(store, keys);
          const model = new Map<string, Set<string>>();
          const before = await contents(store, sources);
          for (const { app, rows, writers } of all) {
            if (!writers.some(({ has }) => has)) continue;
            const known = model.get(app) ?? new Set();
            model.set(app, known);
            for (const one of rows) known.add(rowText(one));
          }
          assert.deepEqual(new Set(found.keys()), new Set(model.keys()));
          for (const [app, { rows, segments }] of found) {
            assert.deepEqual(rows.toSorted(), [...model.get(app)!].sort(), 'each row once');
            const times = rows.map((text) => BigInt((JSON.parse(text) as [string])[0]));
            for (const ns of new Set(times)) {
              // Of rows of one time the first to arrive comes first, whoever stored it.
              const at = (text: string) => text.startsWith(`["${ns}",`);
              assert.deepEqual(rows.filter(at), [...new Set(before.get(app)!.rows.filter(at))], app);
            }
            if (maxBytes === 2 ** 27) {
              const stretches = segments.map((key) => stretchOf(cutsNs, parseSegmentKey(key)!.minNs));
              assert.equal(new Set(stretches).size, segments.length, 'a stream is in one segment of a time');
            }
          }
          for (const key of keys) {
            const { minNs, maxNs } = parseSegmentKey(key)!;
            assert.equal(stretchOf(cutsNs, minNs), stretchOf(cutsNs, maxNs), 'no segment lies across a cut');
            assert.ok(key.includes(ID_PREFIX));
          }
          const left = await findOverlaps(store, { segments: keys, ...EVER });
          assert.deepEqual(left, { groups: [], corrupt: [] }, 'nothing is left to bring together');
        },
      ),
      { numRuns: 250 },
    );
    assert.ok(several > 50, `${several} merges made several segments`);
  });

  it('are divided by size: each output ends with the last stream that fits', async () => {
    const store = new MemoryStore();
    const rows = (app: number, count: number) =>
      Array.from({ length: count }, (_, i) => ({ ns: BigInt(i), line: `${Math.sin(app * 1000 + i)}`.repeat(4) }));
    const streams = Array.from({ length: 40 }, (_, app) => ({
      labels: [['app', String(app).padStart(2, '0')]] as const,
      blocks: encodeBlocks(headOf(rows(app, app === 20 ? 5000 : 100)), { ...defaultBlockLimits, maxRows: 500 }),
    }));
    const sources: string[] = [];
    for (let writer = 0; writer < 3; writer++) {
      const { key, pieces } = writeSegment('t', streams, systemClock);
      await store.put(key, pieces);
      sources.push(key);
    }
    const maxBytes = 20_000;
    const { outputs, copiedBlocks, writtenBlocks } = await mergeSegments(store, {
      tenant: 't',
      sources,
      idPrefix: ID_PREFIX,
      maxBytes,
      cutsNs: [],
      expiry: null,
      deletes: [],
      limits: { ...defaultBlockLimits, maxRows: 500 },
    });
    assert.deepEqual([copiedBlocks, writtenBlocks], [49, 0], 'replicas that are alike are not even decoded');
    assert.ok(outputs.length > 5);
    const found = await contents(
      store,
      outputs.map(({ key }) => key),
    );
    const split = [...found].filter(([, { segments }]) => segments.length > 1).map(([app]) => app);
    assert.deepEqual(split, ['20'], 'only what is larger than a segment is in several');
    for (const { sizeBytes } of outputs) assert.ok(sizeBytes < 1.2 * maxBytes, `${sizeBytes} bytes`);
  });

  it('are found by what overlaps in a stream, directly or by way of others', async () => {
    const interval = fc.record({
      app: fc.constantFrom(...APPS),
      from: fc.nat({ max: 60 }),
      length: fc.nat({ max: 12 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uniqueArray(interval, { minLength: 1, maxLength: 3, selector: ({ app }) => app }), {
          maxLength: 12,
        }),
        fc.nat({ max: 60 }),
        fc.nat({ max: 60 }),
        async (lists, start, length) => {
          const store = new MemoryStore();
          const segments: string[] = [];
          for (const list of lists) {
            const series = list.map(({ app, from, length }) => ({
              labels: [['app', app]] as const,
              blocks: encodeBlocks(headOf([from, from + length].map((at) => ({ ns: BigInt(at), line: 'x' })))),
            }));
            const { key, pieces } = writeSegment('t', series, systemClock);
            await store.put(key, pieces);
            segments.push(key);
          }
          const end = start + length + 1;
          const meet = (i: number, j: number): boolean =>
            lists[i]!.some((a) =>
              lists[j]!.some((b) => {
                const from = Math.max(a.from, b.from, start);
                return a.app === b.app && from <= Math.min(a.from + a.length, b.from + b.length, end - 1);
              }),
            );
          const model = lists.map((_, i) => i);
          for (let round = 0; round < lists.length; round++) {
            for (let i = 0; i < lists.length; i++) {
              for (let j = 0; j < i; j++) {
                if (meet(i, j)) model[i] = model[j] = Math.min(model[i]!, model[j]!);
              }
            }
          }
          const groups = [...Map.groupBy(model.keys(), (i) => model[i]!).values()].filter((g) => g.length > 1);
          const found = await findOverlaps(store, { segments, startNs: BigInt(start), endNs: BigInt(end) });
          assert.deepEqual(found.groups, groups);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('that cannot be read are named and do not keep others apart', async () => {
    const store = new MemoryStore();
    const segments: string[] = [];
    for (let i = 0; i < 3; i++) {
      const blocks = encodeBlocks(headOf([{ ns: 5n, line: 'x' }]));
      const { key, pieces } = writeSegment('t', [{ labels: [['app', 'a']], blocks }], systemClock);
      await store.put(key, pieces);
      segments.push(key);
    }
    store.objects.get(segments[1]!)!.fill(0);
    assert.deepEqual(await findOverlaps(store, { segments, ...EVER }), { groups: [[0, 2]], corrupt: [1] });
  });
});
