/**
 * Values that are dear to make and may be lost at any time. A cache never fails and never holds up who asks it: what
 * cannot be had in time is not there.
 */
export interface Cache {
  /** Null when it is not there. The bytes are shared: look at them, do not change or transfer them. */
  get(key: string): Promise<Buffer | null>;
  /**
   * Keeps a value for `ttlMs`, or as long as the cache is set to, and may as well not. `value` is the caller's again when
   * this returns; who wants to know when it is in the cache waits for the promise, which never rejects.
   */
  set(key: string, value: Uint8Array, ttlMs?: number): Promise<void>;
  /** Drops what is in memory and ends connections. */
  close(): Promise<void>;
}

export type CacheFailure =
  /** The server is away, or said no. */
  | 'error'
  /** The server took too long. */
  | 'timeout'
  /** Not asked, because the server failed a moment ago. */
  | 'skipped'
  /** Too large for the cache; only of values to keep. */
  | 'too_large'
  /** Too much is on its way to the server already; only of values to keep. */
  | 'overloaded';

/** Told of what a cache does, for metrics. Absent members hear nothing. */
export interface CacheObserver {
  readonly onHit?: (bytes: number) => void;
  readonly onMiss?: () => void;
  readonly onSet?: (bytes: number) => void;
  readonly onFailure?: (operation: 'get' | 'set', failure: CacheFailure) => void;
}
