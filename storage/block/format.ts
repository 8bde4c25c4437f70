/**
 * The outside of a block (`docs/formats/block.md`). Little-endian.
 *
 *     block     := header directory column*
 *     header    := u32 magic  u8 version  u8 flags  u16 0  u32 rowCount  u32 columnCount  u32 directoryBytes
 *                  u32 lineBytes  u64 metadataBytes  i64 minNs  i64 maxNs  u32 encodedBytes  u32 crc
 *     flags     := bit 0: every byte of every line is below 0x80
 *     directory := entry*
 *     entry     := u8 kind  u8 encoding  u16 0  u32 offset  u32 storedBytes  u32 rawBytes  u32 crc  u32 nameLength  name
 *
 * The header's crc covers the header before it and the directory; an entry's covers the column's stored bytes. Columns
 * lie in the order of the directory and touch each other. Lines come last, so that a reader without need of them
 * can do with the first `linesOffset` bytes.
 */
import { crc32 } from 'node:zlib';
import { CorruptBlockError } from './corrupt-block-error.ts';

const MAGIC = 0x4b42504c; // "LPBK"
/** Version 1 had no packed timestamps and no values in hexadecimal; a reader of today reads it as it stands. */
const VERSION = 2;
const OLDEST_VERSION = 1;
const FLAG_ASCII = 1;
const HEADER_BYTES = 56;
const ENTRY_BYTES = 24;
const CRC_AT = HEADER_BYTES - 4;

/** More rows than this are never in one block; a reader refuses to allocate for them. */
export const MAX_BLOCK_ROWS = 2 ** 20;
/** Bound of one column, decoded: what a reader is ready to allocate for one. */
export const MAX_COLUMN_BYTES = 2 ** 30;
/** Offsets inside a block stay below this, so that a zigzag difference of two still is an exact double. */
export const MAX_BLOCK_SPAN_NS = 2 ** 52;

export const KIND_TIMESTAMPS = 1;
export const KIND_LENGTHS = 2;
export const KIND_METADATA = 3;
/** Readers pass over kinds that they do not know. */
export const KIND_LINES = 4;

export const ENCODING_RAW = 0;
export const ENCODING_ZSTD = 1;

export interface StoredColumn {
  readonly kind: number;
  readonly encoding: number;
  /** Of the metadata label, UTF-8; empty for other kinds. */
  readonly name: Uint8Array;
  readonly stored: Uint8Array;
  readonly rawBytes: number;
}

export interface ColumnPlace {
  readonly kind: number;
  readonly encoding: number;
  readonly name: string;
  /** From the start of the block. */
  readonly offset: number;
  readonly storedBytes: number;
  readonly rawBytes: number;
  readonly crc: number;
}

export interface BlockHeader {
  readonly rowCount: number;
  readonly ascii: boolean;
  readonly lineBytes: number;
  readonly metadataBytes: number;
  readonly minNs: bigint;
  /** Inclusive. */
  readonly maxNs: bigint;
  readonly encodedBytes: number;
}

/** The block's bytes, in memory of exactly their size. */
export function encodeBlock(
  header: Omit<BlockHeader, 'encodedBytes'>,
  columns: readonly StoredColumn[],
): Uint8Array<ArrayBuffer> {
  let directoryBytes = 0;
  let dataBytes = 0;
  for (const column of columns) {
    directoryBytes += ENTRY_BYTES + column.name.length;
    dataBytes += column.stored.length;
  }
  const encodedBytes = HEADER_BYTES + directoryBytes + dataBytes;
  const bytes = new Uint8Array(encodedBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, VERSION);
  view.setUint8(5, header.ascii ? FLAG_ASCII : 0);
  view.setUint32(8, header.rowCount, true);
  view.setUint32(12, columns.length, true);
  view.setUint32(16, directoryBytes, true);
  view.setUint32(20, header.lineBytes, true);
  view.setBigUint64(24, BigInt(header.metadataBytes), true);
  view.setBigInt64(32, header.minNs, true);
  view.setBigInt64(40, header.maxNs, true);
  view.setUint32(48, encodedBytes, true);
  let at = HEADER_BYTES;
  let offset = HEADER_BYTES + directoryBytes;
  for (const column of columns) {
    view.setUint8(at, column.kind);
    view.setUint8(at + 1, column.encoding);
    view.setUint32(at + 4, offset, true);
    view.setUint32(at + 8, column.stored.length, true);
    view.setUint32(at + 12, column.rawBytes, true);
    view.setUint32(at + 16, crc32(column.stored), true);
    view.setUint32(at + 20, column.name.length, true);
    bytes.set(column.name, at + ENTRY_BYTES);
    bytes.set(column.stored, offset);
    at += ENTRY_BYTES + column.name.length;
    offset += column.stored.length;
  }
  view.setUint32(CRC_AT, headerCrc(bytes, directoryBytes), true);
  return bytes;
}

function headerCrc(bytes: Uint8Array, directoryBytes: number): number {
  return crc32(bytes.subarray(HEADER_BYTES, HEADER_BYTES + directoryBytes), crc32(bytes.subarray(0, CRC_AT)));
}

/**
 * Reads header and directory. `bytes` may end early, anywhere behind the directory: places of columns are checked
 * against the block's full size, and reading one checks it against what is there.
 */
export function decodeBlockHeader(bytes: Uint8Array): { header: BlockHeader; columns: ColumnPlace[] } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < HEADER_BYTES) throw new CorruptBlockError('cut short in the header', buffer.length);
  if (buffer.readUInt32LE(0) !== MAGIC) throw new CorruptBlockError('not a block', 0);
  const version = buffer[4]!;
  if (version < OLDEST_VERSION || version > VERSION) throw new CorruptBlockError(`version ${version} is not known`, 4);
  const directoryBytes = buffer.readUInt32LE(16);
  if (directoryBytes > buffer.length - HEADER_BYTES) throw new CorruptBlockError('cut short in the directory', 16);
  if (headerCrc(buffer, directoryBytes) !== buffer.readUInt32LE(CRC_AT)) {
    throw new CorruptBlockError('header checksum does not match', CRC_AT);
  }
  const header: BlockHeader = {
    rowCount: buffer.readUInt32LE(8),
    ascii: (buffer[5]! & FLAG_ASCII) !== 0,
    lineBytes: buffer.readUInt32LE(20),
    metadataBytes: Number(buffer.readBigUInt64LE(24)),
    minNs: buffer.readBigInt64LE(32),
    maxNs: buffer.readBigInt64LE(40),
    encodedBytes: buffer.readUInt32LE(48),
  };
  if (header.rowCount === 0 || header.rowCount > MAX_BLOCK_ROWS) {
    throw new CorruptBlockError(`${header.rowCount} rows`, 8);
  }
  if (header.encodedBytes < bytes.length) throw new CorruptBlockError('bytes behind the end', header.encodedBytes);
  if (header.maxNs < header.minNs) throw new CorruptBlockError('times run backwards', 40);
  return { header, columns: decodeDirectory(buffer, directoryBytes, header.encodedBytes) };
}

function decodeDirectory(buffer: Buffer, directoryBytes: number, encodedBytes: number): ColumnPlace[] {
  const columnCount = buffer.readUInt32LE(12);
  const end = HEADER_BYTES + directoryBytes;
  const columns: ColumnPlace[] = [];
  let at = HEADER_BYTES;
  for (let c = 0; c < columnCount; c++) {
    if (at + ENTRY_BYTES > end) throw new CorruptBlockError('the directory ends within an entry', at);
    const place = {
      kind: buffer[at]!,
      encoding: buffer[at + 1]!,
      offset: buffer.readUInt32LE(at + 4),
      storedBytes: buffer.readUInt32LE(at + 8),
      rawBytes: buffer.readUInt32LE(at + 12),
      crc: buffer.readUInt32LE(at + 16),
    };
    const nameLength = buffer.readUInt32LE(at + 20);
    if (nameLength > end - at - ENTRY_BYTES) throw new CorruptBlockError('a name passes the directory', at + 20);
    if (place.offset < end || place.offset + place.storedBytes > encodedBytes) {
      throw new CorruptBlockError('a column lies outside of the block', at + 4);
    }
    if (place.rawBytes > MAX_COLUMN_BYTES) throw new CorruptBlockError(`a column of ${place.rawBytes} bytes`, at + 12);
    at += ENTRY_BYTES;
    columns.push({ ...place, name: buffer.toString('utf8', at, at + nameLength) });
    at += nameLength;
  }
  if (at !== end) throw new CorruptBlockError('the directory is longer than its entries', at);
  return columns;
}
