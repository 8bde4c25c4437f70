import type { Logger } from '../../storage/host/logger.ts';
import type { Tenants } from '../http/types.ts';
import { TooManyOutstandingError } from '../querier/query-slots.ts';
import type { WorkStream } from '../rpc/work-stream.ts';
import {
  type AnswerHead,
  decodeFromQuerier,
  encodeToQuerier,
  type Failure,
  type FromQuerier,
  type Work,
} from './messages.ts';
import type { FrontendMetrics } from './metrics.ts';
import { RequestQueue } from './queue.ts';

/** One thing that a querier is to do. */
export interface Task {
  readonly tenants: Tenants;
  readonly work: Work;
  readonly timeoutMs: number;
}

/** Gets what a querier answers, in order. */
export interface AnswerSink {
  head(head: AnswerHead): void;
  /** The querier sends no more than it may until the promise is settled. */
  piece(bytes: Uint8Array): Promise<void> | void;
}

/** A querier did not answer, or says that another might: the task may be given to another. */
export class QuerierFailedError extends Error {
  readonly code = 'querier_failed';
  /** Null when the querier went away. */
  readonly failure: Failure | null;
  constructor(failure: Failure | null) {
    super(failure?.message ?? 'a querier went away with a part of the query');
    this.failure = failure;
  }
}

/** The frontend takes no more queries: 503. */
export class FrontendStoppingError extends Error {
  readonly code = 'unavailable';
}

const GIVE_UP_MS = 10_000;
/** Numbers of requests are uint32 on the wire; 0 is none. */
const MAX_NUMBER = 2 ** 32 - 1;

interface Running {
  readonly task: Task;
  readonly sink: AnswerSink;
  readonly signal: AbortSignal;
  readonly ended: PromiseWithResolvers<number>;
  /** The asker is gone: what still comes is dropped. */
  isGone: boolean;
  number: number;
  waitedMs: number;
}

/** A stream of a querier. */
class Worker {
  readonly stream: WorkStream;
  querier = '';
  isLeaving = false;
  running: Running | null = null;
  constructor(stream: WorkStream) {
    this.stream = stream;
  }
}

export interface DispatcherOptions {
  /** `frontend.max_outstanding_per_tenant` */
  readonly maxOutstandingPerTenant: number;
  /** After which a querier that has been told to give up, and has not, is cut off. */
  readonly giveUpMs?: number;
  readonly logger: Logger;
}

/** Gives tasks to queriers that take them: one at a time on each of their streams. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #queue: RequestQueue<Running>;
  readonly #workers = new Set<Worker>();
  /** Those without a task, the one that has waited longest first. */
  readonly #idle = new Set<Worker>();
  #metrics: FrontendMetrics | undefined;
  #nextNumber = 1;
  #running = 0;
  #stopping: PromiseWithResolvers<void> | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#queue = new RequestQueue(options.maxOutstandingPerTenant);
  }

  set metrics(metrics: FrontendMetrics) {
    this.#metrics = metrics;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get streams(): number {
    return this.#workers.size;
  }

  /** A querier offers a stream (`workService`). */
  attach(stream: WorkStream): void {
    const worker = new Worker(stream);
    this.#workers.add(worker);
    stream
      .receive((bytes) => this.#take(worker, decodeFromQuerier(bytes)))
      .catch((err: unknown) => {
        this.#options.logger.error('a querier sent what cannot be read', { querier: worker.querier, err });
        stream.cancel();
      })
      .finally(() => this.#detach(worker));
  }

  /**
   * Has a task done by some querier. Resolves with the ms that it waited when the sink has everything. Rejects with
   * QuerierFailedError, TooManyOutstandingError, FrontendStoppingError, what the sink throws, and as soon as `signal` is
   * aborted with its reason.
   */
  async run(task: Task, sink: AnswerSink, signal: AbortSignal): Promise<number> {
    if (this.#stopping !== undefined) throw new FrontendStoppingError('the query frontend is stopping');
    signal.throwIfAborted();
    const ended = Promise.withResolvers<number>();
    const running: Running = { task, sink, signal, ended, isGone: false, number: 0, waitedMs: 0 };
    const takeBack = this.#add(running);
    const onAbort = (): void => {
      running.isGone = true;
      takeBack();
      this.#giveUp(running);
      ended.reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#running++;
    try {
      this.#dispatch();
      return await ended.promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#leave();
    }
  }

  #leave(): void {
    this.#running--;
    if (this.#running === 0) this.#stopping?.resolve();
  }

  /** Takes no more tasks, waits for those there are until `deadline` is aborted, and lets the queriers go. */
  async stop(deadline: AbortSignal): Promise<void> {
    const stopping = this.#stopping ?? Promise.withResolvers<void>();
    this.#stopping = stopping;
    if (this.#running === 0) stopping.resolve();
    const late = Promise.withResolvers<void>();
    const onLate = (): void => late.resolve();
    if (deadline.aborted) onLate();
    else deadline.addEventListener('abort', onLate, { once: true });
    await Promise.race([stopping.promise, late.promise]);
    deadline.removeEventListener('abort', onLate);
    for (const worker of this.#workers) {
      if (worker.running === null) worker.stream.end();
      else worker.stream.cancel();
    }
  }

  #add(running: Running): () => void {
    const tenant = running.task.tenants.ids.join('|');
    try {
      return this.#queue.add(tenant, running);
    } catch (error: unknown) {
      if (error instanceof TooManyOutstandingError) this.#metrics?.discarded.inc({ user: tenant });
      throw error;
    }
  }

  #dispatch(): void {
    while (this.#idle.size > 0) {
      const next = this.#queue.take();
      if (next === null) return;
      const worker = this.#leastBusy();
      this.#idle.delete(worker);
      const running = next.item;
      running.waitedMs = next.waitedMs;
      this.#metrics?.queueDuration.observe(next.waitedMs / 1000);
      this.#give(worker, running);
    }
  }

  /** The stream of the querier that has least to do, so that work is spread over queriers and not over streams. */
  #leastBusy(): Worker {
    const busy = new Map<string, number>();
    for (const { querier, running } of this.#workers) {
      if (running !== null) busy.set(querier, (busy.get(querier) ?? 0) + 1);
    }
    let best: Worker | undefined;
    for (const worker of this.#idle) {
      if (best === undefined || (busy.get(worker.querier) ?? 0) < (busy.get(best.querier) ?? 0)) best = worker;
    }
    return best!;
  }

  #give(worker: Worker, running: Running): void {
    worker.running = running;
    running.number = this.#nextNumber;
    this.#nextNumber = (this.#nextNumber % MAX_NUMBER) + 1;
    const { number, waitedMs, task } = running;
    const request = { ...task, number, queuedMs: waitedMs };
    this.#send(worker, encodeToQuerier({ kind: 'request', request }));
  }

  /** Tells the querier that works on it, if one does, and cuts it off when it does not listen. */
  #giveUp(running: Running): void {
    for (const worker of this.#workers) {
      if (worker.running !== running) continue;
      this.#send(worker, encodeToQuerier({ kind: 'cancel', number: running.number }));
      const impatience = setTimeout(() => {
        if (worker.running !== running) return;
        this.#options.logger.warn('a querier does not give up its work and is cut off', { querier: worker.querier });
        worker.stream.cancel();
      }, this.#options.giveUpMs ?? GIVE_UP_MS);
      impatience.unref();
    }
  }

  #send(worker: Worker, message: Buffer): void {
    worker.stream.send(message).catch(() => {}); // the stream is over, which `receive` tells
  }

  #take(worker: Worker, message: FromQuerier): Promise<void> | void {
    switch (message.kind) {
      case 'hello':
        worker.querier = message.querier;
        this.#becomesIdle(worker);
        return;
      case 'leaving':
        worker.isLeaving = true;
        this.#idle.delete(worker);
        if (worker.running === null) worker.stream.end();
        return;
      default:
    }
    const { running } = worker;
    if (running === null || running.number !== message.number) return; // of a task that has ended
    switch (message.kind) {
      case 'head':
        if (!running.isGone) running.sink.head(message.head);
        return;
      case 'piece':
        return running.isGone ? undefined : this.#piece(running, message.piece);
      case 'done':
        running.ended.resolve(running.waitedMs);
        break;
      case 'failure':
        running.ended.reject(new QuerierFailedError(message.failure));
        break;
      default:
        message satisfies never;
    }
    worker.running = null;
    this.#becomesIdle(worker);
  }

  #piece(running: Running, bytes: Uint8Array): Promise<void> | void {
    const refuse = (error: unknown): void => {
      running.isGone = true;
      running.ended.reject(error);
      this.#giveUp(running);
    };
    try {
      return running.sink.piece(bytes)?.catch(refuse);
    } catch (error: unknown) {
      refuse(error);
    }
  }

  #becomesIdle(worker: Worker): void {
    if (worker.isLeaving) {
      worker.stream.end();
      return;
    }
    this.#idle.add(worker);
    this.#dispatch();
  }

  #detach(worker: Worker): void {
    this.#workers.delete(worker);
    this.#idle.delete(worker);
    worker.stream.end();
    const { running } = worker;
    worker.running = null;
    running?.ended.reject(new QuerierFailedError(null));
  }
}
