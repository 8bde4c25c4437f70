/**
 * A column's compression: zstd, or as it is when that is not smaller.
 *
 * `chunkSize` makes zlib put the whole result into one buffer. What is compressed rarely needs more than a quarter of
 * the column, and a buffer that is larger than that is fresh memory, and garbage, for nothing.
 */
import { crc32, constants as zlib, zstdCompressSync } from 'node:zlib';
import type { ColumnMemory } from './column-memory.ts';
import { CorruptBlockError } from './corrupt-block-error.ts';
import { type ColumnPlace, ENCODING_RAW, ENCODING_ZSTD, type StoredColumn } from './format.ts';
import { decompressFrame } from './frame-decoder.ts';

/**
 * 520 MB/s on log lines in blocks of 1 MB. Level 3 is slower by a third and on such blocks not smaller (41.2 against
 * 40.7 MB of 253); level 6 gives a quarter less at a fifth of the speed.
 */
const LEVEL = 1;
/** Twice the level's own table, for the many places of a block of 1 MB: 0.8 % less, at the same speed. */
const HASH_LOG = 16;
/** Shorter columns never win by compression: a frame alone costs 9 to 13 bytes, and a call 20 µs. */
const MIN_COMPRESSED_BYTES = 32;
const MIN_COMPRESS_CHUNK_BYTES = 16 * 1024;
const PARAMS = { [zlib.ZSTD_c_compressionLevel]: LEVEL, [zlib.ZSTD_c_hashLog]: HASH_LOG };

export function compressColumn(kind: number, name: Uint8Array, raw: Uint8Array): StoredColumn {
  const rawBytes = raw.length;
  if (rawBytes >= MIN_COMPRESSED_BYTES) {
    const stored = zstdCompressSync(raw, {
      pledgedSrcSize: rawBytes,
      chunkSize: Math.max(MIN_COMPRESS_CHUNK_BYTES, rawBytes >>> 2),
      params: PARAMS,
    });
    if (stored.length < rawBytes) return { kind, name, rawBytes, encoding: ENCODING_ZSTD, stored };
  }
  return { kind, name, rawBytes, encoding: ENCODING_RAW, stored: raw };
}

/** The column's bytes: a view of the block when stored raw, else in `memory`. */
export function decompressColumn(block: Uint8Array, place: ColumnPlace, memory: ColumnMemory): Buffer {
  const { offset, storedBytes, rawBytes } = place;
  if (offset + storedBytes > block.length) throw new CorruptBlockError('cut short in a column', block.length);
  const stored = Buffer.from(block.buffer, block.byteOffset + offset, storedBytes);
  if (crc32(stored) !== place.crc) throw new CorruptBlockError('column checksum does not match', offset);
  switch (place.encoding) {
    case ENCODING_RAW:
      if (storedBytes !== rawBytes) throw new CorruptBlockError('a raw column of two lengths', offset);
      return stored;
    case ENCODING_ZSTD: {
      const raw = memory.bytes(rawBytes);
      let isComplete: boolean;
      try {
        isComplete = decompressFrame(stored, raw);
      } catch (cause: unknown) {
        throw new CorruptBlockError('a column does not decompress', offset, { cause });
      }
      if (!isComplete) throw new CorruptBlockError('a column decompresses to another length', offset);
      return raw;
    }
    default:
      throw new CorruptBlockError(`column encoding ${place.encoding} is not known`, offset);
  }
}
