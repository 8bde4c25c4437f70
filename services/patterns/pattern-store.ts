import { compileMatchers } from '../../logql/stages/index.ts';
import { type PatternRequest, type PatternSeries, PatternSum, type StreamPatterns } from '../rpc/patterns.ts';
import { decodePushBatch } from '../rpc/push-batch.ts';
import type { PatternConfig } from './config.ts';
import { type LineOutcomes, PatternStream } from './pattern-stream.ts';

/** Streams that Loki writes about others. */
const AGGREGATED = '__aggregated_metric__';
const PATTERN = '__pattern__';
/** What a stream takes without its patterns, in bytes. */
const STREAM_BYTES = 1000;

interface Held {
  readonly tenant: string;
  /** Its labels. */
  readonly text: string;
  readonly stream: PatternStream;
  sizeBytes: number;
}

/** The patterns of all streams. Bounded in memory: the stream that had no line for longest goes first. */
export class PatternStore {
  readonly #config: PatternConfig;
  /** By tenant and labels, in the order of their last line. */
  readonly #streams = new Map<string, Held>();
  #sizeBytes = 0;

  constructor(config: PatternConfig) {
    this.#config = config;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Counts the lines of a batch (`push-batch.ts`); every `stride`th line stands for those before the next one. What became
   * of them is added to `outcomes`, by tenant.
   */
  push(
    batch: Uint8Array,
    jsonFields: readonly string[],
    stride: number,
    nowMs: number,
    outcomes: Map<string, LineOutcomes>,
  ): void {
    const { tenant, streams } = decodePushBatch(batch);
    const own = outcomes.get(tenant) ?? {};
    outcomes.set(tenant, own);
    for (const rows of streams) {
      const key = `${tenant}\0${rows.labels}`;
      let held = this.#streams.get(key);
      if (held === undefined) {
        const stream = new PatternStream(rows.labels, this.#config, jsonFields);
        if (stream.labels.some(([name]) => name === AGGREGATED || name === PATTERN)) continue;
        held = { tenant, text: rows.labels, stream, sizeBytes: 0 };
      } else {
        this.#streams.delete(key);
      }
      this.#streams.set(key, held);
      held.stream.push(rows, stride, nowMs, own);
      this.#measure(held);
    }
    this.#makeRoom();
  }

  /** Over all streams. */
  query(request: PatternRequest): PatternSeries[] {
    const sum = new PatternSum();
    for (const { stream } of this.#matching(request)) this.#read(stream, request, sum);
    return sum.series();
  }

  queryByStream(request: PatternRequest): StreamPatterns[] {
    const found: StreamPatterns[] = [];
    for (const { stream, text } of this.#matching(request)) {
      const sum = new PatternSum();
      this.#read(stream, request, sum);
      const series = sum.series();
      if (series.length > 0) found.push({ stream: text, series });
    }
    return found;
  }

  *#matching({ tenant, matchers }: PatternRequest): Generator<Held> {
    const matches = compileMatchers(matchers);
    for (const held of this.#streams.values()) {
      if (held.tenant === tenant && matches(held.stream.labels)) yield held;
    }
  }

  #read(stream: PatternStream, { startMs, endMs, stepMs }: PatternRequest, sum: PatternSum): void {
    for (const [level, drain] of stream.drains) {
      for (const cluster of drain.clusters) {
        const samples = cluster.samples.read(startMs, endMs, stepMs, this.#config.sampleIntervalMs);
        const pattern = samples.length === 0 ? '' : drain.textOf(cluster);
        if (pattern !== '') sum.add({ pattern, level, samples });
      }
    }
  }

  /** Forgets what is older than `retainForMs`. */
  prune(nowMs: number): void {
    for (const [key, held] of this.#streams) {
      if (held.stream.prune(nowMs - this.#config.retainForMs)) this.#forget(key, held);
      else this.#measure(held);
    }
  }

  #makeRoom(): void {
    for (const [key, held] of this.#streams) {
      if (this.#sizeBytes <= this.#config.maxMemoryBytes || this.#streams.size === 1) return;
      this.#forget(key, held);
    }
  }

  #forget(key: string, held: Held): void {
    this.#streams.delete(key);
    this.#sizeBytes -= held.sizeBytes;
  }

  #measure(held: Held): void {
    const sizeBytes = STREAM_BYTES + held.stream.sizeBytes;
    this.#sizeBytes += sizeBytes - held.sizeBytes;
    held.sizeBytes = sizeBytes;
  }
}
