import { LRUCache } from 'lru-cache';
import type { ObjectStore } from '../objectstore/index.ts';
import { type SegmentFooter, SegmentReader } from '../segment/index.ts';

/** Footers by key, bounded in bytes. Requests for one footer that meet share its read. */
export class FooterCache {
  readonly #store: ObjectStore;
  readonly #footers: LRUCache<string, SegmentFooter>;
  readonly #loading = new Map<string, Promise<SegmentFooter>>();
  #reads = 0;

  constructor(store: ObjectStore, maxBytes: number) {
    this.#store = store;
    this.#footers = new LRUCache({ maxSize: maxBytes, sizeCalculation: (footer) => footer.memoryBytes });
  }

  /** Footers read from the store so far. */
  get reads(): number {
    return this.#reads;
  }

  get sizeBytes(): number {
    return this.#footers.calculatedSize;
  }

  peek(key: string): SegmentFooter | undefined {
    return this.#footers.get(key);
  }

  /** Throws what `SegmentReader.open` throws; a failed read is not remembered. */
  load(key: string): Promise<SegmentFooter> {
    let loading = this.#loading.get(key);
    if (!loading) {
      loading = this.#read(key).finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }

  forget(key: string): void {
    this.#footers.delete(key);
  }

  async #read(key: string): Promise<SegmentFooter> {
    this.#reads++;
    const { footer } = await SegmentReader.open(this.#store, key);
    this.#footers.set(key, footer);
    return footer;
  }
}
