import type { Registry } from 'prom-client';
import { type BlockLimits, defaultBlockLimits } from '../../storage/block/index.ts';
import type { MergeRequest, MergeResult } from '../../storage/compaction/index.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { Replacement, ReplacementReason, SegmentCatalog } from '../../storage/index/index.ts';
import type { ObjectStore } from '../../storage/objectstore/index.ts';
import { headRef } from '../../storage/scan/units.ts';
import { newSegmentId } from '../../storage/segment/index.ts';
import type { LimitsProvider } from '../config/limits.ts';
import type { IngesterClient, RecentStream } from '../rpc/ingester.ts';
import type { CompactorConfig } from './config.ts';
import type { DeleteRequest } from './delete-request.ts';
import type { DeleteRequests, KnownRequest } from './delete-requests.ts';
import { type CompactorMetrics, compactorMetrics } from './metrics.ts';
import { planMerges } from './plan.ts';
import { Replacer } from './replacer.ts';
import { expiryOf, RetentionPlan } from './retention.ts';

/** Makes segments, in a thread of its own. */
export interface SegmentMerger {
  merge(request: MergeRequest, signal: AbortSignal): Promise<MergeResult>;
  /** No more is wanted for a while. */
  release(): Promise<void>;
}

export interface CompactorOptions {
  readonly config: CompactorConfig;
  readonly store: ObjectStore;
  readonly catalog: SegmentCatalog;
  readonly merger: SegmentMerger;
  readonly ingesters: () => readonly IngesterClient[];
  readonly limits: LimitsProvider;
  readonly requests: DeleteRequests;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly blockLimits?: BlockLimits;
  readonly random?: () => number;
}

/** The first run waits so long at most: a process that is often restarted compacts too. */
const FIRST_RUN_MS = 60_000;
/** Beyond `query_timeout`, until the last read of a query that was given up is over. */
const GRACE_MS = 60_000;
const UNLIMITED_QUERY_MS = 3_600_000;
/** A job of a merge that hangs must not hold up the others for ever. */
const MERGE_MS = 30 * 60_000;

/** Segments that one note tells of. */
const DROPS_AT_ONCE = 1000;

type Outcome = 'done' | 'unchanged' | 'contended' | 'unreadable';
type SourceSegment = ReturnType<SegmentCatalog['segments']>[number];

/**
 * Makes few large segments of many small ones, drops what is older than it is to be kept, and carries out delete requests.
 * One run after the other; whatever stops one, the next goes on from what the store holds.
 */
export class Compactor {
  readonly metrics: CompactorMetrics;
  readonly #o: CompactorOptions;
  readonly #replacer: Replacer;
  readonly #retention = new RetentionPlan();
  readonly #stopping = new AbortController();
  /** Segments that are corrupt: reading them again would say the same. */
  readonly #unreadable = new Set<string>();
  /** Segments of runs in which one is corrupt: they are not merged, but looked after one by one. */
  readonly #unmergeable = new Set<string>();
  /** Share of each request, by tenant and id, of which the current run is through. */
  readonly #progress = new Map<string, number>();
  #loop: Promise<void> | undefined;
  #retainedMs = Number.NEGATIVE_INFINITY;
  #contentions = 0;

  constructor(options: CompactorOptions) {
    this.#o = options;
    const { store, catalog, clock, logger } = options;
    this.metrics = compactorMetrics(options.registry);
    this.#replacer = new Replacer({ store, catalog, clock, logger, graceMs: (note) => this.#graceMs(note) });
  }

  /** Reads the delete requests, which hold from then on. Throws ObjectStoreError. */
  async load(): Promise<void> {
    if (this.#o.config.retentionEnabled) await this.#loadRequests();
  }

  /** Begins to run. Ingesters must know by then what they hold. */
  start(): void {
    this.metrics.running.set(1);
    this.#loop = this.#runForEver();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the compactor stops'));
    await this.#loop;
    this.metrics.running.set(0);
  }

  /** How much of a request is carried out, 0 to 1. */
  progressOf({ tenant, id }: DeleteRequest): number {
    return this.#progress.get(`${id}/${tenant}`) ?? 0;
  }

  /** One run over everything. Failures are logged, counted, and tried again in the next one. */
  async run(): Promise<void> {
    const { metrics } = this;
    const { clock, config, merger } = this.#o;
    this.#contentions = 0;
    try {
      const settled = await this.#timed(metrics.compactions, metrics.compactionSeconds, metrics.lastCompaction, [
        () => this.#replacer.settle(),
      ]);
      if (!settled) return;
      const retentionEvery = config.retentionIntervalMs || config.intervalMs;
      if (config.retentionEnabled && clock.nowMs() - this.#retainedMs >= retentionEvery) {
        this.#retainedMs = clock.nowMs();
        await this.#timed(metrics.retentions, metrics.retentionSeconds, metrics.lastRetention, [
          () => this.#loadRequests(),
          ...this.#o.catalog.tenants().map((tenant) => () => this.#retain(tenant)),
          ...this.#o.requests.tenants().map((tenant) => () => this.#carryOut(tenant)),
        ]);
      }
      await this.#timed(
        metrics.compactions,
        metrics.compactionSeconds,
        metrics.lastCompaction,
        this.#o.catalog.tenants().map((tenant) => () => this.#compact(tenant)),
      );
    } finally {
      if (this.#contentions > 0) metrics.contended.inc();
      else metrics.contended.set(0);
      metrics.unreadable.set(this.#unreadable.union(this.#unmergeable).size);
      await merger.release();
    }
  }

  async #runForEver(): Promise<void> {
    const { clock, config, random = Math.random } = this.#o;
    const { signal } = this.#stopping;
    let pauseMs = Math.min(config.intervalMs, FIRST_RUN_MS);
    while (!signal.aborted) {
      try {
        // Not in step with others over the same store.
        await clock.sleep(pauseMs * (0.9 + 0.2 * random()), signal);
      } catch (error: unknown) {
        if (signal.aborted) return;
        throw error;
      }
      await this.run();
      pauseMs = config.intervalMs;
    }
  }

  /** Does the parts one after the other, each whatever became of the ones before. True when all went well. */
  async #timed(
    operations: CompactorMetrics['compactions'],
    seconds: CompactorMetrics['compactionSeconds'],
    lastSuccess: CompactorMetrics['lastCompaction'],
    parts: readonly (() => Promise<void>)[],
  ): Promise<boolean> {
    const { clock, logger } = this.#o;
    const began = performance.now();
    let failed = false;
    for (const part of parts) {
      if (this.#stopping.signal.aborted) return false;
      try {
        await part();
      } catch (err: unknown) {
        if (this.#stopping.signal.aborted) return false;
        if (!failed) logger.error('a part of compaction failed and is tried again later', { err });
        failed = true;
      }
    }
    seconds.observe((performance.now() - began) / 1000);
    operations.inc({ status: failed ? 'failure' : 'success' });
    if (!failed) lastSuccess.set(clock.nowMs() / 1000);
    return !failed;
  }

  async #compact(tenant: string): Promise<void> {
    const { catalog, clock, config } = this.#o;
    const runs = planMerges(catalog.segments(tenant), {
      nowMs: clock.nowMs(),
      maxBytes: config.maxSegmentBytes,
      isBusy: (key) => this.#isBusy(key) || this.#unmergeable.has(key),
    });
    for (const run of runs) await this.#rewrite(tenant, run, 'compaction', {});
  }

  async #retain(tenant: string): Promise<void> {
    const { catalog, clock, limits } = this.#o;
    const expiry = expiryOf(limits.for(tenant), clock.nowNs());
    if (expiry === null) return;
    const old: string[] = [];
    for (const segment of catalog.segments(tenant)) {
      if (this.#isBusy(segment.key)) continue;
      const verdict = await this.#retention.judge(segment, expiry, (key) => catalog.footer(key));
      if (verdict === 'keep') continue;
      this.metrics.retained.inc({ action: verdict === 'drop' ? 'deleted' : 'modified' });
      if (verdict === 'rewrite') await this.#rewrite(tenant, [segment], 'retention', { expiry });
      else old.push(segment.key);
    }
    await this.#drop(tenant, old);
    this.#retention.forgetAllBut(new Set(catalog.tenants().flatMap((t) => catalog.segments(t).map(({ key }) => key))));
  }

  /** Carries out the tenant's requests that cannot be taken back any more. */
  async #carryOut(tenant: string): Promise<void> {
    const { config, clock, limits, requests } = this.#o;
    if (limits.for(tenant).deletion_mode !== 'filter-and-delete') return;
    const due = requests
      .unprocessed(tenant)
      .filter(({ request }) => clock.nowMs() - request.createdMs >= config.cancelPeriodMs);
    if (due.length === 0) return;
    try {
      for (const known of await this.#deleteRows(tenant, due)) {
        await requests.markProcessed(known);
        this.metrics.deletesProcessed.inc({ user: tenant });
      }
    } finally {
      for (const { rule } of due) this.#progress.delete(rule.id);
      this.#countRequests();
    }
  }

  /** Rewrites every segment once for all requests; returns those of which no row is left anywhere. */
  async #deleteRows(tenant: string, due: readonly KnownRequest[]): Promise<KnownRequest[]> {
    const { catalog } = this.#o;
    const touched = await Promise.all(due.map((known) => this.#segmentsWith(tenant, known)));
    const left = touched.map((one) => one?.size ?? 0);
    const isComplete = touched.map((one) => one !== null);
    for (const segment of catalog.segments(tenant)) {
      const about = due.map((_, i) => i).filter((i) => touched[i]?.has(segment.key));
      if (about.length === 0) continue;
      const deletes = about.map((i) => ({ ...due[i]!.rule, matchers: due[i]!.expr.matchers }));
      const outcome = this.#isBusy(segment.key)
        ? 'contended'
        : await this.#rewrite(tenant, [segment], 'delete', { deletes });
      for (const i of about) {
        if (outcome === 'contended' || outcome === 'unreadable') isComplete[i] = false;
        else this.#progress.set(due[i]!.rule.id, 1 - --left[i]! / touched[i]!.size);
      }
    }
    return due.filter((_, i) => isComplete[i]);
  }

  /** Keys of segments that may hold rows of the request; null while an ingester holds some too. */
  async #segmentsWith(tenant: string, { expr, rule }: KnownRequest): Promise<Set<string> | null> {
    const { catalog, ingesters } = this.#o;
    const { startNs, endNs } = rule;
    const asked = { tenant, matchers: expr.matchers, startNs, endNs };
    // In one tick, as queries do: a row is in exactly one of the two places.
    const [series, ...recent] = await Promise.all([
      catalog.select(asked),
      ...ingesters().map((ingester) => ingester.recent(asked)),
    ]);
    const isRecent = ({ blocks, heads }: RecentStream) =>
      blocks.length > 0 ||
      heads.some((head) => {
        const ref = headRef(head);
        return ref !== null && ref.minNs <= endNs && ref.maxNs >= startNs;
      });
    if (recent.some((streams) => streams.some(isRecent))) return null;
    return new Set(series.flatMap(({ blocks }) => blocks.map((block) => block.segmentKey)));
  }

  async #rewrite(
    tenant: string,
    sources: readonly SourceSegment[],
    reason: ReplacementReason,
    rows: Partial<Pick<MergeRequest, 'expiry' | 'deletes'>>,
  ): Promise<Outcome> {
    const { clock, merger, blockLimits = defaultBlockLimits } = this.#o;
    const request: MergeRequest = {
      tenant,
      sources: sources.map(({ key }) => key),
      id: idAfter(sources.at(-1)!.id, clock.nowMs()),
      expiry: rows.expiry ?? null,
      deletes: rows.deletes ?? [],
      limits: blockLimits,
    };
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(MERGE_MS)]);
    let result: MergeResult;
    try {
      result = await merger.merge(request, signal);
    } catch (error: unknown) {
      if (!isCorrupt(error)) throw error;
      const set = sources.length > 1 ? this.#unmergeable : this.#unreadable;
      for (const key of request.sources) set.add(key);
      this.#o.logger.error('segments cannot be read and stay as they are', { segments: request.sources, err: error });
      return 'unreadable';
    }
    if (!result.changed) return 'unchanged';
    if (!(await this.#replacer.replace(tenant, request.sources, result.output, reason, this.#stopping.signal))) {
      return this.#contended();
    }
    this.metrics.mergedSegments.inc(sources.length);
    this.metrics.writtenBytes.inc(result.output?.sizeBytes ?? 0);
    if (result.deletedRows > 0) this.metrics.deletedLines.inc({ user: tenant }, result.deletedRows);
    return 'done';
  }

  async #drop(tenant: string, keys: readonly string[]): Promise<void> {
    for (let from = 0; from < keys.length; from += DROPS_AT_ONCE) {
      const some = keys.slice(from, from + DROPS_AT_ONCE);
      const dropped = await this.#replacer.replace(tenant, some, null, 'retention', this.#stopping.signal);
      if (dropped) this.metrics.droppedSegments.inc(some.length);
      else await this.#contended();
    }
  }

  /** Another process is at it: what it did is in the store. */
  async #contended(): Promise<Outcome> {
    this.#contentions++;
    await this.#replacer.settle();
    await this.#o.catalog.refresh(this.#stopping.signal);
    return 'contended';
  }

  #isBusy(key: string): boolean {
    return this.#unreadable.has(key) || this.#replacer.isBusy(key);
  }

  async #loadRequests(): Promise<void> {
    try {
      await this.#o.requests.load();
      this.metrics.loadAttempts.inc({ status: 'success' });
    } catch (error: unknown) {
      this.metrics.loadAttempts.inc({ status: 'failure' });
      throw error;
    }
    this.#countRequests();
  }

  #countRequests(): void {
    const { clock, config, requests } = this.#o;
    const waiting = requests.tenants().flatMap((tenant) => requests.unprocessed(tenant));
    this.metrics.deletesPending.set(waiting.length);
    const oldestMs = Math.min(...waiting.map(({ request }) => request.createdMs));
    const ageMs = waiting.length === 0 ? 0 : clock.nowMs() - config.cancelPeriodMs - oldestMs;
    this.metrics.oldestPending.set(Math.max(0, ageMs) / 1000);
  }

  /** For queries under way, and for who copies the store meanwhile. */
  #graceMs({ tenant }: Replacement): number {
    const { config, limits } = this.#o;
    const queriesMs = (limits.for(tenant).query_timeout || UNLIMITED_QUERY_MS) + GRACE_MS;
    return Math.max(queriesMs, config.retentionDeleteDelayMs);
  }
}

/** In order of arrival the output stands where its last source stood. */
function idAfter(id: string, nowMs: number): string {
  return id.slice(0, 12) + newSegmentId(nowMs).slice(12);
}

function isCorrupt(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'corrupt_segment';
}
