import { crc32 } from 'node:zlib';
import type { ObjectStore } from '../objectstore/index.ts';
import { type BlockPlace, CorruptSegmentError, type SegmentFooter, SegmentReader } from '../segment/index.ts';

/** What all sources of a merge together read ahead. */
const READ_AHEAD_BYTES = 64 * 1024 * 1024;
const MIN_READ_AHEAD_BYTES = 64 * 1024;
const MAX_READ_AHEAD_BYTES = 4 * 1024 * 1024;
const NO_FILTER = new Uint8Array(0);

/** A segment that is read from its start to its end, stream by stream, a stretch of it in memory at a time. */
export class SourceSegment {
  readonly footer: SegmentFooter;
  readonly #blocks: ForwardReader;
  readonly #filters: ForwardReader;
  readonly #hasFilters: boolean;

  private constructor(footer: SegmentFooter, blocks: ForwardReader, filters: ForwardReader, hasFilters: boolean) {
    this.footer = footer;
    this.#blocks = blocks;
    this.#filters = filters;
    this.#hasFilters = hasFilters;
  }

  /** `sourceCount`: how many segments share the memory. Throws CorruptSegmentError, and what the store throws. */
  static async open(
    store: ObjectStore,
    key: string,
    sourceCount: number,
    signal?: AbortSignal,
  ): Promise<SourceSegment> {
    const { footer } = await SegmentReader.open(store, key, signal);
    const share = READ_AHEAD_BYTES / sourceCount;
    const ahead = Math.floor(Math.min(MAX_READ_AHEAD_BYTES, Math.max(MIN_READ_AHEAD_BYTES, share)));
    const { offset, length, crc } = footer.filters;
    const blocks = new ForwardReader(store, key, offset, ahead, signal);
    const filters = new ForwardReader(store, key, offset + length, ahead >> 2, signal);
    return new SourceSegment(footer, blocks, filters, (await filters.checksum(offset)) === crc);
  }

  /** Valid until the next call. Throws what the store throws. */
  block(place: BlockPlace): Promise<Uint8Array> {
    return this.#blocks.read(place.offset, place.length);
  }

  /**
   * The filter of a block, of no bytes when it has none or the segment's filters are damaged: their checksum is one for
   * all, so a copied one would pass for whole. Valid until the next call.
   */
  async filter(place: BlockPlace): Promise<Uint8Array> {
    if (!this.#hasFilters || place.filterBytes === 0) return NO_FILTER;
    return this.#filters.read(this.footer.filters.offset + place.filterOffset, place.filterBytes);
  }
}

/** Reads ranges of an object, mostly ascending ones, in larger pieces. */
class ForwardReader {
  readonly #store: ObjectStore;
  readonly #key: string;
  readonly #end: number;
  readonly #ahead: number;
  readonly #signal: AbortSignal | undefined;
  #buffer: Uint8Array = new Uint8Array(0);
  #start = 0;

  constructor(store: ObjectStore, key: string, end: number, ahead: number, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#key = key;
    this.#end = end;
    this.#ahead = ahead;
    this.#signal = signal;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset + length > this.#end) throw new CorruptSegmentError(this.#key, 'a block lies outside', offset);
    if (offset < this.#start || offset + length > this.#start + this.#buffer.length) {
      const wanted = Math.min(Math.max(length, this.#ahead), this.#end - offset);
      this.#buffer = await this.#store.get(this.#key, { offset, length: wanted }, this.#signal);
      this.#start = offset;
    }
    return this.#buffer.subarray(offset - this.#start, offset - this.#start + length);
  }

  /** CRC-32 of everything from `offset` to the end. */
  async checksum(offset: number): Promise<number> {
    let crc = 0;
    for (let at = offset; at < this.#end; ) {
      const bytes = await this.read(at, Math.min(this.#ahead, this.#end - at));
      crc = crc32(bytes, crc);
      at += bytes.length;
    }
    return crc;
  }
}
