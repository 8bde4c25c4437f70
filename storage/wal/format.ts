import { crc32 } from 'node:zlib';

/**
 * A segment file of the write-ahead log. Little-endian; every record starts at a multiple of 8, so that a payload can
 * be read in place as typed arrays. `docs/formats/wal.md` explains it.
 *
 *     segment := header record*
 *     header  := u32 magic  u32 version  u64 segmentId  u64 firstSequence  u32 crc  u32 0          (32 bytes)
 *     record  := u32 length  u32 crc  u64 sequence  u8 type  u8[7] 0                                (24 bytes)
 *                payload[length]  padding to a multiple of 8 (not in `length`)
 *
 * A record's `crc` is the CRC-32 of its 24 header bytes with the field at zero, then of the payload. A header of zeros
 * (a hole left by a lost write) therefore never passes.
 */
export const SEGMENT_MAGIC = 0x4c57504c; // "LPWL"
export const SEGMENT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 32;
export const RECORD_HEADER_BYTES = 24;
/** A longer record is taken for damage. Twice what a push may carry after decoding would still fit. */
export const MAX_RECORD_BYTES = 1 << 30;
/** Written to see whether the disk takes bytes again, and taken back; a reader skips it. */
export const RECORD_PROBE = 0;

export const SEGMENT_NAME = /^(\d{10})\.wal$/;
export const segmentName = (id: number): string => `${String(id).padStart(10, '0')}.wal`;

const NO_PADDING = Buffer.alloc(0);
const PADDING = Array.from({ length: 8 }, (_, n) => Buffer.alloc(n));

/** The zeros that follow a payload. */
export function paddingFor(length: number): Buffer {
  return PADDING[-length & 7] ?? NO_PADDING;
}

export function recordBytes(payloadLength: number): number {
  return RECORD_HEADER_BYTES + ((payloadLength + 7) & ~7);
}

export function encodeSegmentHeader(segmentId: number, firstSequence: number): Buffer {
  const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
  header.writeUInt32LE(SEGMENT_MAGIC, 0);
  header.writeUInt32LE(SEGMENT_VERSION, 4);
  header.writeBigUInt64LE(BigInt(segmentId), 8);
  header.writeBigUInt64LE(BigInt(firstSequence), 16);
  header.writeUInt32LE(crc32(header.subarray(0, 24)), 24);
  return header;
}

/** The first sequence of the segment, or null when the header is damaged or of another version. */
export function decodeSegmentHeader(header: Buffer, segmentId: number): number | null {
  if (header.length < SEGMENT_HEADER_BYTES) return null;
  if (header.readUInt32LE(0) !== SEGMENT_MAGIC || header.readUInt32LE(4) !== SEGMENT_VERSION) return null;
  if (header.readUInt32LE(24) !== crc32(header.subarray(0, 24))) return null;
  if (header.readBigUInt64LE(8) !== BigInt(segmentId)) return null;
  return Number(header.readBigUInt64LE(16));
}

export function encodeRecordHeader(type: number, sequence: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(RECORD_HEADER_BYTES);
  header.writeUInt32LE(payload.length, 0);
  header.writeUInt32LE(sequence >>> 0, 8);
  header.writeUInt32LE(Math.floor(sequence / 2 ** 32), 12);
  header.writeUInt8(type, 16);
  header.writeUInt32LE(crc32(payload, crc32(header)), 4);
  return header;
}

/** Whether a record, header and payload, is as it was written. `header` is left as it was. */
export function isRecordIntact(header: Buffer, payload: Uint8Array): boolean {
  const stored = header.readUInt32LE(4);
  header.writeUInt32LE(0, 4);
  const actual = crc32(payload, crc32(header));
  header.writeUInt32LE(stored, 4);
  return actual === stored;
}
