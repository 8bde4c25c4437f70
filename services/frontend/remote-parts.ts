import { HttpError } from '../http/http-error.ts';
import type { HttpResponse } from '../http/types.ts';
import type {
  BytesAnswer,
  FingerprintRequest,
  LogPart,
  LogPartAnswer,
  MetricPart,
  MetricPartAnswer,
  PartAsker,
  PartRunner,
  WholeRange,
} from '../querier/parts.ts';
import { QueryEnd } from '../querier/query-end.ts';
import { decodeBytes, decodeFingerprints, readLogMessage, readMetricMessage } from './answers.ts';
import { type AnswerSink, type Dispatcher, QuerierFailedError } from './dispatcher.ts';
import { fromFailure } from './failures.ts';
import { type AnswerHead, messageType, type WholeRequest, type Work } from './messages.ts';
import type { FrontendMetrics } from './metrics.ts';

export interface RemotePartsOptions {
  readonly dispatcher: Dispatcher;
  readonly metrics: FrontendMetrics;
  /** `query_range.max_retries` */
  readonly maxRetries: number;
}

/** Of an answer to a whole request, what is kept back until its end is known: so far it can be asked for again. */
const KEPT_BACK_BYTES = 256 * 1024;
/** Parameters of one request, escaped. gRPC servers send no more than 4 MB by default; queries have 128 KiB at most. */
const MAX_FORM_CHARS = 2 * 1024 * 1024;

/** Answers by whichever querier is free; what one fails to answer is given to another. */
export class RemoteParts implements PartRunner {
  readonly #options: RemotePartsOptions;

  constructor(options: RemotePartsOptions) {
    this.#options = options;
  }

  async log(part: LogPart, asker: PartAsker): Promise<LogPartAnswer> {
    const { bytes, waitedMs } = await this.#collect({ kind: 'log', part }, asker);
    const answer = readLogMessage(messageType('LogAnswer').decode(bytes));
    answer.stats.queueMs += waitedMs;
    return answer;
  }

  async metric(part: MetricPart, asker: PartAsker): Promise<MetricPartAnswer> {
    const { bytes, waitedMs } = await this.#collect({ kind: 'metric', part }, asker);
    const answer = readMetricMessage(messageType('MetricAnswer').decode(bytes));
    answer.stats.queueMs += waitedMs;
    return answer;
  }

  async bytes(whole: WholeRange, asker: PartAsker): Promise<BytesAnswer> {
    const limitsContext = asker.context.limitsContextHeader ?? '';
    return decodeBytes((await this.#collect({ kind: 'bytes', whole, limitsContext }, asker)).bytes);
  }

  async fingerprints(of: FingerprintRequest, asker: PartAsker): Promise<readonly (string | null)[]> {
    return decodeFingerprints((await this.#collect({ kind: 'fingerprints', of }, asker)).bytes);
  }

  /** A request of the HTTP API, answered by one querier. Rejects as its handler there does. */
  async whole(whole: WholeRequest, asker: PartAsker): Promise<HttpResponse> {
    if (whole.url.length + whole.form.length > MAX_FORM_CHARS) throw new HttpError(413, 'http: request body too large');
    const gone = new AbortController();
    const response = Promise.withResolvers<HttpResponse>();
    let body = new PassedBody(() => gone.abort(new Error('nobody reads the answer')));
    const task = this.#attempts({ kind: 'whole', whole }, asker, gone.signal, (isAnswering) => {
      if (body.isOpen) return null;
      body = new PassedBody(() => gone.abort(new Error('nobody reads the answer')));
      const current = body;
      return {
        head: (head) => {
          current.head = head;
          isAnswering();
        },
        piece: (bytes) => current.add(bytes, response.resolve),
      };
    });
    task.then(
      () => {
        try {
          body.end(response.resolve);
        } catch (error: unknown) {
          response.reject(error);
        }
      },
      (error: unknown) => {
        body.fail(error);
        response.reject(error);
      },
    );
    return response.promise;
  }

  async #collect(work: Work, asker: PartAsker): Promise<{ bytes: Buffer; waitedMs: number }> {
    let pieces: Uint8Array[] = [];
    const waitedMs = await this.#attempts(work, asker, null, () => {
      pieces = [];
      const into = pieces;
      return { head: () => {}, piece: (bytes) => void into.push(bytes) };
    });
    return { bytes: pieces.length === 1 ? Buffer.from(pieces[0]!) : Buffer.concat(pieces), waitedMs };
  }

  /**
   * `newSink`: for each attempt; null when there can be no other. It may say that the querier is through with its work:
   * from then on a slow client may take its time.
   */
  async #attempts(
    work: Work,
    { context, timeoutMs }: PartAsker,
    gone: AbortSignal | null,
    newSink: (isAnswering: () => void) => AnswerSink | null,
  ): Promise<number> {
    const { dispatcher, metrics, maxRetries } = this.#options;
    using end = new QueryEnd(timeoutMs, context.signal);
    const signal = gone === null ? end.signal : AbortSignal.any([end.signal, gone]);
    const task = { tenants: context.tenants, work, timeoutMs };
    const isAnswering = () => end.stopClock();
    let sink = newSink(isAnswering)!;
    let retries = 0;
    try {
      for (;;) {
        try {
          return await dispatcher.run(task, sink, signal);
        } catch (error: unknown) {
          if (!(error instanceof QuerierFailedError)) throw error;
          const { failure } = error;
          const next = failure !== null && !failure.retryable ? null : newSink(isAnswering);
          if (next === null || retries === maxRetries) {
            throw failure === null ? new HttpError(500, error.message, { cause: error }) : fromFailure(failure);
          }
          sink = next;
          retries++;
        }
      }
    } finally {
      metrics.retries.observe(retries);
    }
  }
}

/** The body of an answer on its way from a querier to a client, at the pace of the client. */
class PassedBody implements AsyncIterable<Uint8Array> {
  head: AnswerHead | null = null;
  /** The client has the beginning. */
  isOpen = false;
  readonly #onAbandoned: () => void;
  #pieces: Uint8Array[] = [];
  #size = 0;
  #isComplete = false;
  #failure: unknown;
  /** Settled when the reader has taken what is there, and when there is more for it. */
  #taken = Promise.withResolvers<void>();
  #more = Promise.withResolvers<void>();

  constructor(onAbandoned: () => void) {
    this.#onAbandoned = onAbandoned;
  }

  add(bytes: Uint8Array, open: (response: HttpResponse) => void): Promise<void> | void {
    this.#pieces.push(bytes);
    this.#size += bytes.length;
    if (!this.isOpen) {
      if (this.#size <= KEPT_BACK_BYTES) return;
      this.isOpen = true;
      open({ ...this.#head(), body: this });
    }
    this.#more.resolve();
    this.#taken = Promise.withResolvers();
    return this.#taken.promise;
  }

  end(open: (response: HttpResponse) => void): void {
    if (!this.isOpen) open({ ...this.#head(), body: Buffer.concat(this.#pieces) });
    this.#isComplete = true;
    this.#more.resolve();
  }

  fail(error: unknown): void {
    this.#failure = error;
    this.#isComplete = true;
    this.#more.resolve();
    // Perhaps nobody has begun to read: the querier's stream must not wait for that.
    this.#taken.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const pieces = this.#pieces;
        this.#pieces = [];
        yield* pieces;
        if (this.#pieces.length > 0) continue;
        if (this.#isComplete) break;
        this.#more = Promise.withResolvers();
        this.#taken.resolve();
        await this.#more.promise;
      }
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.#taken.resolve();
      if (!this.#isComplete) this.#onAbandoned();
    }
  }

  #head(): AnswerHead {
    if (this.head === null) throw new HttpError(500, 'a querier sent a body before its head');
    return this.head;
  }
}
