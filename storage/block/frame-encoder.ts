/** zstd frames through one encoder that a thread keeps: 40 µs less for a column, 200 for one of 250 kB. */
import { createZstdCompress, constants as zlib, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { NativeZstd } from './native-zstd.ts';

/**
 * 520 MB/s on log lines in blocks of 1 MB. Level 3 is slower by a third and on such blocks not smaller (41.2 against
 * 40.7 MB of 253); level 6 gives a quarter less at a fifth of the speed.
 */
const LEVEL = 1;
/** Twice the level's own table, for the many places of a block of 1 MB: 0.8 % less, at the same speed. */
const HASH_LOG = 16;
/** Half a percent less than the level's own 6 for blocks of this size, at the same speed; 5 takes 4 % more. */
const MIN_MATCH = 7;
const PARAMS = {
  [zlib.ZSTD_c_compressionLevel]: LEVEL,
  [zlib.ZSTD_c_hashLog]: HASH_LOG,
  [zlib.ZSTD_c_minMatch]: MIN_MATCH,
};

/** Undefined before the first use, null when there is none. */
let encoder: NativeZstd | null | undefined;
let output = Buffer.alloc(0);

/** `content` as one frame that names its size. */
export function compressFrame(content: Uint8Array): Uint8Array {
  if (encoder === undefined) encoder = checkedEncoder();
  if (encoder !== null) {
    const length = compressInto(encoder, content);
    if (length >= 0) return Buffer.from(output.subarray(0, length));
    encoder = newEncoder();
  }
  return zstdCompressSync(content, { pledgedSrcSize: content.length, params: PARAMS });
}

/** Writes to `output`. */
function compressInto(native: NativeZstd, content: Uint8Array): number {
  const bound = frameBound(content.length);
  if (output.length < bound) output = Buffer.allocUnsafeSlow(bound);
  return native.write(content, output);
}

/** More than a frame ever takes (zstd's own bound is half of that above the content). */
function frameBound(contentBytes: number): number {
  return contentBytes + (contentBytes >>> 7) + 1024;
}

function newEncoder(): NativeZstd | null {
  return NativeZstd.of(createZstdCompress({ params: PARAMS }));
}

function checkedEncoder(): NativeZstd | null {
  const made = newEncoder();
  const content = Buffer.from('one frame and then another, by one encoder: one frame and then another');
  for (let time = 0; time < 2; time++) {
    const length = made === null ? -1 : compressInto(made, content);
    if (length < 0 || !zstdDecompressSync(output.subarray(0, length)).equals(content)) return null;
  }
  return made;
}
