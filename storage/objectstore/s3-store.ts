import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import {
  type ByteRange,
  checkKey,
  checkRange,
  type ObjectEntry,
  type ObjectStore,
  ObjectStoreError,
  type ObjectStoreErrorCode,
} from './object-store.ts';

/** Members that are undefined are left to the SDK (its environment variables and metadata services included). */
export interface S3StoreConfig {
  readonly kind: 's3';
  readonly bucket: string;
  readonly region: string;
  readonly endpoint?: string | undefined;
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
  readonly sessionToken?: string | undefined;
  readonly forcePathStyle?: boolean | undefined;
  /** Tries of one request, the first included. */
  readonly maxAttempts?: number | undefined;
  /** S3 look-alikes older than 2025 often need `WHEN_REQUIRED`. */
  readonly requestChecksumCalculation?: 'WHEN_SUPPORTED' | 'WHEN_REQUIRED' | undefined;
  readonly responseChecksumValidation?: 'WHEN_SUPPORTED' | 'WHEN_REQUIRED' | undefined;
  /** Time for a TCP and TLS handshake. */
  readonly connectionTimeoutMs?: number | undefined;
  /** Time from a request to its whole answer. */
  readonly requestTimeoutMs?: number | undefined;
}

const DEFAULT_CONNECTION_TIMEOUT_MS = 5_000;
const DEFAULT_REQUEST_TIMEOUT_MS = 60_000;
const DEFAULT_MAX_ATTEMPTS = 3;
/** Larger objects go up in parts of this size, PARTS_AT_ONCE at a time; S3's own minimum of a part is 5 MiB. */
const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 4;

/** Objects in a bucket of S3 or of a server that speaks its protocol. Retries what may pass, with the SDK's back-off. */
export class S3Store implements ObjectStore {
  readonly #client: S3Client;
  readonly #bucket: string;

  constructor(config: S3StoreConfig) {
    this.#bucket = config.bucket;
    const { accessKeyId, secretAccessKey, sessionToken, endpoint } = config;
    const timeoutMs = config.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS;
    this.#client = new S3Client({
      region: config.region,
      forcePathStyle: config.forcePathStyle ?? false,
      maxAttempts: config.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
      requestHandler: {
        connectionTimeout: config.connectionTimeoutMs ?? DEFAULT_CONNECTION_TIMEOUT_MS,
        requestTimeout: timeoutMs,
        throwOnRequestTimeout: true,
        socketTimeout: timeoutMs,
      },
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(config.requestChecksumCalculation === undefined
        ? {}
        : { requestChecksumCalculation: config.requestChecksumCalculation }),
      ...(config.responseChecksumValidation === undefined
        ? {}
        : { responseChecksumValidation: config.responseChecksumValidation }),
      ...(accessKeyId === undefined || secretAccessKey === undefined
        ? {}
        : { credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) } }),
    });
  }

  async put(key: string, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    checkKey(key);
    // One copy: the SDK reads a body more than once (checksum, signature, retries), and not from shared memory.
    const body = Buffer.concat(pieces);
    await this.#attempt('put', key, signal, async () => {
      if (body.length <= PART_BYTES) {
        await this.#client.send(
          new PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: body, ContentLength: body.length }),
          abortOption(signal),
        );
        return;
      }
      const controller = new AbortController();
      const onAbort = (): void => controller.abort();
      const upload = new Upload({
        client: this.#client,
        params: { Bucket: this.#bucket, Key: key, Body: body },
        partSize: PART_BYTES,
        queueSize: PARTS_AT_ONCE,
        abortController: controller,
      });
      signal?.throwIfAborted();
      signal?.addEventListener('abort', onAbort, { once: true });
      try {
        await upload.done();
      } finally {
        signal?.removeEventListener('abort', onAbort);
      }
    });
  }

  async get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    checkKey(key);
    if (range) checkRange(range);
    if (range?.length === 0) return new Uint8Array(0); // HTTP has no empty range
    return this.#attempt('get', key, signal, async () => {
      const answer = await this.#client.send(
        new GetObjectCommand({
          Bucket: this.#bucket,
          Key: key,
          ...(range ? { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` } : {}),
        }),
        abortOption(signal),
      );
      const bytes = (await answer.Body?.transformToByteArray()) ?? new Uint8Array(0);
      if (answer.ContentLength !== undefined && bytes.length !== answer.ContentLength) {
        throw new ObjectStoreError('unavailable', `get ${key}: the answer broke off after ${bytes.length} bytes`);
      }
      if (range && bytes.length !== range.length) {
        throw new ObjectStoreError('invalid', `get ${key}: the range ${range.offset}+${range.length} passes the end`);
      }
      return bytes;
    });
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectEntry> {
    let token: string | undefined;
    do {
      const page = await this.#attempt('list', prefix, signal, () =>
        this.#client.send(
          new ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: prefix,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          abortOption(signal),
        ),
      );
      for (const { Key, Size } of page.Contents ?? []) {
        if (Key !== undefined) yield { key: Key, sizeBytes: Size ?? 0 };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    checkKey(key);
    try {
      await this.#attempt('delete', key, signal, () =>
        this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: key }), abortOption(signal)),
      );
    } catch (error: unknown) {
      if (error instanceof ObjectStoreError && error.code === 'not_found') return;
      throw error;
    }
  }

  async head(key: string, signal?: AbortSignal): Promise<ObjectEntry> {
    checkKey(key);
    const answer = await this.#attempt('head', key, signal, () =>
      this.#client.send(new HeadObjectCommand({ Bucket: this.#bucket, Key: key }), abortOption(signal)),
    );
    return { key, sizeBytes: answer.ContentLength ?? 0 };
  }

  close(): void {
    this.#client.destroy();
  }

  async #attempt<T>(
    operation: string,
    key: string,
    signal: AbortSignal | undefined,
    run: () => Promise<T>,
  ): Promise<T> {
    try {
      return await run();
    } catch (error: unknown) {
      if (signal?.aborted) throw new ObjectStoreError('aborted', `${operation} ${key}: aborted`, { cause: error });
      if (error instanceof ObjectStoreError) throw error;
      const name = error instanceof Error ? error.name : String(error);
      throw new ObjectStoreError(codeOf(error), `${operation} ${key}: ${name}`, { cause: error });
    }
  }
}

function abortOption(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal ? { abortSignal: signal } : {};
}

function codeOf(error: unknown): ObjectStoreErrorCode {
  if (error instanceof Error && error.name === 'CredentialsProviderError') return 'denied';
  // Without an answer of the server: it could not be reached, or broke off.
  if (!(error instanceof S3ServiceException)) return 'unavailable';
  if (error.name === 'NoSuchBucket') return 'invalid';
  const status = error.$metadata.httpStatusCode ?? 500;
  if (status === 404) return 'not_found';
  if (status === 401 || status === 403) return error.name === 'RequestTimeTooSkewed' ? 'unavailable' : 'denied';
  if (status === 408 || status === 429 || status >= 500) return 'unavailable';
  return error.name === 'RequestTimeout' || error.name === 'SlowDown' ? 'unavailable' : 'invalid';
}
