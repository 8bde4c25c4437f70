import type { Clock } from '../storage/host/clock.ts';
import { type SegmentCatalog, wasReplaced } from '../storage/index/index.ts';
import type { ObjectStore } from '../storage/objectstore/index.ts';
import { newSegmentId, writeSegment } from '../storage/segment/index.ts';
import type { SegmentSeries, SegmentSink } from './ingester/index.ts';

/**
 * Where the ingester of this process stores: one object a segment, known to the catalog of this process at once. The
 * ingester's key is the segment's id, so that a write that is repeated lands on the same object.
 */
export class CatalogSink implements SegmentSink {
  readonly #store: ObjectStore;
  readonly #catalog: SegmentCatalog;
  readonly #clock: Clock;

  constructor(store: ObjectStore, catalog: SegmentCatalog, clock: Clock) {
    this.#store = store;
    this.#catalog = catalog;
    this.#clock = clock;
  }

  newKey(): string {
    return newSegmentId(this.#clock.nowMs());
  }

  async write(tenant: string, key: string, series: readonly SegmentSeries[]): Promise<{ publish(): void }> {
    const segment = writeSegment(tenant, series, this.#clock, key);
    await this.#store.put(segment.key, segment.pieces);
    return { publish: () => this.#catalog.add(segment.key) };
  }

  /** The catalog was listed before the ingester asks. A segment that the compactor has replaced was there. */
  async exists(tenant: string, key: string): Promise<boolean> {
    if (this.#catalog.segments(tenant).some((segment) => segment.id === key)) return true;
    return wasReplaced(this.#store, tenant, key, (error) => {
      throw error; // without the note it would be a guess
    });
  }
}
