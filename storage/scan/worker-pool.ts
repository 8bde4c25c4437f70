import { extname } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { Logger } from '../host/logger.ts';
import {
  type CloseRequest,
  type JobRequest,
  type LoadRequest,
  ScanError,
  type WorkerMessage,
  type WorkerReply,
  type WorkerSettings,
} from './messages.ts';
import { type Queued, WaitingJobs } from './waiting-jobs.ts';

/** A worker died with work in its hands. The work can be done again by another one. */
export class WorkerLostError extends Error {
  readonly code = 'worker_lost';
  readonly retryable = true;
}

export interface WorkerPoolOptions {
  readonly size: number;
  readonly settings: WorkerSettings;
  readonly logger: Logger;
  /** How long a worker may go on with work that was given up before it is replaced. A regular expression can hang. */
  readonly strayMs?: number;
}

export interface WorkOptions {
  /** Gives the work up: the promise rejects at once with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Only this worker (an index below `size`) may do it. */
  readonly worker?: number;
  /** Moved to the worker instead of copied: what is in them is lost here. */
  readonly transfer?: readonly ArrayBuffer[];
  /** Whose work it is: owners take turns while more waits than there are workers for. */
  readonly owner?: string;
  /** Called once no worker is at it, now or later: with the answer, or later where the work was given up. */
  readonly onLeft?: () => void;
}

interface Job extends Queued {
  readonly id: number;
  readonly request: JobRequest;
  readonly transfer: readonly ArrayBuffer[];
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onLeft: () => void;
  readonly worker: number | null;
  /** Given up by its owner; the worker may still be at it. */
  abandoned: boolean;
}

/** Two jobs a worker: one runs while the next one's message is already there. */
const IN_FLIGHT_PER_WORKER = 2;
/**
 * Blocks are encoded by the first worker that does not read, and by the next ones once this many wait. Threads that all
 * encode now and then each have the code for it compiled and keep memory for it: of the CPU of 512 MB a tenth, for two.
 */
const MANY_ENCODINGS = 4;
const STRAY_MS = 5000;
/** Number of messages that are no jobs; those have higher ones. */
const NOBODY = 0;
/** A worker that dies sooner than this is replaced only after as long, so that a broken one cannot spin. */
const RESPAWN_MS = 1000;
/**
 * MB of each half of the young generation of threads that start from now on; the main thread keeps its own. What workers
 * make lies in buffers: with larger halves those just die later (three threads of 8 took 40 MB more than this, for the same
 * CPU). As a flag, because what is given on the command line goes before `resourceLimits`.
 */
const YOUNG_HALF_MB = 2;
/**
 * MB of their old generation before it is looked through. With V8's own limit that fell into the first queries of each
 * thread, whose code and tables are what makes it grow: the second answer of a process took 13 ms where it takes 8.
 */
const FIRST_OLD_MB = 32;

/**
 * Up to `size` worker threads. Who waits when is told by `WaitingJobs`; a worker that dies is replaced and its jobs
 * reject with WorkerLostError. Blocks are encoded and scanned here, so that the main thread does neither. A thread is there
 * from the first work for it on, all of them from the first query on: a process that only takes pushes needs one.
 */
export class WorkerPool {
  readonly size: number;
  readonly #options: WorkerPoolOptions;
  /** Null: not needed yet, or it has died and its place is among `#resting`. */
  readonly #workers: (PoolWorker | null)[];
  /** Places of workers that have died, until the next ones begin. */
  readonly #resting = new Set<number>();
  readonly #waiting = new WaitingJobs<Job>();
  #nextId = 1;
  /** Something was read: workers are to be there, with the code for it. */
  #reads = false;
  #stopped = false;
  /** How often a worker was replaced. */
  replaced = 0;

  constructor(options: WorkerPoolOptions) {
    this.size = options.size;
    this.#options = options;
    this.#workers = Array.from({ length: options.size }, () => null);
    setFlagsFromString(`--max-semi-space-size=${YOUNG_HALF_MB}`);
    setFlagsFromString(`--initial-old-space-size=${FIRST_OLD_MB}`);
  }

  /** Has all threads start and load what queries need, which takes a tenth of a second. The first query does it, too. */
  startAll(): void {
    if (this.#reads || this.#stopped) return;
    this.#reads = true;
    for (let index = 0; index < this.size; index++) {
      const worker = this.#workers[index];
      if (worker) worker.tell({ kind: 'load' });
      else if (!this.#resting.has(index)) this.#start(index);
    }
  }

  /** Jobs that wait for a worker. */
  get queued(): number {
    return this.#waiting.size;
  }

  /** Threads that are there. */
  get threads(): number {
    return this.#workers.filter((worker) => worker !== null).length;
  }

  /** Jobs that each worker has. */
  get inFlight(): number[] {
    return this.#workers.map((_, place) => this.#jobsOf(place));
  }

  run<T>(request: JobRequest, options: WorkOptions = {}): Promise<T> {
    const { signal, onLeft = () => {} } = options;
    return new Promise<T>((resolve, reject) => {
      if (this.#stopped) {
        onLeft();
        reject(new WorkerLostError('the worker pool is stopped'));
        return;
      }
      if (signal?.aborted) {
        onLeft();
        reject(signal.reason as Error);
        return;
      }
      const job: Job = {
        id: this.#nextId++,
        request,
        transfer: options.transfer ?? [],
        owner: options.owner ?? '',
        isEncoding: request.kind === 'encode',
        worker: options.worker ?? null,
        abandoned: false,
        onLeft,
        resolve: (value) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(value as T);
        },
        reject: (error) => {
          signal?.removeEventListener('abort', onAbort);
          reject(error);
        },
      };
      const onAbort = () => {
        job.reject(signal?.reason as Error);
        this.#abandon(job);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      try {
        if (!job.isEncoding) this.startAll();
      } catch (error: unknown) {
        onLeft();
        job.reject(new Error('a worker thread cannot be started', { cause: error }));
        return;
      }
      this.#waiting.add(job);
      this.#dispatch();
    });
  }

  /** Tells every worker that is there. */
  broadcast(request: CloseRequest): void {
    for (const worker of this.#workers) worker?.tell(request);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const job of this.#waiting.takeAll()) {
      job.onLeft();
      job.reject(new WorkerLostError('the worker pool is stopped'));
    }
    await Promise.all(this.#workers.map((worker) => worker?.terminate()));
  }

  #abandon(job: Job): void {
    job.abandoned = true;
    if (this.#waiting.remove(job)) {
      job.onLeft();
      return;
    }
    const worker = this.#workers.find((w) => w?.jobs.has(job.id));
    if (!worker) return;
    if (worker.current === job) this.#watchStray(worker, job);
  }

  /** Work that was given up usually ends where it begins; the time that it waits behind another's work does not count. */
  #watchStray(worker: PoolWorker, job: Job): void {
    const timer = setTimeout(() => {
      if (!worker.jobs.has(job.id) || this.#stopped) return;
      this.#options.logger.warn('replacing a worker that does not give up its work', { worker: worker.index });
      void worker.terminate();
    }, this.#options.strayMs ?? STRAY_MS);
    timer.unref();
  }

  #dispatch(): void {
    while (this.#waiting.size > 0 && this.#leastBusy() !== null) {
      let place: number | null = null;
      const job = this.#waiting.take((waiting) => {
        place = this.#placeFor(waiting);
        return place !== null;
      });
      if (job === null) return; // what waits is for workers that are busy
      this.#give(job, place!);
    }
  }

  #give(job: Job, place: number): void {
    try {
      const worker = this.#workers[place] ?? this.#start(place); // throws where the system gives no more threads
      worker.post(job.id, job.request, job.transfer);
      worker.jobs.set(job.id, job);
    } catch (error: unknown) {
      job.onLeft();
      job.reject(new Error('a job cannot be sent to its worker', { cause: error }));
    }
  }

  /** The worker for a job, perhaps one that has to be started. Null while the job has to wait. */
  #placeFor(job: Job): number | null {
    if (job.worker !== null) return this.#hasRoom(job.worker) ? job.worker : null;
    if (!job.isEncoding) return this.#leastBusy();
    const places = [...this.#workers.keys()].filter((place) => !this.#resting.has(place));
    // What a query asks for may take seconds: nothing waits for its end where another worker is there.
    const encoders = [...places.filter((p) => !this.#isReading(p)), ...places.filter((p) => this.#isReading(p))];
    if (this.#waiting.encodings < MANY_ENCODINGS) encoders.splice(1);
    return encoders.find((place) => this.#hasRoom(place)) ?? null;
  }

  #isReading(place: number): boolean {
    return this.#workers[place]?.jobs.values().some((job) => !job.isEncoding) ?? false;
  }

  /** Of those that have room. */
  #leastBusy(): number | null {
    let best: number | null = null;
    for (let place = 0; place < this.size; place++) {
      if (this.#hasRoom(place) && (best === null || this.#jobsOf(place) < this.#jobsOf(best))) best = place;
    }
    return best;
  }

  #hasRoom(place: number): boolean {
    return !this.#resting.has(place) && this.#jobsOf(place) < IN_FLIGHT_PER_WORKER;
  }

  #jobsOf(place: number): number {
    return this.#workers[place]?.jobs.size ?? 0;
  }

  #start(place: number): PoolWorker {
    const worker = this.#spawn(place);
    this.#workers[place] = worker;
    if (this.#reads) worker.tell({ kind: 'load' });
    return worker;
  }

  #spawn(index: number): PoolWorker {
    return new PoolWorker(index, this.#options.settings, {
      onReply: (worker, reply) => {
        const job = worker.jobs.get(reply.id);
        if (!job) return;
        worker.jobs.delete(reply.id);
        job.onLeft();
        if (!job.abandoned) {
          if (reply.error) job.reject(new ScanError(reply.error.code, reply.error.message));
          else job.resolve(reply.value);
        }
        const next = worker.current;
        if (next?.abandoned) this.#watchStray(worker, next);
        this.#dispatch();
        if (worker.jobs.size === 0) worker.idle();
      },
      onExit: (worker, error) => {
        for (const job of worker.jobs.values()) job.onLeft();
        if (this.#stopped) {
          for (const job of worker.jobs.values()) job.reject(new WorkerLostError('the worker pool is stopped'));
          return;
        }
        this.replaced++;
        this.#options.logger.error('a worker thread ended and is replaced', { worker: index, err: error });
        this.#workers[index] = null;
        this.#resting.add(index);
        const lived = Date.now() - worker.bornMs;
        setTimeout(
          () => {
            this.#resting.delete(index);
            if (this.#stopped) return;
            this.#start(index);
            this.#dispatch();
          },
          lived < RESPAWN_MS ? RESPAWN_MS : 0,
        );
        for (const job of worker.jobs.values()) {
          if (!job.abandoned) job.reject(new WorkerLostError('a worker thread ended', { cause: error }));
        }
      },
    });
  }
}

interface PoolWorkerEvents {
  onReply(worker: PoolWorker, reply: WorkerReply): void;
  onExit(worker: PoolWorker, error: Error | null): void;
}

class PoolWorker {
  readonly index: number;
  readonly jobs = new Map<number, Job>();
  readonly bornMs = Date.now();
  readonly #thread: Worker;

  constructor(index: number, settings: WorkerSettings, events: PoolWorkerEvents) {
    this.index = index;
    const entry = new URL(`./worker${extname(import.meta.filename)}`, import.meta.url);
    this.#thread = new Worker(entry, { workerData: settings, name: `loptr-worker-${index}` });
    let failure: Error | null = null;
    this.#thread.on('message', (reply: WorkerReply) => events.onReply(this, reply));
    this.#thread.on('error', (error: unknown) => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
    this.#thread.on('messageerror', (error: Error) => {
      failure = error;
      void this.#thread.terminate();
    });
    this.#thread.on('exit', () => events.onExit(this, failure));
    this.#thread.unref();
  }

  /** What it is at; the others wait behind it. */
  get current(): Job | undefined {
    return this.jobs.values().next().value;
  }

  /** A worker with work keeps the process alive; an idle one does not. */
  post(id: number, request: JobRequest, transfer: readonly ArrayBuffer[]): void {
    this.#thread.ref();
    this.#thread.postMessage({ id, request } satisfies WorkerMessage, [...transfer]);
  }

  /** What has no answer, or one that nobody waits for. */
  tell(request: CloseRequest | LoadRequest): void {
    this.#thread.postMessage({ id: NOBODY, request } satisfies WorkerMessage);
  }

  idle(): void {
    this.#thread.unref();
  }

  async terminate(): Promise<void> {
    await this.#thread.terminate();
  }
}
