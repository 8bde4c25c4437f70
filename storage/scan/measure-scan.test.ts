import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { defaultBlockLimits, encodeBlocks, openBlock } from '../block/index.ts';
import { arbitraryRows } from '../block/testing/arbitrary-rows.ts';
import { headOf, type TestRow } from '../block/testing/heads.ts';
import type { DeleteRule } from '../compaction/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { BlockSource } from './block-source.ts';
import { measureUnits } from './measure-scan.ts';
import { timeBuckets } from './time-buckets.ts';
import { type BlockRef, groupOverlapping, headRef, memoryRef, storedRef } from './units.ts';

type Place = 'head' | 'memory' | 'stored';
interface Span {
  readonly startNs: bigint;
  readonly endNs: bigint;
}

const running = new Int32Array(new SharedArrayBuffer(4));

/** Blocks of at most seven rows, in the place named; what is stored goes to `objects`. */
function refsOf(place: Place, rows: readonly TestRow[], objects: Map<string, Uint8Array>): BlockRef[] {
  const head = headOf(rows);
  if (place === 'head') return [headRef(head)!];
  return encodeBlocks(head, { ...defaultBlockLimits, maxRows: 7 }).map((block) => {
    if (place === 'memory') return memoryRef(block);
    const segmentKey = `segment ${objects.size}`;
    objects.set(segmentKey, block.bytes);
    const { linesOffset } = openBlock(block.bytes);
    return storedRef({ segmentKey, offset: 0, length: block.bytes.length, linesOffset, stats: block.stats });
  });
}

function sourceOf(objects: ReadonlyMap<string, Uint8Array>): BlockSource {
  const get: ObjectStore['get'] = async (key, range) => {
    const bytes = objects.get(key)!;
    return range ? bytes.subarray(range.offset, range.offset + range.length) : bytes;
  };
  return new BlockSource({ get } as Partial<ObjectStore> as ObjectStore);
}

function sizeOf({ line, metadata = [] }: TestRow): number {
  return metadata
    .filter(([name]) => name !== 'detected_level')
    .reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), Buffer.from(line as string).length);
}

/** Each row once, as one plain loop counts them. */
function count(rows: readonly TestRow[], spans: readonly Span[], deletes: readonly DeleteRule[]): number[][] {
  const isIn = (ns: bigint, span: Span) => ns >= span.startNs && ns <= span.endNs;
  const sums = spans.map(() => [0, 0]);
  const seen = new Set<string>();
  for (const row of rows) {
    const key = JSON.stringify([`${row.ns}`, Buffer.from(row.line as string).toString('hex'), row.metadata]);
    if (seen.has(key)) continue;
    seen.add(key);
    if (deletes.some((rule) => isIn(row.ns, rule))) continue;
    spans.forEach((span, i) => {
      if (!isIn(row.ns, span)) return;
      sums[i]![0]! += 1;
      sums[i]![1]! += sizeOf(row);
    });
  }
  return sums;
}

const parts = fc.array(
  fc.record({ place: fc.constantFrom<Place>('head', 'memory', 'stored'), rows: arbitraryRows, again: fc.boolean() }),
  { minLength: 1, maxLength: 4 },
);
/** Times at which spans begin and end: at rows and right beside them. */
const edges = fc.array(fc.tuple(fc.nat(), fc.bigInt(-1n, 1n)), { minLength: 2, maxLength: 9 });

describe('measureUnits', () => {
  it('counts every row once in its bucket, whatever blocks it lies in', async () => {
    await fc.assert(
      fc.asyncProperty(parts, edges, fc.boolean(), fc.nat(500), async (given, edgesOf, isDeleting, bytes) => {
        const objects = new Map<string, Uint8Array>();
        const all = given.flatMap(({ rows }) => rows);
        const blocks = given.flatMap(({ place, rows, again }) => [
          ...refsOf(place, rows, objects),
          ...(again ? refsOf('memory', rows.slice(rows.length >> 1), objects) : []), // a retried push
        ]);
        const times = edgesOf.map(([at, beside]) => all[at % all.length]!.ns + beside);
        const sorted = [...new Set(times)].sort((a, b) => (a < b ? -1 : 1));
        const spans: Span[] = sorted.slice(1).map((ns, i) => ({ startNs: sorted[i]!, endNs: ns - 1n }));
        spans.splice(spans.length >> 1, 1); // a gap
        const { startNs, endNs } = { startNs: times[0]!, endNs: times[0]! + 3n };
        const deletes: DeleteRule[] = isDeleting ? [{ id: 'd', startNs, endNs, stages: [] }] : [];
        const units = groupOverlapping([['app', 'a']], blocks, null, deletes, { least: bytes, most: 2 * bytes });
        const found = await measureUnits(units, timeBuckets(spans), sourceOf(objects), running);
        const sums = spans.map(() => [0, 0]);
        found.buckets.forEach((bucket, i) => {
          assert.ok(found.rows[i]! > 0);
          sums[bucket]![0]! += found.rows[i]!;
          sums[bucket]![1]! += found.bytes[i]!;
        });
        assert.deepEqual(sums, count(all, spans, deletes));
        assert.equal(found.stats.corruptBlocks, 0);
      }),
      { numRuns: 200 },
    );
  });

  it('reads no lines of a block that overlaps none', async () => {
    const objects = new Map<string, Uint8Array>();
    const rows = Array.from({ length: 5 }, (_, i): TestRow => ({ ns: BigInt(i), line: `${i}`.repeat(1000) }));
    const units = groupOverlapping([['app', 'a']], refsOf('stored', rows, objects));
    const spans = timeBuckets([{ startNs: 1n, endNs: 3n }]);
    const { rows: counted, bytes, stats } = await measureUnits(units, spans, sourceOf(objects), running);
    assert.deepEqual([[...counted], [...bytes], stats.storedLineBytes], [[3], [3000], 0]);
    assert.ok(stats.storedReadBytes < objects.get('segment 0')!.length);
  });

  it('reads lines of overlapping blocks only where they have rows alike, and counts each block once', async () => {
    const objects = new Map<string, Uint8Array>();
    const filler = 'x'.repeat(1000);
    const blocks = [
      refsOf(
        'stored',
        [
          { ns: 1n, line: `${filler}a` },
          { ns: 5n, line: `${filler}b` },
        ],
        objects,
      ),
      refsOf(
        'stored',
        [
          { ns: 5n, line: `${filler}other` },
          { ns: 8n, line: `${filler}c` },
        ],
        objects,
      ),
      refsOf(
        'stored',
        [
          { ns: 8n, line: `${filler}c` },
          { ns: 9n, line: filler },
        ],
        objects,
      ),
    ].flat();
    const units = groupOverlapping([['app', 'a']], blocks);
    const spans = timeBuckets([{ startNs: 0n, endNs: 9n }]);
    const { rows, bytes, stats } = await measureUnits(units, spans, sourceOf(objects), running);
    assert.deepEqual(
      [[...rows], [...bytes]],
      [
        [2, 2, 1],
        [2002, 2006, 1000],
      ],
    );
    assert.deepEqual([stats.storedBlocks, stats.storedRows, stats.duplicates], [3, 6, 1]);
    assert.equal(stats.storedLineBytes, 2006 + 2001);
  });

  it('gives up when it is told to', async () => {
    const units = groupOverlapping([['app', 'a']], refsOf('head', [{ ns: 1n, line: 'x' }], new Map()));
    const spans = timeBuckets([{ startNs: 0n, endNs: 3n }]);
    const cancel = new Int32Array(new SharedArrayBuffer(4)).fill(1);
    await assert.rejects(measureUnits(units, spans, sourceOf(new Map()), cancel), { code: 'scan_cancelled' });
  });
});
