/** A column’s compression: zstd, or as it is when that is not smaller. */
import { crc32 } from 'node:zlib';
import type { ColumnMemory } from './column-memory.ts';
import { CorruptBlockError } from './corrupt-block-error.ts';
import { type ColumnPlace, ENCODING_RAW, ENCODING_ZSTD, type StoredColumn } from './format.ts';
import { decompressFrame } from './frame-decoder.ts';
import { compressFrame } from './frame-encoder.ts';

/** Shorter columns never win by compression: a frame alone costs 9 to 13 bytes. */
const MIN_COMPRESSED_BYTES = 32;

/** `isWorthMore`: than the least work, where that makes the column much smaller. */
export function compressColumn(kind: number, name: Uint8Array, raw: Uint8Array, isWorthMore = false): StoredColumn {
  const rawBytes = raw.length;
  if (rawBytes >= MIN_COMPRESSED_BYTES) {
    const stored = compressFrame(raw, isWorthMore);
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
