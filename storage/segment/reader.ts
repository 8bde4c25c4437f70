import { crc32, zstdDecompressSync } from 'node:zlib';
import { type BlockReader, openBlock } from '../block/index.ts';
import { type ObjectStore, ObjectStoreError } from '../objectstore/index.ts';
import { CorruptSegmentError } from './corrupt-segment-error.ts';
import { type BlockPlace, SegmentFooter } from './footer.ts';
import { parseSegmentKey } from './key.ts';
import { decodeTrailer, SEGMENT_MAGIC, TRAILER_BYTES } from './trailer.ts';

/** What a reader is ready to decompress a footer to: about a million series. */
const MAX_FOOTER_BYTES = 2 ** 28;

/** A segment in an object store. */
export class SegmentReader {
  readonly key: string;
  readonly footer: SegmentFooter;
  readonly #store: ObjectStore;

  private constructor(store: ObjectStore, footer: SegmentFooter) {
    this.#store = store;
    this.key = footer.key;
    this.footer = footer;
  }

  /**
   * Reads the footer with one range read: the key says where it lies. Throws CorruptSegmentError, and what the store
   * throws.
   */
  static async open(store: ObjectStore, key: string, signal?: AbortSignal): Promise<SegmentReader> {
    return new SegmentReader(store, await readFooter(store, key, signal));
  }

  /**
   * The filters of all blocks, one after the other. Throws CorruptSegmentError when they are damaged, and what the store
   * throws.
   */
  async filters(signal?: AbortSignal): Promise<Uint8Array> {
    return readFilters(this.#store, this.footer, signal);
  }

  /** Throws CorruptBlockError, and what the store throws. */
  async openBlock(place: BlockPlace, signal?: AbortSignal): Promise<BlockReader> {
    return openBlock(await this.#store.get(this.key, { offset: place.offset, length: place.length }, signal));
  }
}

/** As `SegmentReader.filters`, for who has the footer at hand. */
export async function readFilters(
  store: ObjectStore,
  footer: SegmentFooter,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const { offset, length, crc } = footer.filters;
  if (length === 0) return NO_FILTERS;
  const bytes = await store.get(footer.key, { offset, length }, signal);
  if (crc32(bytes) !== crc) throw new CorruptSegmentError(footer.key, 'checksum of the filters does not match', offset);
  return bytes;
}

const NO_FILTERS = new Uint8Array(0);

async function readFooter(store: ObjectStore, key: string, signal?: AbortSignal): Promise<SegmentFooter> {
  const parts = parseSegmentKey(key);
  if (parts === null) throw new CorruptSegmentError(key, 'the key is not that of a segment', 0);
  const { sizeBytes, footerBytes } = parts;
  const offset = sizeBytes - TRAILER_BYTES - footerBytes;
  if (offset < SEGMENT_MAGIC.length) throw new CorruptSegmentError(key, 'the key’s sizes contradict each other', 0);
  let bytes: Buffer;
  try {
    const got = await store.get(key, { offset, length: footerBytes + TRAILER_BYTES }, signal);
    if (got.length !== footerBytes + TRAILER_BYTES)
      throw new CorruptSegmentError(key, 'cut short', offset + got.length);
    bytes = Buffer.from(got.buffer, got.byteOffset, got.byteLength);
  } catch (cause: unknown) {
    if (!(cause instanceof ObjectStoreError) || cause.code !== 'invalid') throw cause;
    throw new CorruptSegmentError(key, 'shorter than its key says', offset, { cause });
  }
  return decodeFooter(key, parts.tenant, bytes, offset);
}

/** `bytes`: footer and trailer, which start at `offset` in the object. Throws CorruptSegmentError. */
function decodeFooter(key: string, tenant: string, bytes: Buffer, offset: number): SegmentFooter {
  const footerBytes = bytes.length - TRAILER_BYTES;
  const trailer = decodeTrailer(key, bytes.subarray(footerBytes), offset + footerBytes);
  if (trailer.footerOffset !== offset || trailer.footerBytes !== footerBytes) {
    throw new CorruptSegmentError(key, 'the footer is not where the key says', offset);
  }
  const stored = bytes.subarray(0, footerBytes);
  if (crc32(stored) !== trailer.footerCrc) {
    throw new CorruptSegmentError(key, 'footer checksum does not match', offset);
  }
  if (trailer.footerRawBytes > MAX_FOOTER_BYTES) throw new CorruptSegmentError(key, 'footer too large', offset);
  let footer: SegmentFooter;
  try {
    const memory = new ArrayBuffer(trailer.footerRawBytes);
    new Uint8Array(memory).set(
      zstdDecompressSync(stored, {
        chunkSize: trailer.footerRawBytes + 64,
        maxOutputLength: Math.max(1, trailer.footerRawBytes),
      }),
    );
    footer = new SegmentFooter(key, memory, offset);
  } catch (cause: unknown) {
    throw new CorruptSegmentError(key, 'the footer cannot be read', offset, { cause });
  }
  if (footer.tenant !== tenant) throw new CorruptSegmentError(key, 'belongs to another tenant', offset);
  return footer;
}
