import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { compareLabels, sortLabels } from '../../logql/labels.ts';
import { encodeBlocks, openBlock } from '../block/index.ts';
import { arbitraryRows } from '../block/testing/arbitrary-rows.ts';
import { headOf, rowTexts } from '../block/testing/heads.ts';
import { FilesystemStore, MAX_KEY_BYTES } from '../objectstore/index.ts';
import { CorruptSegmentError, parseSegmentKey, SegmentReader, segmentPrefix, writeSegment } from './index.ts';

const root = await mkdtemp(join(tmpdir(), 'loptr-segments-'));
after(() => rm(root, { recursive: true }));
const objects = new FilesystemStore({ kind: 'filesystem', directory: root });
const everything = { lines: true, metadata: null };
const ever = [-(2n ** 63n), 2n ** 63n - 1n] as const;

const labels = fc
  .dictionary(fc.stringMatching(/^[a-c]$/), fc.string({ unit: 'grapheme', minLength: 1 }), { minKeys: 1 })
  .map((record) => sortLabels(Object.entries(record)));

describe('writeSegment and SegmentReader', () => {
  it('give back every series with its labels, blocks and postings', async () => {
    const limits = { maxRows: 5, maxLineBytes: 100, maxSpanNs: 2 ** 52 };
    const all = fc.uniqueArray(fc.record({ labels, rows: arbitraryRows }), {
      comparator: (a, b) => compareLabels(a.labels, b.labels) === 0,
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(all, async (series) => {
        const given = series.map((one) => ({ labels: one.labels, blocks: encodeBlocks(headOf(one.rows), limits) }));
        const { key, pieces, sizeBytes } = writeSegment('tenant', given);
        await objects.put(key, pieces);
        assert.equal((await objects.head(key)).sizeBytes, sizeBytes);
        const reader = await SegmentReader.open(objects, key);
        const { footer } = reader;
        given.sort((a, b) => compareLabels(a.labels, b.labels));
        assert.equal(footer.seriesCount, given.length);
        for (const [number, one] of given.entries()) {
          assert.deepEqual(footer.labelsOf(number), one.labels);
          const places = footer.blocksOf(number, ...ever);
          assert.deepEqual(
            places.map((place) => place.stats),
            one.blocks.map((block) => block.stats),
          );
          for (const [b, place] of places.entries()) {
            const block = await reader.openBlock(place);
            assert.equal(place.linesOffset, block.linesOffset);
            assert.deepEqual(
              rowTexts(block.columns(everything)),
              rowTexts(openBlock(one.blocks[b]!.bytes).columns(everything)),
            );
          }
          for (const [name, value] of one.labels) assert.ok(footer.postings(name, value).includes(number));
        }
        for (const name of footer.labelNames()) {
          footer.forEachValue(name, (value, numbers) => {
            assert.deepEqual(footer.postings(name, value), numbers);
            const expected = given.flatMap((one, n) =>
              one.labels.some((l) => l[0] === name && l[1] === value) ? [n] : [],
            );
            assert.deepEqual([...numbers], expected);
          });
        }
        assert.equal(footer.postings('a', 'no such value').length, 0);
        assert.equal(footer.postings('no such name', 'x').length, 0);
      }),
      { numRuns: 40 },
    );
  });

  it('join series of equal labels in the order given', async () => {
    const block = (line: string) => encodeBlocks(headOf([{ ns: 5n, line }]));
    const app = [['app', 'a']] as const;
    const { key, pieces } = writeSegment('t', [
      { labels: app, blocks: block('first') },
      { labels: [['app', 'b']], blocks: block('other') },
      { labels: app, blocks: block('second') },
    ]);
    await objects.put(key, pieces);
    const { footer } = await SegmentReader.open(objects, key);
    assert.equal(footer.seriesCount, 2);
    assert.deepEqual(
      footer.blocksOf(0, ...ever).map((place) => place.stats.lineBytes),
      [5, 6],
    );
  });

  it('refuse a segment with any byte of footer or trailer damaged, or cut', async () => {
    const { key, pieces } = writeSegment('t', [
      { labels: [['app', 'a']], blocks: encodeBlocks(headOf([{ ns: 1n, line: 'x' }])) },
    ]);
    const sound = Buffer.concat(pieces);
    const { footerBytes } = parseSegmentKey(key)!;
    const isCorrupt = (error: unknown) => error instanceof CorruptSegmentError && error.key === key;
    for (let at = sound.length - 32 - footerBytes; at < sound.length; at++) {
      const damaged = Buffer.from(sound);
      damaged[at]! ^= 0x10;
      await objects.put(key, [damaged]);
      await assert.rejects(SegmentReader.open(objects, key), isCorrupt, `byte ${at}`);
    }
    await objects.put(key, [sound.subarray(0, -1)]);
    await assert.rejects(SegmentReader.open(objects, key), isCorrupt);
    await assert.rejects(SegmentReader.open(objects, 'segments/t/x'), CorruptSegmentError);
    const elsewhere = key.replace('segments/t/', 'segments/u/');
    await objects.put(elsewhere, [sound]);
    await assert.rejects(SegmentReader.open(objects, elsewhere), CorruptSegmentError);
  });
});

describe('keys of segments', () => {
  it('say tenant, time and sizes, below the tenant’s prefix and S3’s bound', () => {
    const tenants = fc.oneof(
      fc.constantFrom(
        'fake',
        '../x',
        'a/b',
        '\0',
        '.',
        '..',
        '=',
        '=YQ',
        'ж'.repeat(150),
        '🦊'.repeat(150),
        'T'.repeat(150),
      ),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter((text) => text.isWellFormed()),
    );
    const times = fc.tuple(fc.bigInt(ever[0], ever[1]), fc.bigInt(ever[0], ever[1]));
    fc.assert(
      fc.property(tenants, times, (tenant, [a, b]) => {
        const stats = { minNs: a < b ? a : b, maxNs: a < b ? b : a };
        const [block] = encodeBlocks(headOf([{ ns: 1n, line: 'x' }]));
        const moved = { ...block!, stats: { ...block!.stats, ...stats } };
        const { key, sizeBytes } = writeSegment(tenant, [{ labels: [['a', 'b']], blocks: [moved] }]);
        const parts = parseSegmentKey(key)!;
        assert.deepEqual(
          { tenant, sizeBytes, ...stats },
          {
            tenant: parts.tenant,
            sizeBytes: parts.sizeBytes,
            minNs: parts.minNs,
            maxNs: parts.maxNs,
          },
        );
        assert.ok(key.startsWith(segmentPrefix(tenant)) && key.length <= MAX_KEY_BYTES);
        assert.match(key, /^segments\/[A-Za-z0-9=_-][A-Za-z0-9=_.-]*\/[0-9-]+\/[0-9a-z-]+\.seg$/);
      }),
    );
  });

  it('are told from other keys', () => {
    const [block] = encodeBlocks(headOf([{ ns: 1n, line: 'x' }]));
    const { key } = writeSegment('fake', [{ labels: [['a', 'b']], blocks: [block!] }]);
    assert.ok(key.startsWith('segments/fake/1970-01-01/8000000000000001-8000000000000001-'));
    assert.ok(parseSegmentKey(key));
    for (const other of [
      '',
      'segments/',
      key.slice(1),
      `${key}x`,
      key.replace('1970', '1971'),
      key.replace('fake', '=ZmFrZQ'),
    ]) {
      assert.equal(parseSegmentKey(other), null, other);
    }
    assert.throws(() => writeSegment('\ud800', [{ labels: [], blocks: [block!] }]), RangeError);
    assert.throws(() => writeSegment('x', []), RangeError);
  });
});
