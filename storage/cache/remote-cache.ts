import { createHash } from 'node:crypto';
import type { Cache, CacheFailure, CacheObserver } from './cache.ts';

/** What a server of another program must do to be a cache. All may reject, or take for ever. */
export interface RemoteStore {
  get(key: string): Promise<Buffer | null>;
  /** `ttlMs` 0: as long as the server likes. */
  set(key: string, value: Buffer, ttlMs: number): Promise<void>;
  /** The server did not answer as it should: what is known of the connection is worth nothing. */
  reset?(): void;
  close(): Promise<void>;
}

export interface RemoteCacheOptions {
  /** What takes longer counts as a miss. */
  readonly timeoutMs: number;
  /** Larger values are not kept. */
  readonly maxValueBytes: number;
  /** Of values that do not say; 0: as long as the server likes. */
  readonly ttlMs: number;
  /** Values on their way to the server; more are not kept. */
  readonly maxPendingBytes?: number;
  readonly nowMs?: () => number;
}

const MAX_PENDING_BYTES = 16 * 1024 * 1024;
/** A server that fails so many times in a row is not asked for a while, longer each time. */
const FAILURES_TO_PAUSE = 3;
const MIN_PAUSE_MS = 500;
const MAX_PAUSE_MS = 15_000;
/** What memcached takes as a key, less the prefix. */
const PLAIN_KEY = /^[\x21-\x7e]{1,200}$/;
/** Changes when what is kept under a key gets another meaning. */
const PREFIX = 'loptr1:';

class TimeoutError extends Error {}

/** A cache in a server of another program, which may be slow, away, or full without harm to who asks. */
export class RemoteCache implements Cache {
  readonly #store: RemoteStore;
  readonly #o: Required<RemoteCacheOptions>;
  readonly #observer: CacheObserver;
  #pendingBytes = 0;
  #failures = 0;
  #pausedUntilMs = 0;

  constructor(store: RemoteStore, options: RemoteCacheOptions, observer: CacheObserver = {}) {
    this.#store = store;
    this.#observer = observer;
    this.#o = { maxPendingBytes: MAX_PENDING_BYTES, nowMs: () => performance.now(), ...options };
  }

  async get(key: string): Promise<Buffer | null> {
    const { onHit, onMiss } = this.#observer;
    const value = await this.#attempt('get', () => this.#store.get(storedKey(key)));
    if (value === undefined) return null;
    if (value === null) onMiss?.();
    else onHit?.(value.length);
    return value;
  }

  async set(key: string, value: Uint8Array, ttlMs = this.#o.ttlMs): Promise<void> {
    const { onFailure, onSet } = this.#observer;
    if (value.length > this.#o.maxValueBytes) {
      onFailure?.('set', 'too_large');
      return;
    }
    if (this.#pendingBytes + value.length > this.#o.maxPendingBytes) {
      onFailure?.('set', 'overloaded');
      return;
    }
    const own = Buffer.from(value); // the caller goes on with its buffer
    this.#pendingBytes += own.length;
    const done = await this.#attempt('set', () => this.#store.set(storedKey(key), own, ttlMs));
    this.#pendingBytes -= own.length;
    if (done !== undefined) onSet?.(own.length);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  /** Undefined when it failed, which the observer was told of. */
  async #attempt<T>(operation: 'get' | 'set', run: () => Promise<T>): Promise<(T extends void ? null : T) | undefined> {
    if (this.#o.nowMs() < this.#pausedUntilMs) {
      this.#observer.onFailure?.(operation, 'skipped');
      return undefined;
    }
    let failure: CacheFailure;
    try {
      const result = await within(run(), this.#o.timeoutMs);
      this.#failures = 0;
      return (result ?? null) as T extends void ? null : T;
    } catch (error: unknown) {
      failure = error instanceof TimeoutError ? 'timeout' : 'error';
    }
    this.#observer.onFailure?.(operation, failure);
    this.#store.reset?.();
    if (++this.#failures >= FAILURES_TO_PAUSE) {
      const pauseMs = Math.min(MIN_PAUSE_MS * 2 ** (this.#failures - FAILURES_TO_PAUSE), MAX_PAUSE_MS);
      this.#pausedUntilMs = this.#o.nowMs() + pauseMs;
    }
    return undefined;
  }
}

/** Keys of others are of any length and any letters. */
function storedKey(key: string): string {
  return PREFIX + (PLAIN_KEY.test(key) ? key : `#${createHash('sha256').update(key).digest('base64url')}`);
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeoutError('no answer in time')), ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
