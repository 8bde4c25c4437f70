import type { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  Metadata,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Labels } from '../../logql/labels.ts';
import { compileFilterTest } from '../../storage/filter/index.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { BufferPool } from './buffer-pool.ts';
import type { GrpcService } from './grpc-server.ts';
import { type IngesterClient, PushRejectedError } from './ingester.ts';
import {
  decodeMatchers,
  decodeRecentRequest,
  encodeLabels,
  messages,
  type PushResultMessage,
} from './ingester-messages.ts';
import type { StreamPatternClient } from './patterns.ts';
import { decodePatternRequest, encodePatterns } from './patterns-wire.ts';
import { encodePushBatch, type StreamBatch } from './push-batch.ts';
import { rowsOfBatch, splitIntoRuns } from './push-runs.ts';
import { ReadLease } from './read-lease.ts';
import { encodeRecent } from './recent-wire.ts';
import { RpcError, toStatus } from './rpc-error.ts';

export interface IngesterServiceOptions {
  readonly client: IngesterClient;
  /** Null or absent where patterns are not looked for. */
  readonly patterns?: StreamPatternClient | null;
  /** Keys of the tenant's segments that the ingester has published of late. Asked after its rows were looked at. */
  readonly published: (tenant: string) => readonly string[];
  /** False while the write-ahead log is read: what is in memory is not all, so nothing is answered. True by default. */
  readonly isReadable?: () => boolean;
  /** One call ended: full method name, `success` or the code, seconds. */
  readonly onCall?: (method: string, code: string, seconds: number) => void;
  readonly logger: Logger;
}

type Stream = ServerWritableStream<Buffer, Buffer>;
/** Sends a message; resolves when there is room for another. */
type Send = (message: Buffer) => Promise<void>;

export const INGESTER_SERVICE = 'loptr.Ingester';

/** Of lists, about. */
const MESSAGE_BYTES = 1024 * 1024;
/** Of an answer that the caller has not taken yet. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024;
/** Of rows that a tail has not taken yet; beyond it, it is ended. */
const MAX_TAIL_BYTES = 16 * 1024 * 1024;
const TAIL_BATCH_BYTES = 1024 * 1024;
/** Batches of pushes that lie idle. */
const KEPT_BATCH_BYTES = 16 * 1024 * 1024;

/** An ingester of this process for the others: `loptr.Ingester` of `proto/ingester.proto`. */
export class IngesterService implements GrpcService {
  readonly name = INGESTER_SERVICE;
  readonly definition = ingesterDefinition;
  readonly implementation: UntypedServiceImplementation;
  readonly #options: IngesterServiceOptions;
  readonly #batches = new BufferPool(KEPT_BATCH_BYTES);
  readonly #calls = new Set<AbortController>();
  readonly #tails = new Set<(error: Error) => void>();

  constructor(options: IngesterServiceOptions) {
    this.#options = options;
    this.implementation = {
      Push: this.#unary('Push', (bytes, signal) => this.#push(bytes, signal)),
      Recent: this.#stream('Recent', (bytes, send, signal) => this.#recent(bytes, send, signal)),
      Series: this.#stream('Series', (bytes, send, signal) => this.#series(bytes, send, signal)),
      LabelNames: this.#stream('LabelNames', async (bytes, send, signal) => {
        const request = decodeRecentRequest(messages.recentRequest.decode(bytes));
        await this.#texts(request.tenant, await this.#options.client.labelNames(request, signal), send);
      }),
      LabelValues: this.#stream('LabelValues', async (bytes, send, signal) => {
        const asked = messages.labelValuesRequest.decode(bytes);
        const request = decodeRecentRequest(asked.request ?? messages.recentRequest.decode(NOTHING));
        await this.#texts(request.tenant, await this.#options.client.labelValues(asked.name, request, signal), send);
      }),
      Stats: this.#unary('Stats', async (bytes, signal) => {
        this.#assertReadable();
        const request = decodeRecentRequest(messages.recentRequest.decode(bytes));
        const figures = await this.#options.client.stats(request, signal);
        return messages.statsResponse.encode({ ...figures, segments: this.#options.published(request.tenant) });
      }),
      Tail: this.#tail,
      Patterns: this.#stream('Patterns', (bytes, send, signal) => this.#patterns(bytes, send, signal)),
      Flush: this.#unary('Flush', (_, signal) => this.#flush(signal)),
    };
  }

  /** Calls under way. */
  get active(): number {
    return this.#calls.size;
  }

  endStreams(): void {
    for (const end of this.#tails) end(new RpcError('unavailable', 'the ingester stops'));
  }

  async #push(bytes: Buffer, signal: AbortSignal): Promise<Buffer> {
    const { batches = [] } = messages.pushRequest.decode(bytes);
    const results = await Promise.all(batches.map((batch) => this.#pushOne(batch, signal)));
    return messages.pushResponse.encode({ results });
  }

  async #pushOne(batch: Uint8Array, signal: AbortSignal): Promise<PushResultMessage> {
    // Columns are read in place where they start at a multiple of 8, which in a message they hardly do.
    using loan = this.#batches.take(batch.length);
    loan.bytes.set(batch);
    try {
      await this.#options.client.push(loan.bytes, signal);
      return {};
    } catch (error: unknown) {
      if (error instanceof PushRejectedError) return { refusal: { status: error.status, message: error.message } };
      const { code, details } = toStatus(error);
      if (code === status.INTERNAL) this.#logFailure('Push', error);
      return { failure: { code, details } };
    }
  }

  async #flush(signal: AbortSignal): Promise<Buffer> {
    try {
      await this.#options.client.flush(signal);
      return messages.flushResponse.encode({});
    } catch (error: unknown) {
      if (!(error instanceof PushRejectedError)) throw error;
      return messages.flushResponse.encode({ refusal: { status: error.status, message: error.message } });
    }
  }

  async #recent(bytes: Buffer, send: Send, signal: AbortSignal): Promise<void> {
    const request = decodeRecentRequest(messages.recentRequest.decode(bytes));
    using lease = new ReadLease();
    const streams = await this.#options.client.recent({ ...request, lease }, signal);
    const segments = this.#options.published(request.tenant);
    const test = compileFilterTest(request.condition ?? null);
    for (const message of encodeRecent(streams, test, segments)) await send(message);
  }

  async #series(bytes: Buffer, send: Send, signal: AbortSignal): Promise<void> {
    const request = decodeRecentRequest(messages.recentRequest.decode(bytes));
    const series = await this.#options.client.series(request, signal);
    const segments = this.#options.published(request.tenant);
    const sizeOf = (labels: Labels) => labels.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
    for (const part of inParts(series, sizeOf)) {
      await send(messages.seriesResponse.encode({ series: part.map(encodeLabels) }));
    }
    await send(messages.seriesResponse.encode({ segments }));
  }

  async #patterns(bytes: Buffer, send: Send, signal: AbortSignal): Promise<void> {
    const { patterns } = this.#options;
    if (!patterns) throw new RpcError('failed_precondition', 'the ingester looks for no patterns');
    const request = decodePatternRequest(bytes);
    for (const message of encodePatterns(await patterns.streamPatterns(request, signal), request)) await send(message);
  }

  async #texts(tenant: string, texts: readonly string[], send: Send): Promise<void> {
    const segments = this.#options.published(tenant);
    for (const part of inParts(texts, (text) => text.length))
      await send(messages.textsResponse.encode({ texts: part }));
    await send(messages.textsResponse.encode({ segments }));
  }

  /** Ends only when the caller goes, falls behind, or the server stops. */
  #tail = (call: Stream): void => {
    const { signal, finish } = this.#begin('Tail', call);
    let stop: (() => void) | null = null;
    let waiting = 0;
    const end = (error: Error | null): void => {
      this.#tails.delete(end);
      stop?.();
      stop = null;
      if (!finish(error)) return;
      if (error === null) call.end();
      else call.emit('error', toStatus(error));
    };
    const onRows = (labels: Labels, rows: StreamBatch): void => {
      for (const run of splitIntoRuns(rowsOfBatch(rows), TAIL_BATCH_BYTES)) {
        const message = messages.tailResponse.encode({
          labels: encodeLabels(labels),
          batch: encodePushBatch('', [run]),
        });
        waiting += message.length;
        call.write(message, () => {
          waiting -= message.length;
        });
      }
      if (waiting > MAX_TAIL_BYTES) end(new RpcError('resource_exhausted', 'the reader of the tail is too slow'));
    };
    try {
      const { tenant, matchers } = messages.tailRequest.decode(call.request);
      stop = this.#options.client.tail(tenant, decodeMatchers(matchers), onRows, end);
      this.#tails.add(end);
      signal.addEventListener('abort', () => end(null), { once: true });
      call.sendMetadata(new Metadata());
    } catch (error: unknown) {
      end(error as Error);
    }
  };

  #unary(method: string, work: (bytes: Buffer, signal: AbortSignal) => Promise<Buffer>) {
    return (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>): void => {
      const { signal, finish } = this.#begin(method, call);
      work(call.request, signal).then(
        (message) => {
          if (finish(null)) callback(null, message);
        },
        (error: unknown) => {
          if (finish(error)) callback(toStatus(error));
        },
      );
    };
  }

  #stream(method: string, work: (bytes: Buffer, send: Send, signal: AbortSignal) => Promise<void>) {
    return (call: Stream): void => {
      const { signal, finish } = this.#begin(method, call);
      const send = sender(call, signal);
      const whole = async (): Promise<void> => {
        this.#assertReadable();
        await work(call.request, send, signal);
      };
      whole().then(
        () => {
          if (finish(null)) call.end();
        },
        (error: unknown) => {
          if (finish(error)) call.emit('error', toStatus(error));
        },
      );
    };
  }

  /** `finish` counts and logs the end of the call, and says whether anybody is left to be told. */
  #begin(method: string, call: EventEmitter): { signal: AbortSignal; finish: (error: unknown) => boolean } {
    const started = performance.now();
    const abort = new AbortController();
    this.#calls.add(abort);
    // Comes when the caller gives up, goes, or its deadline is over.
    call.on('cancelled', () => abort.abort(new RpcError('canceled', 'the call was given up by the caller')));
    const path = `/${INGESTER_SERVICE}/${method}`;
    const finish = (error: unknown): boolean => {
      if (!this.#calls.delete(abort)) return false;
      const isGone = abort.signal.aborted;
      const code = isGone ? status.CANCELLED : error === null ? status.OK : toStatus(error).code;
      this.#options.onCall?.(path, code === status.OK ? 'success' : String(code), (performance.now() - started) / 1000);
      if (code === status.INTERNAL) this.#logFailure(method, error);
      return !isGone;
    };
    return { signal: abort.signal, finish };
  }

  #logFailure(method: string, error: unknown): void {
    this.#options.logger.error('a call of another process failed', { method, err: error });
  }

  #assertReadable(): void {
    if (this.#options.isReadable?.() === false) {
      throw new RpcError('unavailable', 'the ingester is still reading its write-ahead log');
    }
  }
}

/** A stream counts messages, and would take many of them before it says that it is full; here bytes count. */
function sender(call: Stream, signal: AbortSignal): Send {
  let waiting = 0;
  let wake: () => void = () => {};
  const gone = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  gone.catch(() => {}); // told to who waits
  return async (message) => {
    signal.throwIfAborted();
    waiting += message.length;
    call.write(message, () => {
      waiting -= message.length;
      wake();
    });
    await nextTurn(); // others get theirs in any case
    while (waiting > MAX_WAITING_BYTES) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await Promise.race([promise, gone]);
    }
    signal.throwIfAborted();
  };
}

/** Lists of about the size of a message. */
function* inParts<T>(items: readonly T[], sizeOf: (item: T) => number): Generator<readonly T[]> {
  let start = 0;
  let bytes = 0;
  for (let i = 0; i < items.length; i++) {
    bytes += sizeOf(items[i]!);
    if (bytes < MESSAGE_BYTES) continue;
    yield items.slice(start, i + 1);
    start = i + 1;
    bytes = 0;
  }
  if (start < items.length) yield items.slice(start);
}

const NOTHING = Buffer.alloc(0);
const asBytes = (bytes: Buffer): Buffer => bytes;

/** Messages stay bytes until the handler is at them, so that what is wrong with them is told as what it is. */
function method(name: string, responseStream: boolean) {
  return {
    path: `/${INGESTER_SERVICE}/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: asBytes,
    requestDeserialize: asBytes,
    responseSerialize: asBytes,
    responseDeserialize: asBytes,
  };
}

const ingesterDefinition: ServiceDefinition = {
  Push: method('Push', false),
  Recent: method('Recent', true),
  Series: method('Series', true),
  LabelNames: method('LabelNames', true),
  LabelValues: method('LabelValues', true),
  Stats: method('Stats', false),
  Tail: method('Tail', true),
  Patterns: method('Patterns', true),
  Flush: method('Flush', false),
};
