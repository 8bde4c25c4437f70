import type { Clock } from '../storage/host/clock.ts';
import type { Logger } from '../storage/host/logger.ts';
import { createdMs, type SegmentCatalog, wasReplaced } from '../storage/index/index.ts';
import { type ObjectStore, ObjectStoreError } from '../storage/objectstore/index.ts';
import { newSegmentId, parseSegmentKey, segmentPrefix, writeSegment } from '../storage/segment/index.ts';
import type { SegmentSeries, SegmentSink } from './ingester/index.ts';
import { SEGMENT_NAMED_MS } from './rpc/recent-rows.ts';

interface Named {
  readonly key: string;
  readonly untilMs: number;
}

/**
 * Where the ingester of this process stores: one object a segment, known to the catalog of this process, if it has one,
 * at once, and named to others for a while. The ingester's key is the segment's id, so that a write that is repeated lands
 * on the same object.
 */
export class CatalogSink implements SegmentSink {
  readonly #store: ObjectStore;
  readonly #catalog: SegmentCatalog | null;
  readonly #clock: Clock;
  /** By tenant, in order of their end. */
  readonly #named = new Map<string, Named[]>();
  readonly #logger: Logger;
  #isAway = false;

  constructor(store: ObjectStore, catalog: SegmentCatalog | null, clock: Clock, logger: Logger) {
    this.#store = store;
    this.#catalog = catalog;
    this.#clock = clock;
    this.#logger = logger;
  }

  /**
   * Names what this ingester may have stored right before it started: all segments of late, whoever stored them.
   * `catalog` was listed since then; only where others ask.
   */
  nameLatest(catalog: SegmentCatalog): void {
    const nowMs = this.#clock.nowMs();
    for (const tenant of catalog.tenants()) {
      for (const { id, key } of catalog.segments(tenant)) {
        if (nowMs - createdMs(id) <= SEGMENT_NAMED_MS) this.#name(tenant, key);
      }
    }
  }

  newKey(): string {
    return newSegmentId(this.#clock.nowMs());
  }

  async write(tenant: string, key: string, series: readonly SegmentSeries[]): Promise<{ publish(): void }> {
    const segment = writeSegment(tenant, series, this.#clock, key);
    await this.#store.put(segment.key, segment.pieces);
    return {
      publish: () => {
        this.#catalog?.add(segment.key);
        this.#name(tenant, segment.key);
      },
    };
  }

  /** Keys of the tenant's segments that were published of late. */
  published(tenant: string): readonly string[] {
    return this.#prune(tenant).map(({ key }) => key);
  }

  /**
   * The catalog, if there is one, was listed before the ingester asks. A segment that the compactor has replaced was
   * there. Where the store cannot be asked, it was not: rows that are stored and in memory as well count once.
   */
  async exists(tenant: string, key: string): Promise<boolean> {
    if (this.#isAway) return false; // nobody waits for it again and again
    try {
      if (await this.#isListed(tenant, key)) return true;
      return await wasReplaced(this.#store, tenant, key, (error) => {
        throw error; // without the note it would be a guess
      });
    } catch (err: unknown) {
      if (!(err instanceof ObjectStoreError && err.retryable)) throw err;
      this.#logger.warn('the object store cannot be asked what a crash left open; rows may be stored twice', { err });
      this.#isAway = true;
      return false;
    }
  }

  async #isListed(tenant: string, id: string): Promise<boolean> {
    if (this.#catalog !== null) return this.#catalog.segments(tenant).some((segment) => segment.id === id);
    for await (const { key } of this.#store.list(segmentPrefix(tenant)))
      if (parseSegmentKey(key)?.id === id) return true;
    return false;
  }

  #name(tenant: string, key: string): void {
    const list = this.#prune(tenant);
    list.push({ key, untilMs: this.#clock.nowMs() + SEGMENT_NAMED_MS });
    this.#named.set(tenant, list);
  }

  #prune(tenant: string): Named[] {
    const list = this.#named.get(tenant);
    if (list === undefined) return [];
    const nowMs = this.#clock.nowMs();
    const gone = list.findIndex(({ untilMs }) => untilMs > nowMs);
    if (gone === -1) this.#named.delete(tenant);
    else if (gone > 0) list.splice(0, gone);
    return gone === -1 ? [] : list;
  }
}
