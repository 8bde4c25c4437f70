import type { DeleteSource, PendingDelete } from '../rpc/deletes.ts';

/** Delete requests that are kept in the object store, as this process last read them. */
export interface StoredDeletes extends DeleteSource {
  /** Reads what the store holds now. */
  load(): Promise<void>;
  /** Tenants with requests that hide rows. */
  tenants(): string[];
}

/**
 * Delete requests in a process that does not carry them out. One that was carried out hides nothing any more; but the
 * catalog of this process may still show segments from before. So requests that are gone after `load` go on hiding rows
 * until `release`, which is to be called when the catalog has been looked at after the load.
 */
export class HeldDeletes implements DeleteSource {
  readonly #stored: StoredDeletes;
  /** By tenant, what hid rows at some time since the last release. */
  #held = new Map<string, readonly PendingDelete[]>();

  constructor(stored: StoredDeletes) {
    this.#stored = stored;
  }

  pending(tenant: string): readonly PendingDelete[] {
    return this.#held.get(tenant) ?? this.#stored.pending(tenant);
  }

  /** Requests that were taken in by others hide rows from now on. Throws ObjectStoreError. */
  async load(): Promise<void> {
    const before = new Map(this.#held);
    for (const tenant of this.#stored.tenants()) before.set(tenant, this.pending(tenant));
    await this.#stored.load();
    const held = new Map<string, readonly PendingDelete[]>();
    for (const [tenant, requests] of before) {
      const now = this.#stored.pending(tenant);
      const known = new Set(now.map(({ rule }) => rule.id));
      const gone = requests.filter(({ rule }) => !known.has(rule.id));
      if (gone.length > 0) held.set(tenant, [...now, ...gone]);
    }
    this.#held = held;
  }

  /** What is gone hides nothing any more. */
  release(): void {
    this.#held = new Map();
  }
}
