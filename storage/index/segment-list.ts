import type { SegmentKeyParts } from '../segment/index.ts';

/** A segment as its key describes it. */
export interface ListedSegment extends SegmentKeyParts {
  readonly key: string;
}

const NONE: readonly ListedSegment[] = [];

/**
 * Segments by tenant, in order of arrival: ascending by id. A tenant's list is replaced, never changed, so that who has
 * taken it keeps it as it was.
 */
export class SegmentList {
  readonly #byTenant = new Map<string, readonly ListedSegment[]>();
  readonly #byKey = new Map<string, ListedSegment>();

  get size(): number {
    return this.#byKey.size;
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  get(key: string): ListedSegment | undefined {
    return this.#byKey.get(key);
  }

  keys(): Iterable<string> {
    return this.#byKey.keys();
  }

  /** Tenants that have segments, ascending. */
  tenants(): string[] {
    return [...this.#byTenant.keys()].sort();
  }

  of(tenant: string): readonly ListedSegment[] {
    return this.#byTenant.get(tenant) ?? NONE;
  }

  /** Those that are there already are left alone. */
  add(segments: Iterable<ListedSegment>): void {
    const added = new Map<string, ListedSegment[]>();
    for (const segment of segments) {
      if (this.#byKey.has(segment.key)) continue;
      this.#byKey.set(segment.key, segment);
      const list = added.get(segment.tenant);
      if (list) list.push(segment);
      else added.set(segment.tenant, [segment]);
    }
    for (const [tenant, list] of added) this.#byTenant.set(tenant, [...this.of(tenant), ...list].sort(byId));
  }

  /** Those that are not there are left out. Costs a look at all segments of the tenants concerned. */
  remove(keys: Iterable<string>): void {
    const tenants = new Set<string>();
    for (const key of keys) {
      const segment = this.#byKey.get(key);
      if (segment === undefined) continue;
      this.#byKey.delete(key);
      tenants.add(segment.tenant);
    }
    for (const tenant of tenants) {
      const rest = this.of(tenant).filter(({ key }) => this.#byKey.has(key));
      if (rest.length > 0) this.#byTenant.set(tenant, rest);
      else this.#byTenant.delete(tenant);
    }
  }
}

function byId(a: ListedSegment, b: ListedSegment): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
