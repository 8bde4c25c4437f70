/** zstd frames through encoders that a thread keeps: 40 µs less for a column, 200 for one of 250 kB. */
import { createZstdCompress, constants as zlib, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { NativeZstd } from './native-zstd.ts';

type ZstdParams = Record<number, number>;

/**
 * 520 MB/s on log lines in blocks of 1 MB. Level 3 is slower by a third and on such blocks not smaller (41.2 against
 * 40.7 MB of 253); level 6 gives a quarter less at a fifth of the speed.
 */
const FAST: ZstdParams = {
  [zlib.ZSTD_c_compressionLevel]: 1,
  // Twice the level's own table, for the many places of a block of 1 MB: 0.8 % less, at the same speed.
  [zlib.ZSTD_c_hashLog]: 16,
  // Half a percent less than the level's own 6 for blocks of this size, at the same speed; 5 takes 4 % more.
  [zlib.ZSTD_c_minMatch]: 7,
};
/**
 * Of eight earlier places the one that goes on longest: lines made of independent fields take a sixth less, and are
 * decompressed a fifth faster, for 3.5 times the work (150 MB/s). With 4 or 16 places, or a greedy search among 16, what a
 * second of work makes smaller is the same.
 */
const THOROUGH: ZstdParams = {
  [zlib.ZSTD_c_compressionLevel]: 3,
  [zlib.ZSTD_c_strategy]: zlib.ZSTD_lazy,
  [zlib.ZSTD_c_searchLog]: 4,
  [zlib.ZSTD_c_minMatch]: 6,
};

class FrameEncoder {
  readonly #params: ZstdParams;
  /** Undefined before the first use, null when there is none. */
  #native: NativeZstd | null | undefined;

  constructor(params: ZstdParams) {
    this.#params = params;
  }

  compress(content: Uint8Array): Uint8Array {
    if (this.#native === undefined) this.#native = this.#checked();
    if (this.#native !== null) {
      const length = compressInto(this.#native, content);
      if (length >= 0) return Buffer.from(output.subarray(0, length));
      this.#native = this.#made();
    }
    return zstdCompressSync(content, { pledgedSrcSize: content.length, params: this.#params });
  }

  #made(): NativeZstd | null {
    return NativeZstd.of(createZstdCompress({ params: this.#params }));
  }

  #checked(): NativeZstd | null {
    const made = this.#made();
    const content = Buffer.from('one frame and then another, by one encoder: one frame and then another');
    for (let time = 0; time < 2; time++) {
      const length = made === null ? -1 : compressInto(made, content);
      if (length < 0 || !zstdDecompressSync(output.subarray(0, length)).equals(content)) return null;
    }
    return made;
  }
}

const fast = new FrameEncoder(FAST);
const thorough = new FrameEncoder(THOROUGH);
let output = Buffer.alloc(0);

/** `content` as one frame that names its size. */
export function compressFrame(content: Uint8Array, isWorthMore = false): Uint8Array {
  return (isWorthMore ? thorough : fast).compress(content);
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
