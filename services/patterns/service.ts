import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Registry } from 'prom-client';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { LimitsProvider } from '../config/limits.ts';
import {
  type PatternClient,
  type PatternRequest,
  type PatternSeries,
  PatternsUnavailableError,
  type StreamPatternClient,
  type StreamPatterns,
} from '../rpc/patterns.ts';
import type { PatternConfig } from './config.ts';
import type { PatternWorkerReply, PatternWorkerRequest, SentBatch } from './messages.ts';
import { patternMetrics } from './metrics.ts';

export interface PatternIngesterOptions {
  readonly config: PatternConfig;
  readonly limits: LimitsProvider;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Bytes that may wait for the thread. */
  readonly maxWaitingBytes?: number;
}

/** Some seconds of work of the thread at most. */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/** Pushes are sent together: a message costs about as much as a hundred lines. */
const COLLECT_MS = 50;
const COLLECT_BYTES = 1024 * 1024;
const PRUNE_PERIOD_MS = 60_000;
/** A thread that ended is not replaced sooner, so that a broken one cannot spin. */
const REST_MS = 1000;

interface Waiting {
  readonly resolve: (streams: readonly StreamPatterns[]) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Finds patterns in the lines that were taken, in a thread of its own. When more comes than the thread can look at, it
 * looks at every second, fourth or eighth line and counts it for the others, and at last lets whole pushes go: neither
 * pushes nor memory wait for it.
 */
export class PatternIngester implements PatternClient, StreamPatternClient {
  readonly #options: PatternIngesterOptions;
  readonly #metrics: ReturnType<typeof patternMetrics>;
  readonly #maxWaitingBytes: number;
  readonly #stopping = new AbortController();
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | null = null;
  #collected: SentBatch[] = [];
  #collectedBytes = 0;
  /** Sent and not yet looked at. */
  #sentBytes = 0;
  #nextId = 1;
  #pruning: Promise<void> | null = null;
  #restsUntilMs = 0;

  constructor(options: PatternIngesterOptions) {
    this.#options = options;
    this.#metrics = patternMetrics(options.registry);
    this.#maxWaitingBytes = options.maxWaitingBytes ?? MAX_WAITING_BYTES;
  }

  start(): void {
    this.#pruning = this.#pruneForEver();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopped'));
    await this.#pruning;
    this.#rejectAll(new PatternsUnavailableError('the pattern ingester is stopping'));
    await this.#worker?.terminate();
  }

  /** Looks at a batch (`push-batch.ts`) of a tenant some time later. Copies what it needs. */
  push(tenant: string, batch: Uint8Array): void {
    if (this.#stopping.signal.aborted) return;
    const isFull = this.#sentBytes + this.#collectedBytes + batch.length > this.#maxWaitingBytes;
    if (isFull || this.#isResting) {
      this.#metrics.droppedBytes.inc(batch.length);
      return;
    }
    if (this.#collected.length === 0) this.#sendSoon();
    this.#collected.push({ bytes: new Uint8Array(batch), jsonFields: this.#jsonFieldsOf(tenant) });
    this.#collectedBytes += batch.length;
    if (this.#collectedBytes >= COLLECT_BYTES) this.#send();
  }

  get #isResting(): boolean {
    return this.#worker === null && this.#options.clock.nowMs() < this.#restsUntilMs;
  }

  /** All pushes from before the call are in the answer. Throws PatternsUnavailableError. */
  async patterns(request: PatternRequest): Promise<readonly PatternSeries[]> {
    return (await this.#ask(request, false)).flatMap(({ series }) => series);
  }

  /** As `patterns`. */
  streamPatterns(request: PatternRequest): Promise<readonly StreamPatterns[]> {
    return this.#ask(request, true);
  }

  #ask(request: PatternRequest, byStream: boolean): Promise<readonly StreamPatterns[]> {
    if (this.#stopping.signal.aborted) {
      return Promise.reject(new PatternsUnavailableError('the pattern ingester is stopping'));
    }
    if (this.#isResting) return Promise.reject(new PatternsUnavailableError('the pattern ingester starts anew'));
    this.#send();
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#post({ kind: 'query', id, request, byStream });
    });
  }

  #jsonFieldsOf(tenant: string): string[] {
    const limits = this.#options.limits.for(tenant);
    const fields = [
      ...limits.pattern_ingester_tokenizable_json_fields_default,
      ...limits.pattern_ingester_tokenizable_json_fields_append,
    ];
    const without = limits.pattern_ingester_tokenizable_json_fields_delete;
    return fields.filter((field, i) => fields.indexOf(field) === i && !without.includes(field));
  }

  #sendSoon(): void {
    this.#options.clock.sleep(COLLECT_MS, this.#stopping.signal).then(
      () => this.#send(),
      () => {}, // stopped: nobody asks any more
    );
  }

  #send(): void {
    if (this.#collected.length === 0) return;
    const batches = this.#collected;
    const share = (this.#sentBytes + this.#collectedBytes) / this.#maxWaitingBytes;
    const stride = share < 0.25 ? 1 : share < 0.5 ? 2 : share < 0.75 ? 4 : 8;
    this.#sentBytes += this.#collectedBytes;
    this.#collected = [];
    this.#collectedBytes = 0;
    const memory = batches.map(({ bytes }) => bytes.buffer as ArrayBuffer);
    this.#post({ kind: 'push', nowMs: this.#options.clock.nowMs(), stride, batches }, memory);
  }

  #post(message: PatternWorkerRequest, memory: readonly ArrayBuffer[] = []): void {
    this.#worker ??= this.#spawn();
    this.#worker.postMessage(message, memory);
  }

  #spawn(): Worker {
    const file = new URL(`./worker${extname(import.meta.filename)}`, import.meta.url);
    const worker = new Worker(file, { workerData: this.#options.config });
    worker.unref(); // it holds nothing that a stop must wait for
    let failure: unknown = null;
    worker.on('message', (reply: PatternWorkerReply) => this.#onReply(reply));
    worker.on('error', (error) => {
      failure = error;
    });
    worker.on('exit', () => {
      this.#worker = null;
      this.#sentBytes = 0;
      this.#restsUntilMs = this.#options.clock.nowMs() + REST_MS;
      if (!this.#stopping.signal.aborted) {
        this.#options.logger.error('the thread that finds patterns ended and starts anew', { err: failure });
      }
      this.#rejectAll(new PatternsUnavailableError('the patterns were lost, ask again', { cause: failure }));
    });
    return worker;
  }

  #onReply(reply: PatternWorkerReply): void {
    if (reply.kind === 'pushed') {
      this.#sentBytes = Math.max(0, this.#sentBytes - reply.bytes);
      for (const [tenant, outcomes] of reply.outcomes) {
        for (const [outcome, lines] of Object.entries(outcomes)) {
          if (outcome === 'counted') this.#metrics.lines.inc(lines);
          else this.#metrics.skipped.inc({ tenant, reason: outcome }, lines);
        }
      }
      this.#metrics.streams.set(reply.streams);
      this.#metrics.memoryBytes.set(reply.sizeBytes);
      return;
    }
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.kind === 'found') waiting?.resolve(reply.streams);
    else waiting?.reject(new Error(`patterns: ${reply.message}`));
  }

  #rejectAll(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  async #pruneForEver(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      try {
        await clock.sleep(PRUNE_PERIOD_MS, signal);
      } catch (error: unknown) {
        if (signal.aborted) return;
        throw error;
      }
      if (this.#worker !== null) this.#post({ kind: 'prune', nowMs: clock.nowMs() });
    }
  }
}
