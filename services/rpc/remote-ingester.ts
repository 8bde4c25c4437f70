import { type CallOptions, Client, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { Labels } from '../../logql/labels.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import { systemClock } from '../../storage/host/clock.ts';
import { channelSecurity, type GrpcClientTls } from './grpc-client-tls.ts';
import {
  type IngesterClient,
  PushRejectedError,
  type RecentFigures,
  type RecentRequest,
  type RecentStream,
} from './ingester.ts';
import {
  CorruptMessageError,
  decodeLabels,
  encodeMatchers,
  encodeRecentRequest,
  messages,
  toCount,
} from './ingester-messages.ts';
import { INGESTER_SERVICE } from './ingester-service.ts';
import type { PatternRequest, StreamPatternClient, StreamPatterns } from './patterns.ts';
import { encodePatternRequest, PatternsDecoder } from './patterns-wire.ts';
import { decodePushBatch, type StreamBatch } from './push-batch.ts';
import { PushQueue } from './push-queue.ts';
import { RecentDecoder, RecentTooLargeError } from './recent-wire.ts';
import { fromServiceError, RpcError, rpcError } from './rpc-error.ts';

/** Of the calls to one ingester. */
export interface RemoteIngesterSettings {
  /** `ingester_client.remote_timeout`: a push that takes longer has failed. 5 s by default. */
  readonly pushTimeoutMs?: number;
  /** `ingester_client.grpc_client_config.max_recv_msg_size`; 100 MB by default. */
  readonly maxReceiveBytes?: number;
  /** `ingester_client.grpc_client_config.max_send_msg_size`; 16 MB by default. */
  readonly maxSendBytes?: number;
  /** Pushes that wait for this ingester's answer; beyond it they fail at once. 64 MB by default. */
  readonly maxInflightBytes?: number;
  /** Batches that go in one call, together; 2 MB by default. A server's `grpc_server_max_recv_msg_size` must take it. */
  readonly maxPushBytes?: number;
  /**
   * Memory for one answer of `recent`, `series`, `labelNames` and `labelValues`; 512 MB by default. Of `streamPatterns`, 64
   * MB at most.
   */
  readonly maxAnswerBytes?: number;
  /** A connection over which nothing came for so long is asked for a sign of life. 10 s by default. */
  readonly keepaliveMs?: number;
  /** It is closed when none comes in this time. 10 s by default. */
  readonly keepaliveTimeoutMs?: number;
  /**
   * Called with the segments that the ingester has published of late, before the question whose answer named them is
   * answered: whoever then looks at them and at the answer sees every row.
   */
  readonly onSegments?: (keys: readonly string[], tenant: string) => void | Promise<void>;
}

export interface RemoteIngesterOptions extends RemoteIngesterSettings {
  readonly id: string;
  /** `host:port` */
  readonly address: string;
  /** Plain text when absent. */
  readonly tls?: GrpcClientTls;
}

/** What the health service of an ingester says. `unreachable`: nothing. */
export type RemoteHealth = 'serving' | 'not_serving' | 'unreachable';

const MB = 1024 * 1024;
/** Of HTTP/2. Node's 64 kB halve the speed of large answers. */
const FLOW_CONTROL_BYTES = 8 * MB;
/** How long an ingester that went away is left alone: one that starts again is wanted at once. */
const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 1000;
/** How long questions wait for tails that were begun before them. */
const MAX_OPENING_MS = 2000;
/** Of a few bytes a step each object in memory takes many times as much. */
const MAX_PATTERN_BYTES = 64 * MB;
const HEALTH_CHECK = '/grpc.health.v1.Health/Check';
const SERVING = 1;

/**
 * An ingester of another process. Beside what `IngesterClient` says, methods reject with RpcError, and with
 * CorruptMessageError and RecentTooLargeError when an answer is none or too much. A question that is asked after `tail`
 * was called is answered after the rows are followed, so that none falls between the two, unless following takes seconds.
 */
export class RemoteIngester implements IngesterClient, StreamPatternClient {
  readonly id: string;
  readonly address: string;
  readonly #client: Client;
  /**
   * Tails have a connection of their own, since they last: beyond a number of calls, a server lets those of one connection
   * wait for each other (`grpc_server_max_concurrent_streams`), and pushes and questions must not wait for tails.
   */
  #tailClient: Client | null = null;
  readonly #connectForTails: () => Client;
  readonly #onSegments: (keys: readonly string[], tenant: string) => void | Promise<void>;
  readonly #pushes: PushQueue;
  readonly #maxAnswerBytes: number;
  readonly #tails = new Set<(error: Error) => void>();
  /** Tails that the ingester has not confirmed yet. */
  readonly #opening = new Set<Promise<void>>();
  #health: RemoteHealth = 'serving';

  constructor(options: RemoteIngesterOptions) {
    this.id = options.id;
    this.address = options.address;
    this.#onSegments = options.onSegments ?? (() => {});
    this.#pushes = new PushQueue({
      name: `ingester ${options.id} (${options.address})`,
      timeoutMs: options.pushTimeoutMs ?? 5000,
      maxCallBytes: options.maxPushBytes ?? 2 * MB,
      maxBytes: options.maxInflightBytes ?? 64 * MB,
      call: (batches, deadline) => this.#push(batches, deadline),
    });
    this.#maxAnswerBytes = options.maxAnswerBytes ?? 512 * MB;
    this.#client = connect(options);
    this.#connectForTails = () => connect(options);
  }

  /** Of pushes under way. */
  get inflightBytes(): number {
    return this.#pushes.bytes;
  }

  async push(batch: Uint8Array, signal?: AbortSignal): Promise<void> {
    if (this.#health !== 'serving') throw this.#unhealthy();
    await this.#pushes.push(batch, signal);
  }

  async recent(request: RecentRequest, signal?: AbortSignal): Promise<readonly RecentStream[]> {
    const decoder = new RecentDecoder(this.#maxAnswerBytes);
    const asked = messages.recentRequest.encode(encodeRecentRequest(request));
    await this.#read('Recent', asked, signal, (message) => decoder.add(message));
    const { streams, segments } = decoder.finish();
    await this.#onSegments(segments, request.tenant);
    return streams;
  }

  async series(request: RecentRequest, signal?: AbortSignal): Promise<readonly Labels[]> {
    const found: Labels[] = [];
    const asked = messages.recentRequest.encode(encodeRecentRequest(request));
    await this.#list('Series', asked, request.tenant, signal, (message) => {
      const { series = [], segments = [] } = messages.seriesResponse.decode(message);
      for (const labels of series) found.push(decodeLabels(labels));
      return segments;
    });
    return found;
  }

  labelNames(request: RecentRequest, signal?: AbortSignal): Promise<readonly string[]> {
    return this.#texts('LabelNames', messages.recentRequest.encode(encodeRecentRequest(request)), request, signal);
  }

  labelValues(name: string, request: RecentRequest, signal?: AbortSignal): Promise<readonly string[]> {
    const asked = messages.labelValuesRequest.encode({ name, request: encodeRecentRequest(request) });
    return this.#texts('LabelValues', asked, request, signal);
  }

  async stats(request: RecentRequest, signal?: AbortSignal): Promise<RecentFigures> {
    await this.#ready(signal);
    const asked = messages.recentRequest.encode(encodeRecentRequest(request));
    const answer = messages.statsResponse.decode(await this.#ask('Stats', asked, signal));
    const { streams, chunks, rows, bytes, segments = [] } = answer;
    const figures = {
      streams: toCount(streams),
      chunks: toCount(chunks),
      rows: toCount(rows),
      bytes: toCount(bytes),
    };
    await this.#onSegments(segments, request.tenant);
    return figures;
  }

  tail(
    tenant: string,
    matchers: readonly Matcher[],
    onRows: (labels: Labels, rows: StreamBatch) => void,
    onClosed: (error: Error) => void = () => {},
  ): () => void {
    const asked = messages.tailRequest.encode({ tenant, matchers: encodeMatchers(matchers) });
    this.#tailClient ??= this.#connectForTails();
    const call = this.#tailClient.makeServerStreamRequest(pathOf('Tail'), asBytes, asBytes, asked, new Metadata());
    const opening = Promise.withResolvers<void>();
    this.#opening.add(opening.promise);
    // A tail that cannot be opened must not keep questions from being asked.
    const patience = setTimeout(() => opened(), MAX_OPENING_MS);
    patience.unref();
    const opened = (): void => {
      clearTimeout(patience);
      this.#opening.delete(opening.promise);
      opening.resolve();
    };
    const end = (): boolean => {
      opened();
      const isFirst = this.#tails.delete(close);
      if (isFirst) call.cancel();
      return isFirst;
    };
    const close = (error: Error): void => {
      if (end()) onClosed(error);
    };
    this.#tails.add(close);
    call.once('metadata', opened);
    call.on('data', (bytes: Buffer) => {
      if (!this.#tails.has(close)) return;
      try {
        const { labels, batch } = messages.tailResponse.decode(bytes);
        const pairs = decodeLabels(labels);
        for (const rows of decodePushBatch(batch).streams) onRows(pairs, rows);
      } catch (error: unknown) {
        close(error as Error);
      }
    });
    call.on('error', (error: ServiceError) => close(fromServiceError(error)));
    call.on('end', () => close(new RpcError('unavailable', 'the ingester ended the tail')));
    return () => void end();
  }

  async streamPatterns(request: PatternRequest, signal?: AbortSignal): Promise<readonly StreamPatterns[]> {
    const decoder = new PatternsDecoder(request, Math.min(this.#maxAnswerBytes, MAX_PATTERN_BYTES));
    await this.#read('Patterns', encodePatternRequest(request), signal, (message) => decoder.add(message));
    return decoder.streams;
  }

  async flush(signal?: AbortSignal): Promise<void> {
    const bytes = await this.#ask('Flush', messages.flushRequest.encode({}), signal);
    const { refusal } = messages.flushResponse.decode(bytes);
    if (refusal) throw new PushRejectedError(refusal.status, refusal.message);
  }

  /**
   * From here on pushes fail at once while the ingester does not serve, and every call while it is unreachable: who waits
   * for one that hangs keeps memory and gets nothing.
   */
  setHealth(health: RemoteHealth): void {
    this.#health = health;
  }

  async checkHealth(timeoutMs: number): Promise<RemoteHealth> {
    try {
      const deadline = systemClock.nowMs() + timeoutMs;
      // An empty HealthCheckRequest is about the server as a whole; its answer has one field, the status.
      const answer = await this.#unary(HEALTH_CHECK, NOTHING, undefined, { deadline });
      return answer.length === 2 && answer[1] === SERVING ? 'serving' : 'not_serving';
    } catch (error: unknown) {
      // A server that knows no health is one that answers.
      if (error instanceof RpcError && error.code === 'unimplemented') return 'serving';
      return 'unreachable';
    }
  }

  /** Ends tails; calls under way come to their end, also pushes that wait behind others. */
  close(): void {
    const gone = new RpcError('unavailable', `ingester ${this.id} left the ring`);
    for (const close of this.#tails) close(gone);
    void this.#pushes.idle().then(() => this.#client.close());
    this.#tailClient?.close();
  }

  async #push(batches: readonly Uint8Array[], deadline: number): Promise<(Error | null)[]> {
    const bytes = await this.#ask('Push', messages.pushRequest.encode({ batches }), undefined, { deadline });
    const { results = [] } = messages.pushResponse.decode(bytes);
    if (results.length !== batches.length) throw new CorruptMessageError('an answer to other pushes');
    return results.map(({ refusal, failure }) => {
      if (refusal) return new PushRejectedError(refusal.status, refusal.message);
      return failure ? rpcError(failure.code, failure.details) : null;
    });
  }

  async #texts(method: string, asked: Buffer, { tenant }: RecentRequest, signal?: AbortSignal): Promise<string[]> {
    const found: string[] = [];
    await this.#list(method, asked, tenant, signal, (message) => {
      const { texts = [], segments = [] } = messages.textsResponse.decode(message);
      for (const text of texts) found.push(text);
      return segments;
    });
    return found;
  }

  /** `add` takes a message of the answer, and returns the segments that it names. */
  async #list(
    method: string,
    asked: Buffer,
    tenant: string,
    signal: AbortSignal | undefined,
    add: (message: Buffer) => readonly string[],
  ): Promise<void> {
    const segments: string[] = [];
    let bytes = 0;
    await this.#read(method, asked, signal, (message) => {
      bytes += message.length;
      if (bytes > this.#maxAnswerBytes) {
        throw new RecentTooLargeError(`the labels that an ingester holds take more than ${this.#maxAnswerBytes} bytes`);
      }
      segments.push(...add(message));
    });
    await this.#onSegments(segments, tenant);
  }

  /** Resolves once the whole answer was given to `onMessage`; what that throws cancels the call. */
  async #read(
    method: string,
    asked: Buffer,
    signal: AbortSignal | undefined,
    onMessage: (message: Buffer) => void,
  ): Promise<void> {
    await this.#ready(signal);
    const call = this.#client.makeServerStreamRequest(pathOf(method), asBytes, asBytes, asked, new Metadata());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => {
      reject(signal!.reason as Error);
      call.cancel();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    let isFailed = false;
    call.on('data', (message: Buffer) => {
      if (isFailed) return;
      try {
        onMessage(message);
      } catch (error: unknown) {
        isFailed = true;
        reject(error as Error);
        call.cancel();
      }
    });
    call.on('error', (error: ServiceError) => reject(fromServiceError(error)));
    // Of a call that failed there is no `end`; of one that did not, there may be data after its status.
    call.on('end', resolve);
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Throws when the ingester is not to be asked; resolves once it follows what was to be followed. */
  async #ready(signal: AbortSignal | undefined): Promise<void> {
    if (this.#health === 'unreachable') throw this.#unhealthy();
    signal?.throwIfAborted();
    if (this.#opening.size === 0) return;
    const aborted = Promise.withResolvers<never>();
    const onAbort = (): void => aborted.reject(signal!.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([Promise.all(this.#opening), aborted.promise]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #unhealthy(): RpcError {
    const why = this.#health === 'unreachable' ? 'answers no health check' : 'does not serve';
    return new RpcError('unavailable', `ingester ${this.id} (${this.address}) ${why}`);
  }

  #ask(method: string, message: Buffer, signal?: AbortSignal, options: CallOptions = {}): Promise<Buffer> {
    return this.#unary(pathOf(method), message, signal, options);
  }

  #unary(path: string, message: Buffer, signal: AbortSignal | undefined, options: CallOptions): Promise<Buffer> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const call = this.#client.makeUnaryRequest(
      path,
      asBytes,
      asBytes,
      message,
      new Metadata(),
      options,
      (error, answer) => {
        signal?.removeEventListener('abort', onAbort);
        if (error !== null) reject(fromServiceError(error));
        else resolve(answer!);
      },
    );
    const onAbort = (): void => {
      reject(signal!.reason as Error);
      call.cancel();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    return promise;
  }
}

function connect(options: RemoteIngesterOptions): Client {
  const security = channelSecurity(options.tls, options.address);
  return new Client(options.address, security.credentials, {
    ...security.options,
    'grpc.max_receive_message_length': options.maxReceiveBytes ?? 100 * MB,
    'grpc.max_send_message_length': options.maxSendBytes ?? 16 * MB,
    'grpc-node.flow_control_window': FLOW_CONTROL_BYTES,
    'grpc.keepalive_time_ms': options.keepaliveMs ?? 10_000,
    'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs ?? 10_000,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.initial_reconnect_backoff_ms': RECONNECT_MIN_MS,
    'grpc.max_reconnect_backoff_ms': RECONNECT_MAX_MS,
    // Who pushes decides what is tried again; to be able to, gRPC would keep all that is sent.
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
    // Between processes of one installation: neither a proxy for the internet nor settings from DNS.
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
  });
}

const NOTHING = Buffer.alloc(0);
const asBytes = (bytes: Buffer): Buffer => bytes;
const pathOf = (method: string): string => `/${INGESTER_SERVICE}/${method}`;
