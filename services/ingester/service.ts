import type { Registry } from 'prom-client';
import type { Labels } from '../../logql/labels.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { Wal, type WalOptions, type WalRecord, WalUnavailableError } from '../../storage/wal/index.ts';
import type { LimitsProvider } from '../config/limits.ts';
import {
  type IngesterClient,
  NotReadableError,
  PushRejectedError,
  type RecentFigures,
  type RecentRequest,
  type RecentStream,
} from '../rpc/ingester.ts';
import { decodePushBatch, encodePushBatch, openPushBatch, type StreamBatch } from '../rpc/push-batch.ts';
import { BlockMemory } from './block-memory.ts';
import type { IngesterConfig } from './config.ts';
import { type BlockEncoder, Cutter, type MemoryUse } from './cutter.ts';
import { totalEntryBytes } from './entry-bytes.ts';
import { Flusher, type SegmentSink } from './flush.ts';
import { HeadMemory } from './head-memory.ts';
import { keptRows } from './kept-rows.ts';
import { RECORD_PUSH, StoredMarks } from './marks.ts';
import { type IngesterMetrics, ingesterMetrics } from './metrics.ts';
import { describeRefusals, judge, type RefusalReason, type Verdict } from './order.ts';
import { isBefore, noSchema, OldestRows } from './schema-start.ts';
import { copyOfRecent, type Held, type Stream } from './stream.ts';
import { Tenant } from './tenant.ts';

export type DiscardReason = RefusalReason | 'stream_limit';

export interface IngesterOptions {
  readonly id: string;
  readonly config: IngesterConfig;
  readonly limits: LimitsProvider;
  readonly wal: Omit<WalOptions, 'clock' | 'logger'>;
  readonly encoder: BlockEncoder;
  readonly sink: SegmentSink;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Members that share the global stream limit of a tenant; asked for each new stream. */
  readonly share?: () => { readonly ingesters: number; readonly replicationFactor: number };
  /** Called for refused rows, which the distributor's metrics count. */
  readonly onDiscarded?: (tenant: string, labels: string, reason: DiscardReason, rows: number, bytes: number) => void;
  /**
   * Where the first period of a configured schema begins, ms since 1970: a new stream with an older row is refused, as
   * Loki does. Null, the default: rows of any age are taken.
   */
  readonly schemaFromMs?: number | null;
  /**
   * Called with the rows of each push that were taken (`push-batch.ts`), in the tick of the push. The bytes may be
   * overwritten once it returns.
   */
  readonly onTaken?: (tenant: string, batch: Uint8Array) => void;
  /** In `[0, 1)`; spreads retries. */
  readonly random?: () => number;
}

interface Applied {
  readonly touched: readonly Stream[];
  /** All must resolve before the push is acknowledged. */
  readonly written: ReadonlySet<Promise<void>>;
  readonly refusal: PushRejectedError | null;
}

/** Why a stream is not created. */
type NoStream = 'stream_limit' | 'no_schema';

type State = 'new' | 'starting' | 'running' | 'stopping';

const NS_PER_MS = 1_000_000;
/** A push that waits when rows come faster than they can be encoded; smaller ones make no difference. */
const LARGE_PUSH_BYTES = 64 * 1024;
/** A head that is worth cutting to make room. */
const LARGE_HEAD_BYTES = 96 * 1024;
/** Memory that may wait for the next head, in relation to that of open heads. */
const IDLE_HEAD_MEMORY_SHARE = 0.25;
/** In relation to a segment: all its blocks are given back at once, somewhat more of them than made it due. */
const IDLE_BLOCK_MEMORY_SHARE = 1.25;

/**
 * Takes rows in, holds them in memory and in the write-ahead log, and brings them to the object store.
 *
 * Rows go to memory first and are acknowledged when the log has them. The rules of order need the rows of earlier pushes
 * at once, so a push that waited for the log before it counted would have to be judged twice; and a query that shows a
 * row a moment before its push is acknowledged breaks no promise. When the log then refuses the record, the push answers
 * 503 although its rows can be seen and may reach the object store: 503 says "unknown, send it again", and what is sent
 * again is an exact duplicate that blocks and queries drop. It must reach the log, though: the rows refused by the log no
 * longer count as stored last, and a push of which something was skipped as a repetition waits for the log's word on the
 * original. While the log is known to refuse, pushes are turned away untouched.
 */
export class Ingester implements IngesterClient {
  readonly id: string;
  readonly #options: IngesterOptions;
  readonly #metrics: IngesterMetrics;
  readonly #tenants = new Map<string, Tenant>();
  readonly #memory: MemoryUse = { headBytes: 0, cutBytes: 0, encodedBytes: 0 };
  readonly #headMemory: HeadMemory;
  /** Streams whose heads reached LARGE_HEAD_BYTES; some may have been cut since. */
  readonly #large = new Set<Stream>();
  readonly #cutter: Cutter;
  #wal: Wal | null = null;
  #flusher: Flusher | null = null;
  #state: State = 'new';
  #started: Promise<void> | null = null;
  /** Stops, and had read its log before. */
  #isStoppingWhole = false;

  constructor(options: IngesterOptions) {
    this.id = options.id;
    this.#options = options;
    this.#metrics = ingesterMetrics(options.registry);
    this.#headMemory = new HeadMemory(IDLE_HEAD_MEMORY_SHARE * options.config.maxHeadBytes);
    this.#cutter = new Cutter({
      encoder: options.encoder,
      blocks: new BlockMemory(IDLE_BLOCK_MEMORY_SHARE * options.config.segmentBytes),
      concurrency: options.config.concurrentEncodes,
      maxBacklogBytes: options.config.maxHeadBytes / 4,
      memory: this.#memory,
      metrics: this.#metrics,
      clock: options.clock,
      logger: options.logger,
    });
  }

  get isReady(): boolean {
    return this.#state === 'running';
  }

  /** All rows that it is responsible for are in memory or stored: not while the log is read. */
  get isReadable(): boolean {
    return this.#state === 'running' || this.#isStoppingWhole;
  }

  /**
   * Opens the log and brings back what is in it. Throws WalLockedError when another process uses it; rejects when it is
   * stopped meanwhile, and leaves the log as it was.
   */
  start(): Promise<void> {
    this.#started = this.#start();
    return this.#started;
  }

  async #start(): Promise<void> {
    const { wal: walOptions, sink, config, clock, logger, random = Math.random } = this.#options;
    this.#state = 'starting';
    this.#wal = await Wal.open({ ...walOptions, clock, logger });
    this.#flusher = new Flusher({
      config,
      sink,
      clock,
      logger,
      random,
      tenants: this.#tenants,
      cutter: this.#cutter,
      memory: this.#memory,
      wal: this.#wal,
      metrics: this.#metrics,
      forget: (tenant, stream) => this.#forget(tenant, stream),
    });
    try {
      await this.#replay(this.#wal);
    } catch (error: unknown) {
      await this.#wal.close(); // another process must find the directory free
      throw error;
    }
    this.#flusher.start();
    this.#state = 'running';
  }

  async push(bytes: Uint8Array): Promise<void> {
    if (bytes.length >= LARGE_PUSH_BYTES) await this.#cutter.room();
    const wal = this.#wal;
    if (this.#state !== 'running' || wal === null) {
      throw new PushRejectedError(
        503,
        this.#state === 'stopping' ? 'the ingester is stopping' : 'the ingester is starting',
      );
    }
    const { config } = this.#options;
    if (this.#memory.headBytes + this.#memory.cutBytes + bytes.length > config.maxUnflushedBytes) {
      this.#flusher!.wake();
      throw new PushRejectedError(503, 'too many rows wait for the object store; try again later');
    }
    let applied: Applied | null = null;
    try {
      wal.assertWritable(bytes.length);
      applied = this.#apply(wal, bytes);
      await Promise.all(applied.written);
    } catch (error: unknown) {
      if (!(error instanceof WalUnavailableError)) throw error;
      for (const stream of applied?.touched ?? []) stream.forgetLast();
      if (applied !== null) this.#flusher?.wake();
      this.#metrics.walFailures.inc();
      throw Object.assign(new PushRejectedError(503, error.message), { cause: error });
    }
    if (applied.refusal !== null) throw applied.refusal;
  }

  /** The view is taken in the tick of the call, as those of the questions below are. */
  async recent({ tenant, matchers, startNs, endNs, lease }: RecentRequest): Promise<readonly RecentStream[]> {
    this.#assertReadable();
    const found: RecentStream[] = [];
    const held: Held[] = [];
    const letGo = (): void => {
      for (const one of held) one.letGo();
    };
    try {
      for (const stream of this.#tenants.get(tenant)?.select(matchers) ?? []) {
        const recent = stream.recent(startNs, endNs, held);
        if (recent !== null) found.push(recent);
      }
      return lease === undefined ? found.map(copyOfRecent) : found;
    } finally {
      if (lease === undefined) letGo();
      else lease.onEnd(letGo);
    }
  }

  async series({ tenant, matchers, startNs, endNs }: RecentRequest): Promise<readonly Labels[]> {
    this.#assertReadable();
    const found: Labels[] = [];
    for (const stream of this.#tenants.get(tenant)?.select(matchers) ?? []) {
      if (stream.figures(startNs, endNs).chunks > 0) found.push(stream.labels);
    }
    return found;
  }

  async labelNames(request: RecentRequest): Promise<readonly string[]> {
    const names = new Set<string>();
    for (const labels of await this.series(request)) for (const [name] of labels) names.add(name);
    return [...names].sort();
  }

  async labelValues(name: string, request: RecentRequest): Promise<readonly string[]> {
    const values = new Set<string>();
    for (const labels of await this.series(request)) {
      for (const [key, value] of labels) if (key === name) values.add(value);
    }
    return [...values].sort();
  }

  async stats({ tenant, matchers, startNs, endNs }: RecentRequest): Promise<RecentFigures> {
    this.#assertReadable();
    const sum = { streams: 0, chunks: 0, rows: 0, bytes: 0 };
    for (const stream of this.#tenants.get(tenant)?.select(matchers) ?? []) {
      const { chunks, rows, bytes } = stream.figures(startNs, endNs);
      if (chunks === 0) continue;
      sum.streams++;
      sum.chunks += chunks;
      sum.rows += rows;
      sum.bytes += bytes;
    }
    return sum;
  }

  tail(tenant: string, matchers: readonly Matcher[], onRows: (labels: Labels, rows: StreamBatch) => void): () => void {
    const followed = this.#tenant(tenant);
    const stop = followed.tail(matchers, onRows);
    return () => {
      stop();
      // Anybody may follow a tenant that nobody writes to.
      if (followed.isUnused && this.#tenants.get(tenant) === followed) this.#tenants.delete(tenant);
    };
  }

  async flush(): Promise<void> {
    if (this.#state !== 'running') throw new PushRejectedError(503, 'the ingester is not running');
    await this.#flusher!.flushAll();
  }

  /** Looks for due streams now. */
  checkFlush(): void {
    this.#flusher?.check();
  }

  /**
   * Refuses pushes, stores what it can until the deadline, and closes the log, which keeps the rest. True when there is
   * no rest: nothing is missing where this ingester does not come back.
   */
  async stop(deadlineMs: number): Promise<boolean> {
    if (this.#state === 'new' || this.#state === 'stopping') return false;
    const wasStarting = this.#state === 'starting';
    this.#isStoppingWhole = this.#state === 'running';
    this.#state = 'stopping';
    const { clock, logger } = this.#options;
    if (wasStarting) {
      // The log has rows that nobody read yet: it stays, and reading ends at the next record.
      await Promise.all([this.#flusher?.stop(), this.#cutter.stop(), this.#started?.catch(() => {})]); // told to its caller
      return false;
    }
    const given = new AbortController();
    const flushed = this.#flusher!.flushAll().then(
      () => true,
      (error: unknown) => {
        logger.warn('not everything was stored; the write-ahead log keeps it', { err: error });
        return false;
      },
    );
    await Promise.race([flushed, clock.sleep(deadlineMs, given.signal).catch(() => {})]); // aborted once flushed
    given.abort(new Error('flushed'));
    await Promise.all([this.#flusher!.stop(), this.#cutter.stop()]);
    const isStored = (await flushed) && !this.#hasUnflushed();
    await this.#wal!.close({ removeAll: isStored });
    return isStored;
  }

  #assertReadable(): void {
    if (!this.isReadable) throw new NotReadableError();
  }

  /** Views of the push are seen here only: what lived while the log is written would outlive its generation. */
  #apply(wal: Wal, bytes: Uint8Array): Applied {
    const pushed = openPushBatch(bytes);
    const tenantId = pushed.tenant;
    const tenant = this.#tenant(tenantId);
    const touched: Stream[] = [];
    const kept: { index: number; rows: Uint32Array | null }[] = [];
    const written = new Set<Promise<void>>();
    let refusal: PushRejectedError | null = null;
    let isWhole = true;
    // Before any row is taken: labels that cannot be read throw here.
    const oldest = new OldestRows(pushed);
    const targets = pushed.labels.map((text) => tenant.streams.get(text) ?? this.#create(tenant, text, oldest));
    for (let i = 0; i < targets.length; i++) {
      const batch = pushed.stream(i);
      const stream = targets[i]!;
      if (typeof stream === 'string') {
        refusal = this.#refuseStream(tenantId, batch, stream, oldest);
        isWhole = false;
        continue;
      }
      const verdict = this.#judge(tenantId, stream, batch);
      if (verdict.refusals.length > 0) refusal = this.#refuseRows(tenantId, batch, verdict);
      if (verdict.rows !== null) {
        isWhole = false;
        const isRepetition = verdict.rows.length + verdict.refusals.length < batch.rowCount;
        if (isRepetition) written.add(stream.lastWritten);
      }
      if (batch.rowCount === 0 || verdict.rows?.length === 0) continue;
      this.#append(stream, batch, verdict.rows);
      touched.push(stream);
      kept.push({ index: i, rows: verdict.rows });
    }
    // A stream whose first push was refused whole was never there.
    for (const stream of targets) {
      if (typeof stream !== 'string' && stream.newestNs === null) this.#forget(tenant, stream);
    }
    if (kept.length === 0) return { touched, written, refusal };
    const payload = isWhole
      ? bytes
      : encodePushBatch(
          tenantId,
          kept.map(({ index, rows }) => keptRows(pushed.stream(index), rows)),
        );
    const appended = wal.append(RECORD_PUSH, payload);
    written.add(appended.written);
    for (const stream of touched) stream.record(appended.sequence, appended.segmentId, appended.written);
    this.#metrics.walRecords.inc();
    this.#metrics.walLoggedBytes.inc(payload.length);
    try {
      this.#cutFull(touched);
      this.#options.onTaken?.(tenantId, payload);
      if (tenant.hasTails) {
        const stored = isWhole ? pushed : decodePushBatch(payload).streams;
        for (const rows of stored) this.#publish(tenant, rows);
      }
    } catch (error: unknown) {
      // Told once the log has its record: until then nobody may write over the bytes of the push.
      written.add(appended.written.then(() => Promise.reject(error as Error)));
    }
    return { touched, written, refusal };
  }

  #judge(tenantId: string, stream: Stream, batch: StreamBatch): Verdict {
    const limits = this.#options.limits.for(tenantId);
    const verdict = judge(batch, stream, {
      windowNs: (this.#options.config.maxChunkAgeMs / 2) * NS_PER_MS,
      unorderedWrites: limits.unordered_writes,
      rateLimitWholeStream: limits.shard_streams.enabled,
      bucket: stream.bucket,
      rateBytes: limits.per_stream_rate_limit,
      burstBytes: limits.per_stream_rate_limit_burst,
      nowMs: this.#options.clock.nowMs(),
    });
    return verdict;
  }

  #refuseRows(tenant: string, batch: StreamBatch, { refusals }: Verdict): PushRejectedError {
    const { limits, config, onDiscarded } = this.#options;
    for (const [reason, all] of Map.groupBy(refusals, (refusal) => refusal.reason)) {
      onDiscarded?.(
        tenant,
        batch.labels,
        reason,
        all.length,
        all.reduce((sum, refusal) => sum + refusal.bytes, 0),
      );
    }
    const { status, message } = describeRefusals(refusals, {
      tenant,
      batch,
      rateBytes: limits.for(tenant).per_stream_rate_limit,
      maxListed: config.maxReturnedStreamErrors,
    });
    return new PushRejectedError(status, message);
  }

  #refuseStream(tenant: string, batch: StreamBatch, why: NoStream, oldest: OldestRows): PushRejectedError {
    if (why === 'no_schema') return noSchema(oldest.of(batch.labels));
    this.#options.onDiscarded?.(tenant, batch.labels, 'stream_limit', batch.rowCount, totalEntryBytes(batch));
    return new PushRejectedError(
      429,
      `maximum active stream limit exceeded when trying to create stream ${batch.labels}, reduce the number of active streams (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased, user: '${tenant}'`,
    );
  }

  /** `oldest`: the rows of the push that asks for the stream. */
  #create(tenant: Tenant, labels: string, oldest: OldestRows): Stream | NoStream {
    const limit = this.#streamLimit(tenant.id);
    if (limit > 0 && tenant.streams.size >= limit) return 'stream_limit';
    const { schemaFromMs = null } = this.#options;
    if (schemaFromMs !== null && isBefore(oldest.of(labels), schemaFromMs)) return 'no_schema';
    return this.#add(tenant, labels);
  }

  #add(tenant: Tenant, labels: string): Stream {
    const stream = tenant.create(labels);
    this.#metrics.memoryStreams.inc({ tenant: tenant.id });
    this.#metrics.streamsCreated.inc({ tenant: tenant.id });
    return stream;
  }

  /** The smaller of the local limit and this ingester's part of the global one; 0 for none. */
  #streamLimit(tenant: string): number {
    const { max_streams_per_user: local, max_global_streams_per_user: global } = this.#options.limits.for(tenant);
    const { ingesters, replicationFactor } = this.#options.share?.() ?? { ingesters: 1, replicationFactor: 1 };
    const part = ingesters > 0 ? Math.trunc((global / ingesters) * Math.min(replicationFactor, ingesters)) : 0;
    if (local > 0 && part > 0) return Math.min(local, part);
    return Math.max(local, part);
  }

  #append(stream: Stream, batch: StreamBatch, rows: Uint32Array | null): void {
    const before = stream.headBytes;
    try {
      stream.append(batch, rows, this.#options.clock.nowMs());
    } finally {
      this.#memory.headBytes += stream.headBytes - before;
    }
    const after = stream.headBytes;
    if (before < LARGE_HEAD_BYTES && after >= LARGE_HEAD_BYTES) this.#large.add(stream);
  }

  #cutFull(streams: readonly Stream[]): void {
    const { blockBytes, blockRows, maxHeadBytes, flushBytes, segmentBytes } = this.#options.config;
    for (const stream of streams) {
      if (stream.headLineBytes >= blockBytes || stream.headRows >= blockRows) this.#cutter.cut(stream);
    }
    const { headBytes, cutBytes, encodedBytes } = this.#memory;
    if (headBytes > maxHeadBytes) this.#cutLargest(maxHeadBytes * 0.9);
    if (encodedBytes > segmentBytes || headBytes + cutBytes > flushBytes) this.#flusher!.wake();
    this.#metrics.unflushedBytes.set(headBytes + cutBytes);
  }

  /** Cuts the largest heads until all together take `target` or none of some size is left: small blocks compress badly. */
  #cutLargest(target: number): void {
    const sizes: (readonly [Stream, number])[] = [];
    for (const stream of this.#large) {
      const bytes = stream.headBytes;
      if (bytes < LARGE_HEAD_BYTES)
        this.#large.delete(stream); // cut since
      else sizes.push([stream, bytes]);
    }
    sizes.sort((a, b) => b[1] - a[1]);
    for (const [stream] of sizes) {
      if (this.#memory.headBytes <= target) return;
      this.#large.delete(stream);
      this.#cutter.cut(stream);
    }
  }

  #publish(tenant: Tenant, rows: StreamBatch): void {
    const labels = tenant.streams.get(rows.labels)?.labels;
    if (labels === undefined || rows.rowCount === 0) return;
    for (const error of tenant.publish(labels, rows)) {
      this.#options.logger.error('a tail failed and was closed', { tenant: tenant.id, err: error });
    }
  }

  async #replay(wal: Wal): Promise<void> {
    const { logger, sink } = this.#options;
    const metrics = this.#metrics;
    const started = performance.now();
    metrics.replayActive.set(1);
    const marks = new StoredMarks();
    const { records, corruptions } = await wal.replay((record) => marks.collect(record));
    for (const corruption of corruptions) {
      metrics.walCorruptions.inc();
      logger.error('a damaged place in the write-ahead log; what is behind it in its segment is lost', {
        ...corruption,
      });
    }
    await marks.resolveOpen((tenant, key) => sink.exists(tenant, key));
    wal.start();
    let rows = 0;
    await wal.replay(async (record) => {
      this.#assertNotStopped();
      if (record.type !== RECORD_PUSH) return;
      rows += this.#replayPush(record, marks);
      await this.#relieve();
    });
    this.#assertNotStopped();
    metrics.replayActive.set(0);
    metrics.replayDuration.set((performance.now() - started) / 1000);
    metrics.walBytes.set(wal.sizeBytes);
    if (records > 0)
      logger.info('the write-ahead log was read', { records, rows, ms: Math.round(performance.now() - started) });
  }

  #assertNotStopped(): void {
    if (this.#state === 'stopping') throw new Error('stopped while the write-ahead log was read');
  }

  #replayPush(record: WalRecord, marks: StoredMarks): number {
    const batch = decodePushBatch(record.payload);
    const tenant = this.#tenant(batch.tenant);
    const touched: Stream[] = [];
    let rows = 0;
    for (const streamBatch of batch.streams) {
      let stream = tenant.streams.get(streamBatch.labels);
      if (stream === undefined) {
        stream = this.#add(tenant, streamBatch.labels);
        this.#metrics.recoveredStreams.inc();
      }
      if (record.sequence <= marks.storedUpTo(batch.tenant, streamBatch.labels)) {
        stream.observeStored(streamBatch, this.#options.clock.nowMs());
      } else if (streamBatch.rowCount > 0) {
        this.#append(stream, streamBatch, null);
        stream.record(record.sequence, record.segmentId);
        touched.push(stream);
        rows += streamBatch.rowCount;
      }
    }
    this.#metrics.recoveredEntries.inc(rows);
    this.#metrics.recoveredBytes.inc(record.payload.length);
    this.#cutFull(touched);
    return rows;
  }

  /** A log may hold more than memory: then rows go to the object store while the rest is read. */
  async #relieve(): Promise<void> {
    await this.#cutter.room();
    if (this.#memory.headBytes + this.#memory.cutBytes > this.#options.config.flushBytes)
      await this.#flusher!.flushAll();
  }

  #tenant(id: string): Tenant {
    let tenant = this.#tenants.get(id);
    if (tenant === undefined) this.#tenants.set(id, (tenant = new Tenant(id, this.#headMemory)));
    return tenant;
  }

  #forget(tenant: Tenant, stream: Stream): void {
    if (!tenant.forget(stream)) return;
    this.#metrics.memoryStreams.dec({ tenant: tenant.id });
    this.#metrics.streamsRemoved.inc({ tenant: tenant.id });
    if (tenant.isUnused) this.#tenants.delete(tenant.id);
  }

  #hasUnflushed(): boolean {
    for (const tenant of this.#tenants.values()) {
      for (const stream of tenant.streams.values()) if (stream.hasUnflushed) return true;
    }
    return false;
  }
}
