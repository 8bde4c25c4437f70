/**
 * The native codec under a stream of `node:zlib`. The calls that Node documents make a context for each frame, which takes
 * longer than a column of some kilobytes; a stream keeps one, but works in the background, and asks for a turn of the event
 * loop. Its `writeSync` does neither, and is not documented: nobody may rely on it. Who uses this compares the first
 * answers with those of the documented calls, never uses again what does not look as expected, and has them to fall back on.
 */
import { constants as zlib } from 'node:zlib';

/** The native part, as far as it is used here. Sets the stream's `_writeState`: output and input left over. */
interface NativeCodec {
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

interface CodecStream {
  readonly _handle?: Partial<NativeCodec>;
  readonly _writeState?: unknown;
  on(event: 'error', listener: () => void): void;
  destroy(): void;
}

export class NativeZstd {
  readonly #stream: CodecStream;
  readonly #native: NativeCodec;
  /** Output and input left over by the last write. */
  readonly #left: Uint32Array;
  #failed = false;

  private constructor(stream: CodecStream, native: NativeCodec, left: Uint32Array) {
    this.#stream = stream;
    this.#native = native;
    this.#left = left;
    stream.on('error', () => {
      this.#failed = true;
    });
  }

  /** `stream`: of `createZstdCompress` or `createZstdDecompress`. Null when this Node has it otherwise. */
  static of(stream: unknown): NativeZstd | null {
    const { _handle: native, _writeState: left } = stream as CodecStream;
    if (typeof native?.writeSync === 'function' && left instanceof Uint32Array && left.length === 2) {
      return new NativeZstd(stream as CodecStream, native as NativeCodec, left);
    }
    (stream as CodecStream).destroy();
    return null;
  }

  /**
   * Takes all of `input` and ends the frame. Returns how much of `output` was written; -1 when that went wrong or had no
   * room, and the codec is used up.
   */
  write(input: Uint8Array, output: Uint8Array): number {
    const left = this.#left;
    left[0] = left[1] = 0xffffffff;
    this.#native.writeSync(zlib.ZSTD_e_end, input, 0, input.length, output, 0, output.length);
    if (!this.#failed && left[1] === 0 && left[0]! <= output.length) return output.length - left[0]!;
    this.#stream.destroy();
    return -1;
  }
}
