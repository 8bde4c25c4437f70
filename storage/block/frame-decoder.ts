/** zstd frames through one decoder that a thread keeps: 3 µs for a column of 2 kB, where a new context takes 22 more. */
import { createZstdDecompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { NativeZstd } from './native-zstd.ts';

const MIN_CHUNK_BYTES = 64;

/** Undefined before the first use, null when there is none. */
let decoder: NativeZstd | null | undefined;

/**
 * Decompresses one frame into `out`, which is as long as its content must be. False when the content has another length.
 * Throws zlib's error when the frame is none.
 */
export function decompressFrame(frame: Buffer, out: Uint8Array): boolean {
  if (decoder === undefined) decoder = checkedDecoder();
  // The decoder may only be given what ends a frame: in the middle of one it would take the next for its continuation.
  if (decoder !== null && isWholeFrame(frame, out.length)) {
    if (decoder.write(frame, out) === out.length) return true;
    decoder = newDecoder();
  }
  const content = zstdDecompressSync(frame, {
    chunkSize: Math.max(MIN_CHUNK_BYTES, out.length + 1),
    maxOutputLength: Math.max(1, out.length),
  });
  if (content.length !== out.length) return false;
  out.set(content);
  return true;
}

function newDecoder(): NativeZstd | null {
  return NativeZstd.of(createZstdDecompress());
}

function checkedDecoder(): NativeZstd | null {
  const made = newDecoder();
  const content = Buffer.from('one frame and then another, by one decoder: one frame and then another');
  const frame = zstdCompressSync(content, { pledgedSrcSize: content.length });
  for (let time = 0; time < 2; time++) {
    const out = Buffer.alloc(content.length);
    if (
      made === null ||
      !isWholeFrame(frame, out.length) ||
      made.write(frame, out) !== out.length ||
      !out.equals(content)
    )
      return null;
  }
  return made;
}

const MAGIC = 0xfd2fb528;
const BLOCK_HEADER_BYTES = 3;
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;

/** Whether the bytes are exactly one frame that names `contentBytes` as the size of its content (RFC 8878, 3.1.1). */
export function isWholeFrame(frame: Buffer, contentBytes: number): boolean {
  if (frame.length < 9 || frame.readUInt32LE(0) !== MAGIC) return false;
  const descriptor = frame[4]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  // Nobody here writes dictionaries or sets the reserved bit.
  if ((descriptor & 0x0b) !== 0) return false;
  let at = isSingleSegment ? 5 : 6;
  if (at + 4 > frame.length) return false;
  let size: number;
  if (sizeFlag === 0) {
    if (!isSingleSegment) return false;
    size = frame[at]!;
    at += 1;
  } else if (sizeFlag === 1) {
    size = frame.readUInt16LE(at) + 256;
    at += 2;
  } else if (sizeFlag === 2) {
    size = frame.readUInt32LE(at);
    at += 4;
  } else {
    return false;
  }
  if (size !== contentBytes) return false;
  for (;;) {
    if (at + BLOCK_HEADER_BYTES > frame.length) return false;
    const header = frame.readUIntLE(at, BLOCK_HEADER_BYTES);
    const kind = (header >> 1) & 3;
    if (kind === BLOCK_RESERVED) return false;
    at += BLOCK_HEADER_BYTES + (kind === BLOCK_RLE ? 1 : header >> 3);
    if ((header & 1) !== 0) break;
  }
  const checksumBytes = (descriptor & 0x04) !== 0 ? 4 : 0;
  return at + checksumBytes === frame.length;
}
