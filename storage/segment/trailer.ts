/**
 * The ends of a segment (`docs/formats/segment.md`). Little-endian.
 *
 *     segment := u64 magic  block*  filter*  footer  trailer
 *     trailer := u64 footerOffset  u32 footerBytes  u32 footerRawBytes  u32 footerCrc  u32 version  u32 trailerCrc  u32 magic
 *
 * The footer is one zstd frame of `footerRawBytes` (`footer-layout.ts`); its crc covers the frame.
 */
import { crc32 } from 'node:zlib';
import { CorruptSegmentError } from './corrupt-segment-error.ts';

export const SEGMENT_MAGIC = Buffer.from('LPSEG\0\0\x01', 'latin1');
export const TRAILER_BYTES = 32;
const TRAILER_MAGIC = 0x4753504c; // "LPSG"
const VERSION = 1;

export interface Trailer {
  readonly footerOffset: number;
  readonly footerBytes: number;
  readonly footerRawBytes: number;
  readonly footerCrc: number;
}

export function encodeTrailer(trailer: Trailer): Buffer {
  const bytes = Buffer.alloc(TRAILER_BYTES);
  bytes.writeBigUInt64LE(BigInt(trailer.footerOffset), 0);
  bytes.writeUInt32LE(trailer.footerBytes, 8);
  bytes.writeUInt32LE(trailer.footerRawBytes, 12);
  bytes.writeUInt32LE(trailer.footerCrc, 16);
  bytes.writeUInt32LE(VERSION, 20);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 24)), 24);
  bytes.writeUInt32LE(TRAILER_MAGIC, 28);
  return bytes;
}

/** `bytes`: the last TRAILER_BYTES of the object, which start at `position` in it. */
export function decodeTrailer(key: string, bytes: Buffer, position: number): Trailer {
  if (bytes.readUInt32LE(28) !== TRAILER_MAGIC) throw new CorruptSegmentError(key, 'not a segment', position + 28);
  if (bytes.readUInt32LE(24) !== crc32(bytes.subarray(0, 24))) {
    throw new CorruptSegmentError(key, 'trailer checksum does not match', position + 24);
  }
  const version = bytes.readUInt32LE(20);
  if (version !== VERSION) throw new CorruptSegmentError(key, `version ${version} is not known`, position + 20);
  return {
    footerOffset: Number(bytes.readBigUInt64LE(0)),
    footerBytes: bytes.readUInt32LE(8),
    footerRawBytes: bytes.readUInt32LE(12),
    footerCrc: bytes.readUInt32LE(16),
  };
}
