/**
 * A cluster as the read path sees it: ingesters that each have some of the rows, cut blocks and store segments in steps
 * that queries may come between; a compactor that merges, and carries out delete requests; and the real querier over all
 * of it. Rows live in the model, blocks and segments are real.
 */
import { Registry } from 'prom-client';
import { type Labels, labelsKey } from '../../logql/labels.ts';
import { compileMatchers } from '../../logql/stages/index.ts';
import type { LogSelectorExpr } from '../../logql/syntax/ast.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { defaultLimits } from '../../services/config/limits.ts';
import { HeldDeletes } from '../../services/querier/held-deletes.ts';
import { IngesterSet } from '../../services/querier/ingester-set.ts';
import { Metadata } from '../../services/querier/metadata.ts';
import { Querier } from '../../services/querier/querier.ts';
import { Sizes } from '../../services/querier/sizes.ts';
import type { MemberStatus } from '../../services/ring/index.ts';
import type { PendingDelete } from '../../services/rpc/deletes.ts';
import type { IngesterClient, RecentRequest, RecentStream } from '../../services/rpc/ingester.ts';
import { ingesterOf } from '../../services/rpc/testing/ingester-of.ts';
import { defaultBlockLimits, encodeBlocks } from '../../storage/block/index.ts';
import { headOf } from '../../storage/block/testing/heads.ts';
import type { EncodedBlock } from '../../storage/block/types.ts';
import { mergeSegments } from '../../storage/compaction/index.ts';
import { systemClock } from '../../storage/host/clock.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { activeKey, doneKey, encodeReplacement, type Replacement, SegmentCatalog } from '../../storage/index/index.ts';
import type { ObjectStore } from '../../storage/objectstore/index.ts';
import { headRef } from '../../storage/scan/units.ts';
import type { WorkerPool } from '../../storage/scan/worker-pool.ts';
import { newSegmentId, writeSegment } from '../../storage/segment/index.ts';
import type { ReferenceRow } from '../reference/row.ts';

export type Fault = 'fails' | 'hangs' | 'unhealthy';

const REPLICATION_FACTOR = 3;
/** Few rows a block, so that there are many that overlap. */
const LIMITS = { ...defaultBlockLimits, maxRows: 4 };

interface MemoryStream {
  readonly labels: Labels;
  rows: ReferenceRow[];
  blocks: EncodedBlock[];
}

const toHead = (rows: readonly ReferenceRow[]) =>
  headOf(rows.map(({ timestampNs, line, metadata }) => ({ ns: timestampNs, line, metadata })));

/** What one ingester has in memory, and what it has stored and still names. */
class ModelIngester {
  readonly id: string;
  fault: Fault | null = null;
  named: string[] = [];
  readonly #streams = new Map<string, MemoryStream>();
  /** Stored, and not yet published. */
  #flush: { readonly key: string; readonly streams: ReadonlyMap<string, MemoryStream> } | null = null;

  constructor(id: string) {
    this.id = id;
  }

  push(row: ReferenceRow): void {
    const key = labelsKey(row.stream);
    const stream = this.#streams.get(key) ?? { labels: row.stream, rows: [], blocks: [] };
    stream.rows.push(row);
    this.#streams.set(key, stream);
  }

  cut(): void {
    for (const stream of this.#streams.values()) {
      if (stream.rows.length > 0) stream.blocks.push(...encodeBlocks(toHead(stream.rows), LIMITS));
      stream.rows = [];
    }
  }

  async store(tenant: string, objects: ObjectStore): Promise<void> {
    if (this.#flush !== null) return;
    this.cut();
    const streams = new Map(
      [...this.#streams].map(([key, stream]) => [key, { ...stream, blocks: [...stream.blocks] }]),
    );
    if (streams.size === 0) return;
    const { key, pieces } = writeSegment(tenant, [...streams.values()], systemClock);
    await objects.put(key, pieces);
    this.#flush = { key, streams };
  }

  publish(): void {
    if (this.#flush === null) return;
    for (const [key, { blocks }] of this.#flush.streams) {
      const stream = this.#streams.get(key)!;
      stream.blocks = stream.blocks.slice(blocks.length);
      if (stream.blocks.length === 0 && stream.rows.length === 0) this.#streams.delete(key);
    }
    this.named.push(this.#flush.key);
    this.#flush = null;
  }

  recent({ matchers, startNs, endNs }: RecentRequest): RecentStream[] {
    const matches = compileMatchers(matchers);
    return [...this.#streams.values()].flatMap(({ labels, rows, blocks }) => {
      if (!matches(labels)) return [];
      const inTime = blocks.filter(({ stats }) => stats.minNs <= endNs && stats.maxNs >= startNs);
      const heads = [toHead(rows)].filter((head) => {
        const ref = headRef(head);
        return ref !== null && ref.minNs <= endNs && ref.maxNs >= startNs;
      });
      return inTime.length + heads.length > 0 ? [{ labels, blocks: inTime, heads }] : [];
    });
  }
}

interface ModelDelete extends PendingDelete {
  readonly expr: LogSelectorExpr;
  isCarriedOut: boolean;
}

export class ModelCluster {
  readonly tenant: string;
  readonly ingesters: ModelIngester[];
  /** What happens after the ingesters have answered and before the catalog is asked; once. */
  between: (() => Promise<void>) | null = null;
  readonly querier: Querier;
  readonly metadata: Metadata;
  readonly sizes: Sizes;
  readonly #store: ObjectStore;
  readonly #catalog: SegmentCatalog;
  readonly #deletes: HeldDeletes;
  /** In the store, and as the querier has read them. */
  readonly #requests: ModelDelete[] = [];
  #loaded: readonly ModelDelete[] = [];
  /** What counts in the store, as the compactor knows it. */
  readonly #compactorCatalog: SegmentCatalog;
  readonly #notes: { readonly note: Replacement; isSeen: boolean }[] = [];
  #seed: number;

  constructor(tenant: string, store: ObjectStore, pool: WorkerPool, count: number, seed: number) {
    this.tenant = tenant;
    this.#store = store;
    this.#seed = seed;
    this.ingesters = Array.from({ length: count }, (_, i) => new ModelIngester(`ingester-${i}`));
    this.#catalog = new SegmentCatalog(store, silentLogger);
    this.#compactorCatalog = new SegmentCatalog(store, silentLogger);
    this.#deletes = new HeldDeletes({
      load: async () => {
        this.#loaded = this.#requests.filter(({ isCarriedOut }) => !isCarriedOut);
      },
      tenants: () => [tenant],
      pending: () => this.#loaded,
    });
    const clients = new Map(this.ingesters.map((one) => [one.id, this.#clientOf(one)]));
    const members = (): MemberStatus[] =>
      this.ingesters.map(({ id, fault }) => ({
        id,
        zone: '',
        address: '',
        state: 'ACTIVE',
        registeredAtMs: 0,
        heartbeatAtMs: 0,
        healthy: fault !== 'unhealthy',
      }));
    const recent = new IngesterSet({
      readSet: () => ({
        members: members(),
        maxFailures: 1,
        maxFailedZones: 0,
        tolerates: (failed) => [...failed].length <= 1,
      }),
      members,
      client: (id) => clients.get(id)!,
      isReplicated: true,
      clock: systemClock,
      catalog: {
        fresh: async () => {
          const { between } = this;
          this.between = null;
          await between?.();
        },
      },
      hedgeMs: 1,
      random: () => this.#random(),
    });
    const sources = { catalog: this.#catalog, recent, deletes: this.#deletes };
    const limits = {
      for: () => ({
        ...defaultLimits,
        max_query_length: 0,
        split_queries_by_interval: 0,
        split_instant_metric_queries_by_interval: 0,
      }),
    };
    this.querier = new Querier({
      sources,
      pool,
      limits,
      clock: systemClock,
      logger: silentLogger,
      registry: new Registry(),
      maxOutstandingPerTenant: 100,
    });
    this.metadata = new Metadata({ sources, limits, clock: systemClock });
    this.sizes = new Sizes({ querier: this.querier, clock: systemClock });
  }

  /** Acknowledged by all of the stream's ingesters but perhaps one. `missing`: its place; 3: none. */
  push(row: ReferenceRow, missing: number): void {
    const first = labelsKey(row.stream).length % this.ingesters.length;
    for (let i = 0; i < REPLICATION_FACTOR; i++) {
      if (i !== missing) this.ingesters[(first + i) % this.ingesters.length]!.push(row);
    }
  }

  cut(which: number): void {
    for (const one of this.#chosen(which)) one.cut();
  }
  async store(which: number): Promise<void> {
    for (const one of this.#chosen(which)) await one.store(this.tenant, this.#store);
  }
  publish(which: number): void {
    for (const one of this.#chosen(which)) one.publish();
  }

  /** The first half of a refresh, of which the other half failed. */
  loadDeletes(): Promise<void> {
    return this.#deletes.load();
  }

  /** As `CatalogKeeper` does. A listing makes it needless that ingesters name what they had published before. */
  async refresh(lists: boolean): Promise<void> {
    const named = lists ? this.ingesters.map((one) => one.named.length) : null;
    await this.#deletes.load();
    await (lists ? this.#catalog.refresh() : this.#catalog.refreshReplaced());
    this.#deletes.release();
    for (const one of this.#notes) one.isSeen = true;
    for (const [i, count] of (named ?? []).entries()) this.ingesters[i]!.named.splice(0, count);
  }

  /** Puts one segment, or several, in the place of some. */
  async compact(from: number, count: number): Promise<void> {
    await this.#compactorCatalog.refresh();
    const all = this.#compactorCatalog.segments(this.tenant).map(({ key }) => key);
    const start = all.length === 0 ? 0 : from % all.length;
    await this.#merge(all.slice(start, start + count), []);
  }

  async #merge(sources: readonly string[], deletes: readonly ModelDelete[]): Promise<void> {
    if (sources.length === 0) return;
    const { outputs, isChanged } = await mergeSegments(this.#store, {
      tenant: this.tenant,
      sources,
      idPrefix: newSegmentId(Date.now()).slice(0, 24),
      maxBytes: 2000,
      cutsNs: [],
      expiry: null,
      deletes: deletes.map(({ rule, expr }) => ({ ...rule, matchers: expr.matchers })),
      limits: LIMITS,
    });
    if (!isChanged) return;
    const note: Replacement = {
      kind: 'replacement',
      tenant: this.tenant,
      id: newSegmentId(Date.now()),
      sources: [...sources, ...this.#ancestorsOf(sources)],
      reason: deletes.length > 0 ? 'delete' : 'compaction',
      outputs: outputs.map(({ key }) => key),
      isEarly: false,
    };
    await this.#store.put(activeKey(note), [encodeReplacement(note)]);
    this.#notes.push({ note, isSeen: false });
  }

  /** Sources of sources: with those gone they would count again. */
  #ancestorsOf(sources: readonly string[]): string[] {
    const made = this.#notes.filter(({ note }) => note.outputs.some((output) => sources.includes(output)));
    return made.flatMap(({ note }) => note.sources);
  }

  /** Removes what others stand for, when no querier reads it any more and no ingester names it. */
  async removeReplaced(): Promise<void> {
    const named = new Set(this.ingesters.flatMap((one) => one.named));
    for (const [i, { note, isSeen }] of [...this.#notes.entries()].reverse()) {
      if (!isSeen || note.sources.some((key) => named.has(key))) continue;
      for (const key of note.sources) await this.#store.delete(key);
      await this.#store.put(doneKey(note), [encodeReplacement(note)]);
      await this.#store.delete(activeKey(note));
      this.#notes.splice(i, 1);
    }
  }

  /** Hides matching rows of the time from now on. */
  async requestDelete(query: string, startNs: bigint, endNs: bigint): Promise<(row: ReferenceRow) => boolean> {
    const expr = parseQuery(query) as LogSelectorExpr;
    const rule = { id: `${this.#requests.length}/${this.tenant}`, startNs, endNs, stages: expr.stages };
    const matches = compileMatchers(expr.matchers);
    this.#requests.push({ rule, matches, expr, isCarriedOut: false });
    await this.#deletes.load();
    return (row) => matches(row.stream) && row.timestampNs >= startNs && row.timestampNs <= endNs;
  }

  /** Rewrites all segments for requests of which no ingester has rows any more. */
  async carryOutDeletes(): Promise<void> {
    const due = this.#requests.filter(
      ({ isCarriedOut, rule, expr }) =>
        !isCarriedOut &&
        this.ingesters.every(
          (one) => one.recent({ tenant: this.tenant, matchers: expr.matchers, ...rule }).length === 0,
        ),
    );
    if (due.length === 0) return;
    await this.#compactorCatalog.refresh();
    for (const { key } of this.#compactorCatalog.segments(this.tenant)) await this.#merge([key], due);
    for (const request of due) request.isCarriedOut = true;
  }

  /** By place; beyond the last one, all of them. */
  #chosen(which: number): readonly ModelIngester[] {
    return which < this.ingesters.length ? [this.ingesters[which]!] : this.ingesters;
  }

  /** As a client of another process does: what the answer names is in the catalog before the answer is given. */
  #clientOf(model: ModelIngester): IngesterClient {
    return ingesterOf(async (request, signal) => {
      if (model.fault === 'fails') throw new Error('broken');
      if (model.fault === 'hangs') {
        return new Promise((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        });
      }
      const answer = model.recent(request);
      const named = [...model.named];
      await new Promise((resolve) => setImmediate(resolve)); // on its way
      for (const key of named) this.#catalog.add(key);
      return answer;
    }, model.id);
  }

  #random(): number {
    this.#seed = (Math.imul(this.#seed, 1664525) + 1013904223) >>> 0;
    return this.#seed / 2 ** 32;
  }
}
