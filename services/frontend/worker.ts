import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { isFaultOfServer, toHttpError } from '../http/error-answers.ts';
import type { HttpRequest, HttpResponse } from '../http/types.ts';
import type { Handler, WholePath } from '../querier/http.ts';
import type { PartAsker, PartRunner } from '../querier/parts.ts';
import type { QueryContext } from '../querier/querier.ts';
import type { WorkConnection, WorkStream } from '../rpc/work-stream.ts';
import { encodeBytes, encodeFingerprints, logMessage, metricMessage } from './answers.ts';
import { toFailure } from './failures.ts';
import {
  decodeToQuerier,
  encodeFromQuerier,
  ForeignMessageError,
  type FromQuerier,
  messageType,
  type WholeRequest,
  type WorkRequest,
} from './messages.ts';

export interface QuerierWorkerOptions {
  /** Frontends as `host:port`, asked again every `lookMs`. Rejects when they cannot be found out now. */
  readonly addresses: () => Promise<readonly string[]>;
  readonly connect: (address: string) => WorkConnection;
  /** Tells queriers apart. */
  readonly querier: string;
  /** `querier.max_concurrent`: requests at once for each frontend. */
  readonly concurrency: number;
  /** `frontend_worker.dns_lookup_duration` */
  readonly lookMs: number;
  readonly parts: PartRunner;
  /** How whole requests are answered (`wholeHandlers`). */
  readonly handlerOf: (path: WholePath) => Handler | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Answers are sent in pieces of at most this many bytes: well below what gRPC servers take by default. */
const PIECE_BYTES = 1024 * 1024;
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 5000;

/** Takes work from every query frontend that it finds, and answers it. */
export class QuerierWorker {
  readonly #options: QuerierWorkerOptions;
  readonly #frontends = new Map<string, Frontend>();
  /** Frontends that were not found any more, until their work is done. */
  readonly #left = new Set<Frontend>();
  readonly #stopping = new AbortController();

  constructor(options: QuerierWorkerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#look().catch((err: unknown) => this.#options.logger.error('query frontends are not looked for', { err }));
  }

  /** Tells the frontends that it takes no more, and finishes what it has until `deadline` is aborted. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping.abort(new Error('the querier stops'));
    await Promise.all([...this.#frontends.values(), ...this.#left].map((frontend) => frontend.stop(deadline)));
    this.#frontends.clear();
  }

  async #look(): Promise<void> {
    const { addresses, clock, lookMs, logger } = this.#options;
    const { signal } = this.#stopping;
    let wasFound = true;
    while (!signal.aborted) {
      try {
        this.#follow(new Set(await addresses()));
        wasFound = true;
      } catch (err: unknown) {
        // Those that are known stay: it is the name that cannot be looked up, not they that are gone.
        if (wasFound) logger.warn('the query frontends cannot be found out', { err });
        wasFound = false;
      }
      await clock.sleep(lookMs, signal).catch(() => {}); // aborted: the loop ends
    }
  }

  #follow(found: ReadonlySet<string>): void {
    if (this.#stopping.signal.aborted) return;
    for (const address of found) {
      if (this.#frontends.has(address)) continue;
      this.#frontends.set(address, new Frontend(address, this.#options));
    }
    for (const [address, frontend] of this.#frontends) {
      if (found.has(address)) continue;
      this.#frontends.delete(address);
      this.#left.add(frontend);
      frontend
        .stop(new AbortController().signal)
        .catch((err: unknown) => this.#options.logger.error('leaving a query frontend failed', { address, err }))
        .finally(() => this.#left.delete(frontend));
    }
  }
}

/** The streams to one frontend. */
class Frontend {
  readonly #options: QuerierWorkerOptions;
  readonly #address: string;
  /** Its silence has been told of. */
  #isSilent = false;
  readonly #connection: WorkConnection;
  readonly #streams = new Set<ServedStream>();
  readonly #leaving = new AbortController();
  readonly #served: Promise<void>[];

  constructor(address: string, options: QuerierWorkerOptions) {
    this.#options = options;
    this.#address = address;
    this.#connection = options.connect(address);
    this.#served = Array.from({ length: options.concurrency }, () => this.#serve());
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#leaving.abort(new Error('the querier leaves'));
    for (const stream of this.#streams) stream.leave();
    const cutOff = (): void => {
      for (const stream of this.#streams) stream.cancel();
    };
    if (deadline.aborted) cutOff();
    else deadline.addEventListener('abort', cutOff, { once: true });
    await Promise.all(this.#served);
    deadline.removeEventListener('abort', cutOff);
    this.#connection.close();
  }

  /** One stream, opened again when it breaks. */
  async #serve(): Promise<void> {
    const { signal } = this.#leaving;
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      const stream = new ServedStream(this.#connection.open(), this.#options);
      this.#streams.add(stream);
      const hasWorked = await stream.serve();
      this.#streams.delete(stream);
      if (signal.aborted) return;
      if (!hasWorked && !this.#isSilent) {
        this.#options.logger.warn('a stream to a query frontend ended before it brought work', {
          address: this.#address,
        });
      }
      this.#isSilent = !hasWorked;
      pauseMs = hasWorked ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, MAX_PAUSE_MS);
      await this.#options.clock.sleep(pauseMs, signal).catch(() => {}); // aborted: the loop ends
    }
  }
}

/** A stream on which requests come, one at a time. */
class ServedStream {
  readonly #stream: WorkStream;
  readonly #options: QuerierWorkerOptions;
  #current: { readonly number: number; readonly abort: AbortController } | null = null;
  #isLeaving = false;

  constructor(stream: WorkStream, options: QuerierWorkerOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  /** Until the stream is over; whether it has brought anything. */
  async serve(): Promise<boolean> {
    let hasWorked = false;
    this.#tell({ number: 0, kind: 'hello', querier: this.#options.querier });
    if (this.#isLeaving) this.leave();
    try {
      await this.#stream.receive((bytes) => {
        hasWorked = true;
        this.#take(bytes);
      });
    } catch (err: unknown) {
      this.#options.logger.error('a query frontend sent what cannot be read', { err });
      this.#stream.cancel();
    }
    this.#current?.abort.abort(new Error('the query frontend went away'));
    this.#stream.end();
    return hasWorked;
  }

  leave(): void {
    this.#isLeaving = true;
    this.#tell({ number: 0, kind: 'leaving' });
  }

  cancel(): void {
    this.#stream.cancel();
  }

  #take(bytes: Buffer): void {
    const message = decodeToQuerier(bytes);
    if (message.kind === 'cancel') {
      if (this.#current?.number === message.number) this.#current.abort.abort(new Error('nobody waits for the answer'));
      return;
    }
    const { request } = message;
    const abort = new AbortController();
    this.#current = { number: request.number, abort };
    void this.#answer(request, abort.signal).finally(() => {
      if (this.#current?.number === request.number) this.#current = null;
    });
  }

  /** Never rejects: what fails is told, and a stream that is over needs nothing to be told. */
  async #answer(request: WorkRequest, signal: AbortSignal): Promise<void> {
    const { number } = request;
    let last: FromQuerier = { number, kind: 'done' };
    try {
      await this.#work(request, signal);
    } catch (error: unknown) {
      const answer = toHttpError(error, signal.aborted);
      if (isFaultOfServer(answer)) {
        this.#options.logger.error('a part of a query failed', {
          work: request.work.kind,
          err: answer.cause ?? answer,
        });
      }
      last = { number, kind: 'failure', failure: toFailure(error, signal.aborted) };
    }
    this.#tell(last);
  }

  async #work(request: WorkRequest, signal: AbortSignal): Promise<void> {
    const { work, number, tenants, timeoutMs } = request;
    const { parts } = this.#options;
    const context: QueryContext = { tenants, signal, partialSeries: false };
    const asker: PartAsker = { context, timeoutMs };
    switch (work.kind) {
      case 'whole':
        return this.#whole(request, work.whole, signal);
      case 'log':
        return this.#send(number, messageType('LogAnswer').encode(logMessage(await parts.log(work.part, asker))));
      case 'metric':
        return this.#send(
          number,
          messageType('MetricAnswer').encode(metricMessage(await parts.metric(work.part, asker))),
        );
      case 'bytes': {
        const told = { ...asker, context: { ...context, limitsContextHeader: work.limitsContext } };
        return this.#send(number, encodeBytes(await parts.bytes(work.whole, told)));
      }
      case 'fingerprints':
        return this.#send(number, encodeFingerprints(await parts.fingerprints(work.of, asker)));
      default:
        return work satisfies never;
    }
  }

  async #whole(request: WorkRequest, whole: WholeRequest, signal: AbortSignal): Promise<void> {
    const handler = this.#options.handlerOf(whole.route as WholePath);
    if (handler === undefined) throw new ForeignMessageError(`there is no route ${whole.route}`);
    const response: HttpResponse = await handler(httpRequest(request, whole, signal));
    const { number } = request;
    await this.#stream.send(
      encodeFromQuerier({
        number,
        kind: 'head',
        head: { status: response.status, headers: response.headers ?? {} },
      }),
    );
    const { body = '' } = response;
    if (typeof body === 'string' || body instanceof Uint8Array) return this.#send(number, Buffer.from(body as string));
    for await (const bytes of body) {
      await this.#send(number, bytes);
      // A body that is at hand would otherwise keep the news from coming that nobody wants it.
      await turn();
      signal.throwIfAborted();
    }
  }

  async #send(number: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      await this.#stream.send(encodeFromQuerier({ number, kind: 'piece', piece }));
    }
  }

  /** When the stream is over nobody is left to be told. */
  #tell(message: FromQuerier): void {
    this.#stream.send(encodeFromQuerier(message)).catch(() => {});
  }
}

/** What handlers of the HTTP API see of a request that came to a frontend. */
function httpRequest({ tenants, queuedMs }: WorkRequest, whole: WholeRequest, signal: AbortSignal): HttpRequest {
  const { method, url, variables, form } = whole;
  const headers: Readonly<Record<string, string>> = {
    ...whole.headers,
    'x-query-queue-time': `${(queuedMs / 1000).toFixed(6)}s`,
  };
  const question = url.indexOf('?');
  return {
    method,
    url,
    path: question < 0 ? url : url.slice(0, question),
    params: variables,
    query: new URLSearchParams(question < 0 ? '' : url.slice(question + 1)),
    headers,
    signal,
    form: async () => new URLSearchParams(form),
    header: (name) => headers[name] ?? '',
    tenant: () => tenants.ids[0]!,
    tenants: () => tenants,
    body: async () => Buffer.alloc(0),
  };
}
