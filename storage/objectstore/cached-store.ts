import { type Cache, type CacheConfig, createCache, MemoryCache } from '../cache/index.ts';
import type { ByteRange, ObjectEntry, ObjectStore } from './object-store.ts';

/** Ranges of segments that are kept at hand, in each thread that has such a store. */
export interface RangeCacheConfig {
  /** In the memory of the thread; 0: none. */
  readonly memoryBytes: number;
  /** How long they are kept there; 0: until others need the room. */
  readonly ttlMs: number;
  /** Behind that, for all threads and processes. */
  readonly remote?: CacheConfig | undefined;
}

/** What is kept: objects that are written once and never change. Everything else is small, or must be seen as it is. */
const SEGMENTS = 'segments/';

/**
 * Keeps ranges of segments that were read. A range is kept by where it starts, as long as it was ever asked for: a block
 * without its lines is the beginning of the block.
 *
 * A segment that is removed from the store may still be read here; nobody who knows that it is gone asks for it.
 */
export class CachedStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #memory: MemoryCache | null;
  readonly #remote: Cache | null;

  constructor(store: ObjectStore, memory: MemoryCache | null, remote: Cache | null) {
    this.#store = store;
    this.#memory = memory;
    this.#remote = remote;
  }

  static async create(store: ObjectStore, config: RangeCacheConfig): Promise<CachedStore> {
    const { memoryBytes, ttlMs, remote } = config;
    const memory = memoryBytes > 0 ? new MemoryCache({ maxBytes: memoryBytes, ttlMs }) : null;
    return new CachedStore(store, memory, remote === undefined ? null : await createCache(remote));
  }

  async get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    if (range === undefined || !key.startsWith(SEGMENTS)) return this.#store.get(key, range, signal);
    const { offset, length } = range;
    const place = `${key}@${offset}`;
    const inMemory = this.#memory?.peek(place) ?? null;
    if (inMemory !== null && inMemory.length >= length) return new Uint8Array(inMemory.subarray(0, length));
    const afar = (await this.#remote?.get(place)) ?? null;
    if (afar !== null && afar.length >= length) {
      await this.#memory?.set(place, afar);
      return new Uint8Array(afar.subarray(0, length));
    }
    const bytes = await this.#store.get(key, range, signal);
    await this.#memory?.set(place, bytes);
    void this.#remote?.set(place, bytes); // never rejects, and nobody waits for it
    return bytes;
  }

  put(key: string, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    return this.#store.put(key, pieces, signal);
  }

  list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectEntry> {
    return this.#store.list(prefix, signal);
  }

  delete(key: string, signal?: AbortSignal): Promise<void> {
    return this.#store.delete(key, signal);
  }

  head(key: string, signal?: AbortSignal): Promise<ObjectEntry> {
    return this.#store.head(key, signal);
  }

  close(): void {
    this.#store.close();
    void this.#memory?.close();
    void this.#remote?.close();
  }
}
