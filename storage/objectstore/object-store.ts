/**
 * Where segments and other whole objects live. Only what every S3 look-alike has is asked for: plain PUT, GET with
 * ranges, LIST, DELETE. Objects are written once under unique keys and never changed.
 *
 * Keys are parts joined by `/`, at most MAX_KEY_BYTES of UTF-8, no part empty. A key is never the folder of another one
 * (`a` beside `a/b`): a file system cannot hold both.
 */
export interface ObjectStore {
  /** Stores the concatenated pieces; readers see all of it or nothing. Replaces what the key held. */
  put(key: string, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void>;
  /** The object, or exactly the range of it; the bytes are the caller's. A range past the end is `invalid`. */
  get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array>;
  /**
   * As `get`, for stores whose objects are at hand, so that a worker thread can read without a promise; into what
   * `allocate` gives, where it is given.
   */
  getSync?(key: string, range?: ByteRange, allocate?: (bytes: number) => Uint8Array): Uint8Array;
  /** Every object whose key starts with `prefix`, in no particular order. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectEntry>;
  /** A key that is not there is no error. */
  delete(key: string, signal?: AbortSignal): Promise<void>;
  /** Throws `not_found` for a key that is not there. */
  head(key: string, signal?: AbortSignal): Promise<ObjectEntry>;
  /** Releases connections. */
  close(): void;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface ObjectEntry {
  readonly key: string;
  readonly sizeBytes: number;
}

/** What S3 allows. */
export const MAX_KEY_BYTES = 1024;

export type ObjectStoreErrorCode =
  | 'not_found'
  /** The store refuses these credentials or permissions. */
  | 'denied'
  /** The store cannot be reached, is overloaded or full: trying again later may help. */
  | 'unavailable'
  /** The request makes no sense: a bad key, a range past the end, no such bucket. */
  | 'invalid'
  /** The caller's signal fired. */
  | 'aborted';

export class ObjectStoreError extends Error {
  readonly code: ObjectStoreErrorCode;
  readonly retryable: boolean;
  constructor(code: ObjectStoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = code === 'unavailable';
  }
}

/** Throws `invalid` for keys that some store could not hold. */
export function checkKey(key: string): void {
  if (key === '' || Buffer.byteLength(key) > MAX_KEY_BYTES || key.split('/').includes('')) {
    throw new ObjectStoreError('invalid', `${JSON.stringify(key)} is not an object key`);
  }
  if (!key.isWellFormed()) throw new ObjectStoreError('invalid', 'an object key must be well-formed Unicode');
}

export function checkRange({ offset, length }: ByteRange): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
    throw new ObjectStoreError('invalid', `${offset}+${length} is not a byte range`);
  }
}
