import { LRUCache } from 'lru-cache';
import type { Cache, CacheObserver } from './cache.ts';

export interface MemoryCacheConfig {
  readonly kind: 'memory';
  /** Values, keys, and what it takes to keep them. */
  readonly maxBytes: number;
  /** 0: until others need the room. */
  readonly ttlMs: number;
}

/** An entry of the cache beside its value and its key. */
const OVERHEAD_BYTES = 256;

/** In this thread's memory; what was asked for last stays longest. */
export class MemoryCache implements Cache {
  readonly #values: LRUCache<string, Buffer>;
  readonly #maxBytes: number;
  readonly #observer: CacheObserver;

  constructor({ maxBytes, ttlMs }: Omit<MemoryCacheConfig, 'kind'>, observer: CacheObserver = {}) {
    this.#maxBytes = maxBytes;
    this.#observer = observer;
    this.#values = new LRUCache({ maxSize: Math.max(1, maxBytes), ttl: ttlMs });
  }

  /** Of what is kept now. */
  get sizeBytes(): number {
    return this.#values.calculatedSize;
  }

  async get(key: string): Promise<Buffer | null> {
    return this.peek(key);
  }

  /** As `get`, at once. */
  peek(key: string): Buffer | null {
    const value = this.#values.get(key) ?? null;
    if (value === null) this.#observer.onMiss?.();
    else this.#observer.onHit?.(value.length);
    return value;
  }

  async set(key: string, value: Uint8Array, ttlMs?: number): Promise<void> {
    const size = value.length + 2 * key.length + OVERHEAD_BYTES;
    if (size > this.#maxBytes) {
      this.#observer.onFailure?.('set', 'too_large');
      return;
    }
    // A copy in memory of its own: a view would keep all of what it is a part of.
    const own = Buffer.allocUnsafeSlow(value.length);
    own.set(value);
    this.#values.set(key, own, ttlMs === undefined ? { size } : { size, ttl: ttlMs });
    this.#observer.onSet?.(value.length);
  }

  async close(): Promise<void> {
    this.#values.clear();
  }
}
