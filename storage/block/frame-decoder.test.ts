import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { constants as zlib, zstdCompressSync } from 'node:zlib';
import { decompressFrame, isWholeFrame } from './frame-decoder.ts';

const compress = (content: Uint8Array, params: Record<number, number> = {}): Buffer =>
  zstdCompressSync(content, { pledgedSrcSize: content.length, params });

/** Compressible, and different for each seed. */
function contentOf(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed + 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = (state >>> 24) & 0x1f;
  }
  return bytes;
}

const LENGTHS = [0, 1, 31, 255, 256, 300, 65_535, 65_536, 65_791, 65_792, 200_000, 1_500_000];

describe('decompressFrame', () => {
  it('decodes frame after frame of any size', () => {
    for (let round = 0; round < 3; round++) {
      for (const length of LENGTHS) {
        const content = contentOf(length, round);
        const out = Buffer.alloc(length);
        assert.equal(decompressFrame(compress(content), out), true);
        assert.ok(out.equals(content), `${length} bytes`);
      }
    }
  });

  it('reads shared memory', () => {
    const content = contentOf(5000, 1);
    const frame = compress(content);
    const shared = Buffer.from(new SharedArrayBuffer(frame.length));
    frame.copy(shared);
    const out = Buffer.alloc(content.length);
    assert.equal(decompressFrame(shared, out), true);
    assert.ok(out.equals(content));
  });

  it('decodes on after frames that are broken, cut short, or of another length', () => {
    const content = contentOf(10_000, 2);
    const frame = compress(content);
    const out = Buffer.alloc(content.length);
    for (let at = 0; at < frame.length; at += 7) {
      const broken = Buffer.from(frame);
      broken[at]! ^= 0x55;
      for (const bytes of [broken, frame.subarray(0, at)]) {
        try {
          decompressFrame(bytes, out);
        } catch (error: unknown) {
          assert.ok(error instanceof Error);
        }
        out.fill(0);
        assert.equal(decompressFrame(frame, out), true);
        assert.ok(out.equals(content), `after damage at ${at}`);
      }
    }
    assert.equal(decompressFrame(frame, Buffer.alloc(content.length + 1)), false);
    assert.throws(() => decompressFrame(frame, Buffer.alloc(content.length - 1)));
  });

  it('takes frames that do not name their size', () => {
    const content = contentOf(3000, 3);
    const frame = zstdCompressSync(content, { params: { [zlib.ZSTD_c_contentSizeFlag]: 0 } });
    const out = Buffer.alloc(content.length);
    assert.equal(isWholeFrame(frame, content.length), false);
    assert.equal(decompressFrame(frame, out), true);
    assert.ok(out.equals(content));
  });
});

describe('isWholeFrame', () => {
  it('knows the frames of zlib by their size, with and without checksum', () => {
    for (const length of LENGTHS) {
      for (const checksum of [0, 1]) {
        const frame = compress(contentOf(length, 4), { [zlib.ZSTD_c_checksumFlag]: checksum });
        assert.equal(isWholeFrame(frame, length), true, `${length} bytes`);
        assert.equal(isWholeFrame(frame, length + 1), false);
        assert.equal(isWholeFrame(frame.subarray(0, -1), length), false);
        assert.equal(isWholeFrame(Buffer.concat([frame, Buffer.from([0])]), length), false);
        assert.equal(isWholeFrame(Buffer.concat([frame, frame]), length), false);
      }
    }
  });
});
