/**
 * zstd frames through one decoder that a thread keeps. `zstdDecompressSync` makes a context for each call: 22 µs of its
 * 25 for a column of 2 kB, and the blocks of a query have thousands of those.
 *
 * The decoder is the native one under `zlib`'s stream, whose `writeSync` Node does not document. Nothing relies on it:
 * its first answer is compared with `zstdDecompressSync`'s, what does not look as expected is never used again, and a
 * frame that it does not take is decompressed in the documented way.
 */
import { createZstdDecompress, constants as zlib, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** The native part of a stream, as far as it is used here. Sets the stream's `_writeState`: output and input left over. */
interface NativeDecoder {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputLength: number,
    output: Uint8Array,
    outputOffset: number,
    outputLength: number,
  ): void;
}

interface DecoderStream {
  readonly _handle?: Partial<NativeDecoder>;
  readonly _writeState?: unknown;
  on(event: 'error', listener: () => void): void;
  destroy(): void;
}

const MIN_CHUNK_BYTES = 64;

class FrameDecoder {
  readonly #stream: DecoderStream;
  readonly #native: NativeDecoder;
  /** Output and input left over by the last write. */
  readonly #left: Uint32Array;
  #failed = false;

  private constructor(stream: DecoderStream, native: NativeDecoder, left: Uint32Array) {
    this.#stream = stream;
    this.#native = native;
    this.#left = left;
    stream.on('error', () => {
      this.#failed = true;
    });
  }

  /** Null when this Node has no such decoder. */
  static make(): FrameDecoder | null {
    const stream = createZstdDecompress() as unknown as DecoderStream;
    const { _handle: native, _writeState: left } = stream;
    if (typeof native?.writeSync === 'function' && left instanceof Uint32Array && left.length === 2) {
      return new FrameDecoder(stream, native as NativeDecoder, left);
    }
    stream.destroy();
    return null;
  }

  /** Fills `out` with the content of a whole frame. False: it could not, and the decoder is used up. */
  decode(frame: Uint8Array, out: Uint8Array): boolean {
    this.#left[0] = this.#left[1] = 1;
    this.#native.writeSync(zlib.ZSTD_e_end, frame, 0, frame.length, out, 0, out.length);
    if (!this.#failed && this.#left[0] === 0 && this.#left[1] === 0) return true;
    this.#stream.destroy();
    return false;
  }
}

/** Undefined before the first use, null when there is none. */
let decoder: FrameDecoder | null | undefined;

/**
 * Decompresses one frame into `out`, which is as long as its content must be. False when the content has another length.
 * Throws zlib's error when the frame is none.
 */
export function decompressFrame(frame: Buffer, out: Uint8Array): boolean {
  if (decoder === undefined) decoder = checkedDecoder();
  // The decoder may only be given what ends a frame: in the middle of one it would take the next for its continuation.
  if (decoder !== null && isWholeFrame(frame, out.length)) {
    if (decoder.decode(frame, out)) return true;
    decoder = FrameDecoder.make();
  }
  const content = zstdDecompressSync(frame, {
    chunkSize: Math.max(MIN_CHUNK_BYTES, out.length + 1),
    maxOutputLength: Math.max(1, out.length),
  });
  if (content.length !== out.length) return false;
  out.set(content);
  return true;
}

function checkedDecoder(): FrameDecoder | null {
  const made = FrameDecoder.make();
  const content = Buffer.from('one frame and then another, by one decoder: one frame and then another');
  const frame = zstdCompressSync(content, { pledgedSrcSize: content.length });
  for (let time = 0; time < 2; time++) {
    const out = Buffer.alloc(content.length);
    if (made === null || !isWholeFrame(frame, out.length) || !made.decode(frame, out) || !out.equals(content))
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
