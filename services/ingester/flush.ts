import { setImmediate } from 'node:timers/promises';
import type { Labels } from '../../logql/labels.ts';
import type { EncodedBlock } from '../../storage/block/types.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { type Appended, type Wal, WalUnavailableError } from '../../storage/wal/index.ts';
import type { IngesterConfig } from './config.ts';
import type { Cutter, MemoryUse } from './cutter.ts';
import { encodeDone, encodeIntent, RECORD_DONE, RECORD_INTENT } from './marks.ts';
import type { FlushReason, IngesterMetrics } from './metrics.ts';
import type { Cut, Stream } from './stream.ts';
import type { Tenant } from './tenant.ts';

/** Where flushed blocks go. */
export interface SegmentSink {
  /** A name that no segment of this tenant ever had. */
  newKey(tenant: string): string;
  /**
   * Stores one segment; resolves when it is durable. The same key may be written again with the same content after a
   * failure that may have stored it. `publish` makes it visible to queries of this process, at once and without failing.
   */
  write(tenant: string, key: string, series: readonly SegmentSeries[]): Promise<{ publish(): void }>;
  /** Whether `key` was stored, also when it has been merged into another segment since. */
  exists(tenant: string, key: string): Promise<boolean>;
}

export interface SegmentSeries {
  readonly labels: Labels;
  readonly blocks: readonly EncodedBlock[];
}

interface Item {
  readonly stream: Stream;
  readonly cuts: readonly Cut[];
  readonly reason: FlushReason;
}

export interface FlusherOptions {
  readonly config: IngesterConfig;
  readonly tenants: ReadonlyMap<string, Tenant>;
  readonly cutter: Cutter;
  readonly memory: MemoryUse;
  readonly sink: SegmentSink;
  readonly wal: Wal;
  readonly metrics: IngesterMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly forget: (tenant: Tenant, stream: Stream) => void;
}

/** Encoded bytes after which a flush goes on in another segment: a sink holds one in memory. */
const MAX_SEGMENT_BYTES = 64 << 20;
/** Streams after which it does: the index of a segment is made in one go, some 10 µs for each of them. */
const MAX_SEGMENT_STREAMS = 4000;
/**
 * Streams that are cut before other work gets its turn: about 3 ms. Before as many again are cut, those before these are
 * encoded: what is made for each cut dies young only while few are under way.
 */
const CUTS_A_TURN = 300;

/**
 * Brings due streams to the object store, all of a tenant in one segment, one segment of a tenant at a time. What fails
 * is tried again under the same key with the same content, so that a write whose answer was lost stores nothing twice.
 */
export class Flusher {
  readonly #o: FlusherOptions;
  /** Tenants with a flush under way. */
  readonly #running = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();
  #wake: AbortController | null = null;
  #loop: Promise<void> = Promise.resolve();
  #isFailing = false;
  /** The log must not lose segments while it is still being read. */
  #mayTruncate = false;

  constructor(options: FlusherOptions) {
    this.#o = options;
  }

  start(): void {
    this.#mayTruncate = true;
    this.#loop = this.#run();
  }

  /** Looks for due streams now instead of at the next period. */
  wake(): void {
    this.#wake?.abort();
  }

  /** Stores every row that is in memory now. Rejects when the flusher is stopped before. */
  async flushAll(): Promise<void> {
    await Promise.all([...this.#o.tenants.values()].map((tenant) => this.#flushTenant(tenant)));
  }

  /** Gives up retries; resolves once nothing runs any more. Rows that are not stored stay in the log. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the ingester stops'));
    this.wake();
    await this.#loop;
    await Promise.allSettled(this.#running.values());
  }

  /** Starts flushes for what is due; the loop does so each period, and tests when they want it. */
  check(): void {
    const { tenants, forget, config, clock } = this.#o;
    const now = clock.nowMs();
    if (this.#o.wal.isFailing) void this.#truncate(); // what is stored may be what fills the disk
    // Each push asks for this while memory is short; what is already on its way must not be sorted each time.
    const free = [...tenants.values()].filter((tenant) => !this.#running.has(tenant.id));
    if (free.length === 0) return;
    const pressed = this.#pressed();
    for (const tenant of free) {
      const due: { stream: Stream; reason: FlushReason }[] = [];
      for (const stream of tenant.streams.values()) {
        const reason = this.#dueReason(stream, now) ?? pressed(stream);
        if (reason !== null) due.push({ stream, reason });
        else if (!stream.hasUnflushed && now - stream.lastPushMs >= config.chunkIdleMs) forget(tenant, stream);
      }
      if (due.length > 0) void this.#track(tenant, due);
    }
  }

  async #run(): Promise<void> {
    const { clock, config } = this.#o;
    while (!this.#stopping.signal.aborted) {
      this.#wake = new AbortController();
      try {
        await clock.sleep(config.flushCheckMs, AbortSignal.any([this.#wake.signal, this.#stopping.signal]));
      } catch {
        if (this.#stopping.signal.aborted) return; // else woken before the period ended
      }
      this.check();
    }
  }

  #dueReason(stream: Stream, nowMs: number): FlushReason | null {
    if (!stream.hasUnflushed) return null;
    const { chunkTargetBytes, chunkIdleMs, maxChunkAgeMs } = this.#o.config;
    let encoded = 0;
    for (const cut of stream.cuts) if (cut.blocks !== null) encoded += cut.memoryBytes;
    if (encoded >= chunkTargetBytes) return 'full';
    if (nowMs - stream.oldestMs >= maxChunkAgeMs) return 'max_age';
    return nowMs - stream.lastPushMs >= chunkIdleMs ? 'idle' : null;
  }

  /** Who must go although nothing of its own makes it due. */
  #pressed(): (stream: Stream) => FlushReason | null {
    const { config, memory, wal, tenants } = this.#o;
    // Once its rows are stored, the log can be removed: that may be all that a full disk waits for.
    if (wal.isFailing) return (stream) => (stream.hasUnflushed ? 'wal' : null);
    if (memory.headBytes + memory.cutBytes > config.flushBytes) {
      const streams = [...tenants.values()].flatMap((tenant) => [...tenant.streams.values()]);
      const sizes = new Map(streams.map((stream) => [stream, memoryOf(stream)]));
      let excess = memory.headBytes + memory.cutBytes - config.flushBytes / 2;
      const chosen = new Set<Stream>();
      for (const [stream, bytes] of [...sizes].sort((a, b) => b[1] - a[1])) {
        if (excess <= 0 || bytes === 0) break;
        excess -= bytes;
        chosen.add(stream);
      }
      return (stream) => (chosen.has(stream) ? 'memory' : null);
    }
    if (memory.encodedBytes > config.segmentBytes)
      return (stream) => (encodedCuts(stream).length > 0 ? 'segment' : null);
    if (wal.sizeBytes > config.maxWalBytes) {
      const middle = (wal.oldestSegmentId + wal.segmentId) / 2;
      return (stream) => (stream.firstSegmentId <= middle ? 'wal' : null);
    }
    return () => null;
  }

  async #flushTenant(tenant: Tenant): Promise<void> {
    while (this.#running.has(tenant.id)) await this.#running.get(tenant.id);
    const due = [...tenant.streams.values()]
      .filter((stream) => stream.hasUnflushed)
      .map((stream) => ({ stream, reason: 'forced' as const }));
    if (due.length > 0 && !(await this.#track(tenant, due))) throw new Error('the flush was given up');
  }

  /** True when everything was stored. */
  #track(tenant: Tenant, due: readonly { stream: Stream; reason: FlushReason }[]): Promise<boolean> {
    const done = this.#flush(tenant, due).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) this.#o.logger.error('a flush failed', { tenant: tenant.id, err: error });
      return false;
    });
    this.#running.set(
      tenant.id,
      done.then(() => {
        this.#running.delete(tenant.id);
      }),
    );
    return done;
  }

  /** Some streams after the other: cut all at once, a hundred thousand would take their memory twice. */
  async #flush(tenant: Tenant, due: readonly { stream: Stream; reason: FlushReason }[]): Promise<boolean> {
    for (let from = 0; from < due.length; from += MAX_SEGMENT_STREAMS) {
      if (!(await this.#flushSome(tenant, due.slice(from, from + MAX_SEGMENT_STREAMS)))) return false;
    }
    return true;
  }

  async #flushSome(tenant: Tenant, due: readonly { stream: Stream; reason: FlushReason }[]): Promise<boolean> {
    const { cutter, metrics } = this.#o;
    const items: Item[] = [];
    for (const { stream, reason } of due) {
      if (reason !== 'full' && reason !== 'segment') cutter.cut(stream);
      items.push({ stream, reason, cuts: reason === 'segment' ? encodedCuts(stream) : stream.cuts });
      if (items.length % CUTS_A_TURN !== 0) continue;
      await setImmediate();
      const before = Math.max(0, items.length - CUTS_A_TURN);
      if (!(await this.#encoded(items, before - CUTS_A_TURN, before))) return false;
    }
    metrics.flushQueueLength.inc(items.length);
    try {
      if (!(await this.#encoded(items, 0, items.length))) return false;
      for (const group of groupBySize(items)) await this.#store(tenant, group);
      return true;
    } finally {
      metrics.flushQueueLength.dec(items.length);
    }
  }

  /** Waits for the cuts of items `[from, to)`. False when the cutter was stopped before they had their blocks. */
  async #encoded(items: readonly Item[], from: number, to: number): Promise<boolean> {
    for (let i = Math.max(0, from); i < to; i++) {
      for (const cut of items[i]!.cuts) {
        if (cut.blocks === null) await this.#o.cutter.whenEncoded(cut);
        if (cut.blocks === null) return false;
      }
    }
    return true;
  }

  async #store(tenant: Tenant, items: readonly Item[]): Promise<void> {
    const { sink, cutter, metrics } = this.#o;
    const key = sink.newKey(tenant.id);
    const streams = items.map(({ stream, cuts }) => [stream.text, cuts.at(-1)!.lastSequence] as const);
    const intent = await this.#log(RECORD_INTENT, encodeIntent({ tenant: tenant.id, key, streams }));
    const series = items.map(({ stream, cuts }) => ({
      labels: stream.labels,
      blocks: cuts.length === 1 ? cuts[0]!.blocks! : cuts.flatMap((cut) => cut.blocks!),
    }));
    const stored = await this.#write(tenant.id, key, series);
    // One turn: readers find each row in the store or here, never in both and never in neither.
    stored.publish();
    for (const { stream, cuts } of items) {
      stream.dropCuts(cuts.length);
      for (const cut of cuts) cutter.release(cut);
    }
    this.#count(items);
    if (intent !== null) await this.#log(RECORD_DONE, encodeDone(intent.sequence));
    metrics.memoryChunks.dec(items.reduce((sum, { cuts }) => sum + cuts.length, 0));
    await this.#truncate();
  }

  /** Null when the log takes nothing: a flush goes on all the same, since it is what makes room. */
  async #log(type: number, payload: Buffer): Promise<Appended | null> {
    try {
      const appended = this.#o.wal.append(type, payload);
      await appended.written;
      return appended;
    } catch (error: unknown) {
      if (!(error instanceof WalUnavailableError)) throw error;
      this.#o.logger.warn('a flush is not in the write-ahead log; a crash now may bring its rows back', { err: error });
      return null;
    }
  }

  async #write(tenant: string, key: string, series: readonly SegmentSeries[]): Promise<{ publish(): void }> {
    const { sink, clock, config, metrics, logger, random } = this.#o;
    for (let attempt = 0; ; attempt++) {
      this.#stopping.signal.throwIfAborted();
      try {
        const stored = await sink.write(tenant, key, series);
        if (this.#isFailing) logger.info('the object store takes segments again');
        this.#isFailing = false;
        return stored;
      } catch (error: unknown) {
        metrics.flushFailures.inc();
        if (!this.#isFailing) logger.error('the object store takes no segments; rows stay here', { err: error });
        this.#isFailing = true;
        const pause = Math.min(config.flushBackoffMaxMs, config.flushBackoffMinMs * 2 ** Math.min(attempt, 30));
        await clock.sleep(pause * (0.5 + random() / 2), this.#stopping.signal);
      }
    }
  }

  async #truncate(): Promise<void> {
    const { wal, tenants, logger, metrics } = this.#o;
    if (!this.#mayTruncate) return;
    let oldest = wal.segmentId;
    for (const tenant of tenants.values()) {
      for (const stream of tenant.streams.values()) oldest = Math.min(oldest, stream.firstSegmentId);
    }
    try {
      await wal.truncateBefore(oldest);
    } catch (error: unknown) {
      logger.warn('a segment of the write-ahead log could not be removed', { err: error });
    }
    metrics.walBytes.set(wal.sizeBytes);
  }

  #count(items: readonly Item[]): void {
    const { metrics, clock, config } = this.#o;
    const now = clock.nowMs();
    for (const { cuts, reason } of items) {
      let size = 0;
      let rows = 0;
      let lineBytes = 0;
      let minNs = cuts[0]!.minNs;
      let maxNs = cuts[0]!.maxNs;
      for (const cut of cuts) {
        size += cut.memoryBytes;
        rows += cut.rowCount;
        lineBytes += cut.lineBytes;
        if (cut.minNs < minNs) minNs = cut.minNs;
        if (cut.maxNs > maxNs) maxNs = cut.maxNs;
      }
      metrics.chunksFlushed.inc({ reason });
      metrics.chunkAge.observe((now - cuts[0]!.createdMs) / 1000);
      metrics.chunkBounds.observe(Number(maxNs - minNs) / 3.6e12);
      metrics.chunkEntries.observe(rows);
      metrics.chunkSize.observe(size);
      metrics.chunkUtilization.observe(size / config.chunkTargetBytes);
      metrics.chunkCompression.observe(lineBytes / Math.max(size, 1));
    }
  }
}

/** The oldest cuts, as far as they are encoded: they can be stored at once. */
function encodedCuts(stream: Stream): readonly Cut[] {
  const waiting = stream.cuts.findIndex((cut) => cut.blocks === null);
  return waiting < 0 ? stream.cuts : stream.cuts.slice(0, waiting);
}

function memoryOf(stream: Stream): number {
  let sum = stream.headBytes;
  for (const cut of stream.cuts) sum += cut.memoryBytes;
  return sum;
}

function* groupBySize(items: readonly Item[]): Generator<Item[]> {
  let group: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    if (item.cuts.length === 0) continue;
    group.push(item);
    for (const cut of item.cuts) bytes += cut.memoryBytes;
    if (bytes < MAX_SEGMENT_BYTES && group.length < MAX_SEGMENT_STREAMS) continue;
    yield group;
    group = [];
    bytes = 0;
  }
  if (group.length > 0) yield group;
}
