import type { Registry } from 'prom-client';
import { type BlockLimits, defaultBlockLimits } from '../../storage/block/index.ts';
import type { MergeRequest, MergeResult, OverlapSearch, Overlaps } from '../../storage/compaction/index.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import {
  familyOf,
  type Replacement,
  type ReplacementClaim,
  type ReplacementReason,
  type SegmentCatalog,
} from '../../storage/index/index.ts';
import type { ObjectStore } from '../../storage/objectstore/index.ts';
import type { LimitsProvider } from '../config/limits.ts';
import type { IngesterClient } from '../rpc/ingester.ts';
import { SEGMENT_NAMED_MS } from '../rpc/recent-rows.ts';
import type { CompactorConfig } from './config.ts';
import type { DeleteRequest } from './delete-request.ts';
import type { DeleteRequests, KnownRequest } from './delete-requests.ts';
import { KnownOverlaps } from './known-overlaps.ts';
import { type CompactorMetrics, compactorMetrics } from './metrics.ts';
import { isWorthwhile, planMerges, type SettledWindow, settledWindows } from './plan.ts';
import { Replacer } from './replacer.ts';
import { expiryOf, RetentionPlan } from './retention.ts';

/** Makes segments and stores them, in a thread of its own. */
export interface SegmentMerger {
  merge(request: MergeRequest, signal: AbortSignal): Promise<MergeResult>;
  findOverlaps(search: OverlapSearch, signal: AbortSignal): Promise<Overlaps>;
  /** No more is wanted for a while; once this resolves nothing more is stored for a merge that was given up. */
  release(): Promise<void>;
}

export interface CompactorOptions {
  readonly config: CompactorConfig;
  readonly store: ObjectStore;
  readonly catalog: SegmentCatalog;
  readonly merger: SegmentMerger;
  /** All that may hold rows which are not in the object store. Throws while they are not known. */
  readonly ingesters: () => readonly IngesterClient[];
  /** Asked before each run and each rewrite: false leaves the work to another process. Absent: this one does it. */
  readonly isLeader?: () => boolean;
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
/** A merge that hangs must not hold up the others for ever: how long one may take, and for so many bytes a millisecond. */
const MERGE_MS = 30 * 60_000;
const MERGE_BYTES_PER_MS = 2000;

/** Of a run, for bringing copies together: deletes and retention must get their turn, however much there is to do. */
const SETTLING_MS = 10 * 60_000;

/** Segments that one note tells of. */
const DROPS_AT_ONCE = 1000;

/** `refused`: another process leads. */
type Outcome = 'done' | 'unchanged' | 'contended' | 'refused' | 'unreadable';
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
  readonly #overlaps = new KnownOverlaps();
  readonly #stopping = new AbortController();
  /** Segments that are corrupt: reading them again would say the same. */
  readonly #unreadable = new Set<string>();
  /** Segments that cannot be merged with others because they are corrupt; deletes and retention may still be possible. */
  readonly #unmergeable = new Set<string>();
  /** Share of each request, by tenant and id, of which the current run is through. */
  readonly #progress = new Map<string, number>();
  #loop: Promise<void> | undefined;
  #retainedMs = Number.NEGATIVE_INFINITY;
  #contentions = 0;
  /** Until when this run brings copies together, and whose turn was the last. */
  #settlingUntilMs = 0;
  #settledTenant = '';

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
    if (!this.#leads()) return this.#follow();
    this.#contentions = 0;
    try {
      const settled = await this.#timed(metrics.compactions, metrics.compactionSeconds, metrics.lastCompaction, [
        () => this.#o.catalog.refresh(this.#stopping.signal), // other processes store segments too
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
      this.#settlingUntilMs = clock.nowMs() + SETTLING_MS;
      await this.#timed(
        metrics.compactions,
        metrics.compactionSeconds,
        metrics.lastCompaction,
        this.#tenantsInTurn().map((tenant) => () => this.#compact(tenant)),
      );
    } finally {
      if (this.#contentions > 0) metrics.contended.inc();
      else metrics.contended.set(0);
      metrics.unreadable.set(this.#unreadable.union(this.#unmergeable).size);
      await merger.release();
    }
  }

  /** Another process leads; what it did with delete requests is asked of this one too. */
  async #follow(): Promise<void> {
    if (!this.#o.config.retentionEnabled) return;
    try {
      await this.#loadRequests();
    } catch (err: unknown) {
      if (!this.#stopping.signal.aborted) this.#o.logger.error('delete requests cannot be read', { err });
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
    await this.#settle(tenant);
    const { catalog } = this.#o;
    for (const run of planMerges(catalog.segments(tenant), this.#planOptions())) {
      await this.#rewrite(tenant, run, 'compaction', {});
    }
  }

  /** Begins after the one whose turn was the last when the time was over. */
  #tenantsInTurn(): string[] {
    const tenants = this.#o.catalog.tenants();
    this.#overlaps.forgetTenantsBut(tenants);
    const first = tenants.findIndex((tenant) => tenant > this.#settledTenant);
    return first < 0 ? tenants : [...tenants.slice(first), ...tenants.slice(0, first)];
  }

  /** Brings together what several ingesters stored of times that are over: one copy of each row remains. */
  async #settle(tenant: string): Promise<void> {
    const { catalog, clock } = this.#o;
    const isLate = () => clock.nowMs() > this.#settlingUntilMs;
    if (isLate()) return;
    this.#settledTenant = tenant;
    const windows = settledWindows(catalog.segments(tenant), this.#planOptions());
    this.#overlaps.forgetAllBut(tenant, windows);
    for (const planned of windows) {
      // What was merged for the window before may reach into this one, and has taken the place of other segments.
      const { startNs, endNs } = planned;
      const isHere = ({ key, minNs, maxNs }: SourceSegment) =>
        minNs < endNs && maxNs >= startNs && !this.#isBusy(key) && !this.#unmergeable.has(key);
      const window = { ...planned, segments: catalog.segments(tenant).filter(isHere) };
      if (isLate()) return;
      if (new Set(window.segments.map(({ id }) => familyOf(id))).size < 2) continue;
      for (const group of await this.#overlapsIn(tenant, window)) {
        if (isLate()) return;
        if (!isWorthwhile(group, endNs, clock.nowMs())) continue;
        await this.#rewrite(tenant, group, 'compaction', { cutsNs: window.cutsNs });
      }
    }
  }

  async #overlapsIn(tenant: string, window: SettledWindow<SourceSegment>): Promise<SourceSegment[][]> {
    const { merger } = this.#o;
    if (!this.#leads()) return [];
    try {
      return await this.#overlaps.groupsOf(tenant, window, async (search) => {
        const found = await merger.findOverlaps(search, this.#signalFor(window.segments));
        for (const place of found.corrupt)
          this.#setAside(this.#unreadable, search.segments[place]!, 'a damaged footer');
        return found;
      });
    } catch (error: unknown) {
      if (!hasCode(error, 'not_found')) throw error;
      await this.#contended();
      return [];
    }
  }

  #planOptions() {
    const { clock, config } = this.#o;
    return {
      nowMs: clock.nowMs(),
      maxBytes: config.maxSegmentBytes,
      settleMs: config.settleMs,
      isBusy: (key: string) => this.#isBusy(key) || this.#unmergeable.has(key),
    };
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
    const ingesters = this.#ingesters();
    const recent = await Promise.all(
      due.map((known) => ingesters === null || this.#hasRecent(ingesters, tenant, known)),
    );
    // What ingesters have stored meanwhile, and what others wrote.
    await catalog.refresh(this.#stopping.signal);
    const touched = await Promise.all(due.map((known, i) => (recent[i] ? null : this.#segmentsWith(tenant, known))));
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
        if (outcome !== 'done' && outcome !== 'unchanged') isComplete[i] = false;
        else this.#progress.set(due[i]!.rule.id, 1 - --left[i]! / touched[i]!.size);
      }
    }
    return due.filter((_, i) => isComplete[i]);
  }

  /** Null while they are not known. */
  #ingesters(): readonly IngesterClient[] | null {
    try {
      return this.#o.ingesters();
    } catch (err: unknown) {
      this.#o.logger.warn('the ingesters are not known; delete requests wait for the next run', { err });
      return null;
    }
  }

  /** Whether an ingester holds rows of the request, or does not tell. */
  async #hasRecent(
    ingesters: readonly IngesterClient[],
    tenant: string,
    { expr, rule: { startNs, endNs } }: KnownRequest,
  ): Promise<boolean> {
    const asked = { tenant, matchers: expr.matchers, startNs, endNs };
    const answers = await Promise.all(
      ingesters.map(async (ingester) => {
        try {
          return (await ingester.stats(asked, this.#stopping.signal)).rows > 0;
        } catch (err: unknown) {
          if (this.#stopping.signal.aborted) throw err;
          const fields = { ingester: ingester.id, tenant, err };
          this.#o.logger.warn('an ingester does not tell what it holds; delete requests wait for the next run', fields);
          return true;
        }
      }),
    );
    return answers.includes(true);
  }

  /** Keys of segments that may hold rows of the request. */
  async #segmentsWith(tenant: string, { expr, rule: { startNs, endNs } }: KnownRequest): Promise<Set<string>> {
    const series = await this.#o.catalog.select({ tenant, matchers: expr.matchers, startNs, endNs });
    return new Set(series.flatMap(({ blocks }) => blocks.map((block) => block.segmentKey)));
  }

  async #rewrite(
    tenant: string,
    sources: readonly SourceSegment[],
    reason: ReplacementReason,
    rows: Partial<Pick<MergeRequest, 'expiry' | 'deletes' | 'cutsNs'>>,
  ): Promise<Outcome> {
    if (!this.#leads()) return 'refused';
    const { config, blockLimits = defaultBlockLimits } = this.#o;
    const { signal } = this.#stopping;
    const keys = sources.map(({ key }) => key);
    const claim = await this.#replacer.claim({ tenant, sources: keys, reason, workMs: workMsOf(sources) }, signal);
    if (claim === null) return this.#contended();
    const result = await this.#merge(claim, sources, {
      tenant,
      sources: keys,
      idPrefix: claim.idPrefix,
      maxBytes: config.maxSegmentBytes,
      cutsNs: rows.cutsNs ?? [],
      expiry: rows.expiry ?? null,
      deletes: rows.deletes ?? [],
      limits: blockLimits,
    });
    if (result === null) return this.#contended();
    const outputs = result.outputs.map(({ key }) => key);
    if (result.corrupt !== null || !result.isChanged) {
      await this.#replacer.withdraw(claim, outputs);
      if (result.corrupt === null) return 'unchanged';
      const { segmentKey, message } = result.corrupt;
      this.#setAside(sources.length > 1 ? this.#unmergeable : this.#unreadable, segmentKey, message);
      return 'unreadable';
    }
    await this.#replacer.commit(claim, outputs, signal);
    this.metrics.mergedSegments.inc(sources.length);
    for (const { sizeBytes } of result.outputs) this.metrics.writtenBytes.inc(sizeBytes);
    if (result.deletedRows > 0) this.metrics.deletedLines.inc({ user: tenant }, result.deletedRows);
    return 'done';
  }

  /** Null: a source is gone, so another process has replaced it. */
  async #merge(
    claim: ReplacementClaim,
    sources: readonly SourceSegment[],
    request: MergeRequest,
  ): Promise<MergeResult | null> {
    const { merger, logger } = this.#o;
    try {
      return await merger.merge(request, this.#signalFor(sources));
    } catch (error: unknown) {
      try {
        await merger.release(); // nothing is stored for the claim any more
        await this.#replacer.withdraw(claim);
      } catch (err: unknown) {
        logger.warn('a claim cannot be taken back and is left to the next run', { segments: request.sources, err });
      }
      if (hasCode(error, 'not_found')) return null;
      throw error;
    }
  }

  #signalFor(segments: readonly SourceSegment[]): AbortSignal {
    return AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(workMsOf(segments))]);
  }

  #setAside(set: Set<string>, key: string, message: string): void {
    set.add(key);
    this.#o.logger.error('a segment cannot be read and stays as it is', { segment: key, err: message });
  }

  async #drop(tenant: string, keys: readonly string[]): Promise<void> {
    const { signal } = this.#stopping;
    for (let from = 0; from < keys.length; from += DROPS_AT_ONCE) {
      if (!this.#leads()) return;
      const sources = keys.slice(from, from + DROPS_AT_ONCE);
      const claim = await this.#replacer.claim({ tenant, sources, reason: 'retention', workMs: 0 }, signal);
      if (claim === null) await this.#contended();
      else {
        await this.#replacer.commit(claim, [], signal);
        this.metrics.droppedSegments.inc(sources.length);
      }
    }
  }

  #leads(): boolean {
    return this.#o.isLeader?.() ?? true;
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

  /** For queries under way, for who is told of segments by the ingester that stored them, and for who copies the store. */
  #graceMs({ tenant }: Replacement): number {
    const { config, limits } = this.#o;
    const queriesMs = (limits.for(tenant).query_timeout || UNLIMITED_QUERY_MS) + GRACE_MS;
    return Math.max(queriesMs, SEGMENT_NAMED_MS + GRACE_MS, config.retentionDeleteDelayMs);
  }
}

function workMsOf(segments: readonly SourceSegment[]): number {
  const bytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return MERGE_MS + Math.ceil(bytes / MERGE_BYTES_PER_MS);
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
