import type { DeleteSource, PendingDelete } from '../rpc/deletes.ts';

/** Delete requests that are kept in the object store, as this process last read them. */
export interface StoredDeletes extends DeleteSource {
  /** Reads what the store holds now. */
  load(): Promise<void>;
  /** Tenants with requests that hide rows. */
  tenants(): string[];
}

const NONE: readonly PendingDelete[] = [];

/**
 * Delete requests in a process whose catalog others keep. A request that was carried out hides nothing any more; but the
 * catalog may still show segments from before. So a request that is gone, whoever noticed that, goes on hiding rows
 * until the catalog was looked at after that: `load`, then the look, then `release`.
 */
export class HeldDeletes implements DeleteSource {
  readonly #stored: StoredDeletes;
  /** By tenant, what hid rows at the last load or release. */
  #held = new Map<string, readonly PendingDelete[]>();
  /** Ids of those of them that were gone at the last load. */
  #gone: ReadonlySet<string> = new Set();
  /** By tenant, what was last answered and for which requests of the store. */
  readonly #answers = new Map<
    string,
    { readonly of: readonly PendingDelete[]; readonly all: readonly PendingDelete[] }
  >();

  constructor(stored: StoredDeletes) {
    this.#stored = stored;
  }

  pending(tenant: string): readonly PendingDelete[] {
    const now = this.#stored.pending(tenant);
    const held = this.#held.get(tenant) ?? NONE;
    if (held.length === 0 || held === now) return now;
    const known = this.#answers.get(tenant);
    if (known?.of === now) return known.all;
    const ids = new Set(now.map(({ rule }) => rule.id));
    const all = [...now, ...held.filter(({ rule }) => !ids.has(rule.id))];
    this.#answers.set(tenant, { of: now, all });
    return all;
  }

  /** Requests that were taken in by others hide rows from now on. Throws ObjectStoreError. */
  async load(): Promise<void> {
    this.#hold(new Set());
    await this.#stored.load();
    const gone = new Set<string>();
    for (const [tenant, held] of this.#held) {
      const ids = new Set(this.#stored.pending(tenant).map(({ rule }) => rule.id));
      for (const { rule } of held) if (!ids.has(rule.id)) gone.add(rule.id);
    }
    this.#gone = gone;
  }

  /** What was gone at the last load hides nothing any more. */
  release(): void {
    this.#hold(this.#gone);
  }

  #hold(released: ReadonlySet<string>): void {
    const held = new Map<string, readonly PendingDelete[]>();
    for (const tenant of new Set([...this.#held.keys(), ...this.#stored.tenants()])) {
      const now = this.#stored.pending(tenant);
      const all = this.pending(tenant).filter(({ rule }) => !released.has(rule.id));
      if (all.length > 0) held.set(tenant, all.length === now.length ? now : all);
    }
    this.#held = held;
    this.#answers.clear();
  }
}
