/** Damage that checksums do not show: footers of any numbers with sums that fit. A reader must stay in bounds. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { encodeBlocks } from '../block/index.ts';
import { headOf } from '../block/testing/heads.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { CorruptSegmentError, parseSegmentKey, SegmentReader, writeSegment } from './index.ts';
import { segmentKey } from './key.ts';
import { encodeTrailer, TRAILER_BYTES } from './trailer.ts';

const ever = [-(2n ** 63n), 2n ** 63n - 1n] as const;

/** A store of one object that only answers ranges. */
function holding(bytes: Buffer): ObjectStore {
  const unexpected = () => assert.fail('only ranges are read');
  return {
    get: async (_, range) => bytes.subarray(range!.offset, range!.offset + range!.length),
    put: unexpected,
    list: unexpected,
    delete: unexpected,
    head: unexpected,
    close: unexpected,
  };
}

it('a footer of well summed nonsense is refused or read, but never with another error', async () => {
  const blocks = encodeBlocks(headOf([{ ns: 5n, line: 'line' }]));
  const sound = writeSegment(
    't',
    ['a', 'b', 'c'].map((app) => ({
      labels: [
        ['app', app],
        ['env', 'prod'],
      ],
      blocks,
    })),
  );
  const bytes = Buffer.concat(sound.pieces);
  const parts = parseSegmentKey(sound.key)!;
  const footerAt = parts.sizeBytes - TRAILER_BYTES - parts.footerBytes;
  const raw = zstdDecompressSync(bytes.subarray(footerAt, footerAt + parts.footerBytes));
  const word = fc.tuple(
    fc.nat(Math.floor(raw.length / 4) - 1),
    fc.oneof(fc.nat(8), fc.constantFrom(0x7fffffff, 0xffffffff)),
  );
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(word, { minLength: 1, maxLength: 3 }), fc.nat(3), async (words, cut) => {
      const damaged = Buffer.from(raw.subarray(0, raw.length - cut));
      for (const [at, value] of words) if (4 * at + 4 <= damaged.length) damaged.writeUInt32LE(value, 4 * at);
      const footer = zstdCompressSync(damaged);
      const trailer = encodeTrailer({
        footerOffset: footerAt,
        footerBytes: footer.length,
        footerRawBytes: damaged.length,
        footerCrc: crc32(footer),
      });
      const object = Buffer.concat([bytes.subarray(0, footerAt), footer, trailer]);
      const key = segmentKey({ ...parts, sizeBytes: object.length, footerBytes: footer.length });
      try {
        const { footer: read } = await SegmentReader.open(holding(object), key);
        for (let series = 0; series < read.seriesCount; series++) {
          for (const [name, value] of read.labelsOf(series)) read.postings(name, value);
          for (const { offset, length } of read.blocksOf(series, ...ever)) assert.ok(offset + length <= footerAt);
        }
        for (const name of read.labelNames()) {
          read.forEachValue(name, (_, numbers) => {
            for (const number of numbers) assert.ok(number < read.seriesCount);
          });
        }
      } catch (error: unknown) {
        if (!(error instanceof CorruptSegmentError)) throw error;
        refused++;
      }
    }),
    { numRuns: 1000 },
  );
  assert.ok(refused > 300, `only ${refused} refused`);
});
