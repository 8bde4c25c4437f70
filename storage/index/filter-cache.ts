import { LRUCache } from 'lru-cache';
import { FilterSet } from '../filter/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { readFilters, type SegmentFooter } from '../segment/index.ts';

/** Filters of segments by key, bounded in bytes. Requests for the same ones that meet share their read. */
export class FilterCache {
  readonly #store: ObjectStore;
  readonly #filters: LRUCache<string, FilterSet>;
  readonly #loading = new Map<string, Promise<FilterSet>>();

  constructor(store: ObjectStore, maxBytes: number) {
    this.#store = store;
    this.#filters = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (filters) => filters.sizeBytes + OVERHEAD_BYTES,
    });
  }

  get sizeBytes(): number {
    return this.#filters.calculatedSize;
  }

  peek(key: string): FilterSet | undefined {
    return this.#filters.get(key);
  }

  /** Throws what `readFilters` throws; a failed read is not remembered. */
  load(footer: SegmentFooter): Promise<FilterSet> {
    const { key } = footer;
    let loading = this.#loading.get(key);
    if (!loading) {
      loading = this.#read(footer).finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }

  forget(key: string): void {
    this.#filters.delete(key);
  }

  async #read(footer: SegmentFooter): Promise<FilterSet> {
    const filters = new FilterSet(await readFilters(this.#store, footer), footer.filterStarts);
    this.#filters.set(footer.key, filters);
    return filters;
  }
}

const OVERHEAD_BYTES = 512;
