import { PushError } from './push-error.ts';

/**
 * LZ4 frames (lz4 frame format 1.6.4), one behind the other:
 *
 *     frame := magic  flags  block-size  [content size, 8]  [dictionary id, 4]  header checksum  block*  u32 0  [checksum, 4]
 *     block := u32 size, its top bit set when stored as is  bytes  [checksum, 4]
 *
 * A match may reach back into the blocks before, so that all of a frame comes out as one piece. Checksums are passed over,
 * as are frames to skip.
 */
const MAGIC = 0x184d2204;
const SKIP_MAGIC = 0x184d2a50;
const STORED = 0x80000000;
const VERSION_MASK = 0xc0;
const VERSION = 0x40;
const BLOCK_CHECKSUMS = 0x10;
const CONTENT_SIZE = 0x08;
const CONTENT_CHECKSUM = 0x04;
const DICTIONARY = 0x01;

/** At most `maxBytes` come out. Throws PushError 400 for what is no such frame, 413 for more. */
export function decodeLz4Frames(body: Buffer, maxBytes: number): Buffer {
  const reader = new Lz4Reader(body, maxBytes);
  while (reader.at < body.length) reader.frame();
  return reader.out.subarray(0, reader.length);
}

class Lz4Reader {
  readonly #bytes: Buffer;
  readonly #maxBytes: number;
  at = 0;
  out: Buffer;
  length = 0;

  constructor(bytes: Buffer, maxBytes: number) {
    this.#bytes = bytes;
    this.#maxBytes = maxBytes;
    this.out = Buffer.allocUnsafe(Math.min(maxBytes, Math.max(64, 4 * bytes.length)));
  }

  frame(): void {
    const magic = this.#uint32();
    if ((magic & 0xfffffff0) >>> 0 === SKIP_MAGIC) {
      this.#pass(this.#uint32());
      return;
    }
    if (magic !== MAGIC) throw new PushError(400, 'lz4: bad magic number');
    const flags = this.#bytes[this.#pass(2)]!;
    if ((flags & VERSION_MASK) !== VERSION) throw new PushError(400, 'lz4: unsupported version');
    if (flags & DICTIONARY) throw new PushError(400, 'lz4: dictionaries are not supported');
    this.#pass((flags & CONTENT_SIZE ? 8 : 0) + 1);
    const start = this.length;
    for (let size = this.#uint32(); size !== 0; size = this.#uint32()) {
      const stored = size >= STORED;
      const length = stored ? size - STORED : size;
      const from = this.#pass(length);
      if (stored) {
        this.#reserve(length);
        this.#bytes.copy(this.out, this.length, from, from + length);
        this.length += length;
      } else this.#block(from, from + length, start);
      if (flags & BLOCK_CHECKSUMS) this.#pass(4);
    }
    if (flags & CONTENT_CHECKSUM) this.#pass(4);
  }

  /** One compressed block. `start`: where the frame's output begins. */
  #block(at: number, end: number, start: number): void {
    const bytes = this.#bytes;
    while (at < end) {
      const token = bytes[at++]!;
      let literals = token >>> 4;
      if (literals === 15) [literals, at] = this.#longer(literals, at, end);
      if (at + literals > end) throw corrupt();
      this.#reserve(literals);
      bytes.copy(this.out, this.length, at, at + literals);
      this.length += literals;
      at += literals;
      if (at === end) return; // the last sequence has no match
      if (at + 2 > end) throw corrupt();
      const offset = bytes.readUInt16LE(at);
      at += 2;
      let match = token & 15;
      if (match === 15) [match, at] = this.#longer(match, at, end);
      match += 4;
      const from = this.length - offset;
      if (offset === 0 || from < start) throw corrupt();
      this.#reserve(match);
      const { out } = this;
      // A match may overlap what it makes: byte by byte, unless it does not.
      if (offset >= match) out.copyWithin(this.length, from, from + match);
      else for (let i = 0; i < match; i++) out[this.length + i] = out[from + i]!;
      this.length += match;
    }
  }

  /** A length that goes on in further bytes. */
  #longer(length: number, at: number, end: number): [length: number, at: number] {
    for (;;) {
      if (at >= end) throw corrupt();
      const byte = this.#bytes[at++]!;
      length += byte;
      if (byte !== 255) return [length, at];
    }
  }

  #reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.out.length) return;
    if (needed > this.#maxBytes) {
      throw new PushError(413, `decompressed message size too large than max (over ${this.#maxBytes})`);
    }
    const larger = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(2 * this.out.length, needed)));
    larger.set(this.out.subarray(0, this.length));
    this.out = larger;
  }

  #uint32(): number {
    return this.#bytes.readUInt32LE(this.#pass(4));
  }

  /** Passes over bytes; returns where they begin. */
  #pass(length: number): number {
    const start = this.at;
    this.at += length;
    if (this.at > this.#bytes.length) throw new PushError(400, 'unexpected EOF');
    return start;
  }
}

const corrupt = (): PushError => new PushError(400, 'lz4: invalid source or destination buffer too short');
