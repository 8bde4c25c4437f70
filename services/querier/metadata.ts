import { compareLabels, type Labels, labelsKey } from '../../logql/labels.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import type { Clock } from '../../storage/host/clock.ts';
import { TENANT_LABEL, withTenant } from '../../storage/scan/tenant-label.ts';
import type { LimitsProvider } from '../config/limits.ts';
import type { Tenants } from '../http/types.ts';
import type { LabelValues } from './detected-labels.ts';
import type { Bounds } from './params.ts';
import { limitBounds, strictest } from './query-limits.ts';
import { resolveTenants, type Sources } from './select.ts';

/** All that lies in the memory of an ingester, whatever its time. */
const ANY_TIME = { startNs: -(2n ** 63n), endNs: 2n ** 63n - 1n } as const;

const DAY_NS = 86_400_000_000_000n;

/** A range that ends before it starts. Loki's frontend splits it into no parts, and has nothing to merge. */
export class NoResponseError extends Error {
  readonly code = 'no_response';
  constructor() {
    super('merging responses requires at least one response');
  }
}

/**
 * Answers about labels and series: from the ingesters and the index, asked in this order (`RecentRows`), without reading a
 * row.
 */
export class Metadata {
  readonly #sources: Sources;
  readonly #limits: LimitsProvider;
  readonly #clock: Clock;

  constructor(options: { sources: Sources; limits: LimitsProvider; clock: Clock }) {
    this.#sources = options.sources;
    this.#limits = options.limits;
    this.#clock = options.clock;
  }

  /** Names of stream labels, ascending. */
  async labelNames(tenants: Tenants, asked: Bounds, asks: readonly Matcher[], signal?: AbortSignal): Promise<string[]> {
    const bounds = this.#bounds(tenants, asked);
    if (!bounds) return [];
    const { ids, matchers } = resolveTenants(tenants, asks);
    const names = new Set<string>();
    for (const tenant of ids) {
      const before = names.size;
      const { recent, catalog } = this.#sources;
      for (const name of await recent.labelNames({ tenant, matchers, ...ANY_TIME }, signal)) names.add(name);
      for (const name of await catalog.labelNames({ tenant, matchers, ...wholeDays(bounds) })) names.add(name);
      if (tenants.federated && names.size > before) names.add(TENANT_LABEL);
    }
    return [...names].sort();
  }

  /** Values of one stream label, ascending. */
  async labelValues(
    tenants: Tenants,
    name: string,
    asked: Bounds,
    asks: readonly Matcher[],
    signal?: AbortSignal,
  ): Promise<string[]> {
    const bounds = this.#bounds(tenants, asked);
    if (!bounds) return [];
    const { ids, matchers } = resolveTenants(tenants, asks);
    if (tenants.federated && name === TENANT_LABEL) return [...ids].sort();
    const values = new Set<string>();
    for (const tenant of ids) {
      const { recent, catalog } = this.#sources;
      for (const value of await recent.labelValues(name, { tenant, matchers, ...ANY_TIME }, signal)) values.add(value);
      for (const value of await catalog.labelValues({ tenant, matchers, ...wholeDays(bounds) }, name))
        values.add(value);
    }
    return [...values].sort();
  }

  /** Values of every stream label, one map a tenant. */
  async labelsWithValues(
    tenants: Tenants,
    asked: Bounds,
    asks: readonly Matcher[],
    signal?: AbortSignal,
  ): Promise<LabelValues[]> {
    const bounds = this.#bounds(tenants, asked);
    if (!bounds) return [];
    const { ids, matchers } = resolveTenants(tenants, asks);
    const all: LabelValues[] = [];
    for (const tenant of ids) {
      const request = { tenant, matchers, ...bounds };
      const labels = new Map<string, Set<string>>();
      const { recent, catalog } = this.#sources;
      const inMemory = await recent.series({ tenant, matchers, ...ANY_TIME }, signal);
      for (const name of await catalog.labelNames(request)) {
        labels.set(name, new Set(await catalog.labelValues(request, name)));
      }
      for (const [name, value] of inMemory.flat()) {
        const values = labels.get(name);
        if (values === undefined) labels.set(name, new Set([value]));
        else values.add(value);
      }
      all.push(labels);
    }
    return all;
  }

  /** Label sets of the streams that any of the matcher lists selects, each once, in order. */
  async series(
    tenants: Tenants,
    asked: Bounds,
    groups: readonly (readonly Matcher[])[],
    signal?: AbortSignal,
  ): Promise<Labels[]> {
    const bounds = this.#bounds(tenants, asked);
    if (!bounds) return [];
    const found = new Map<string, Labels>();
    for (const group of groups) {
      const { ids, matchers } = resolveTenants(tenants, group);
      for (const tenant of ids) {
        const request = { tenant, matchers, ...bounds };
        const recent = await this.#sources.recent.series(request, signal);
        const stored = await this.#sources.catalog.series(request);
        for (const own of [...stored, ...recent]) {
          const labels = tenants.federated ? withTenant(own, tenant) : own;
          found.set(labelsKey(labels), labels);
        }
      }
    }
    return [...found.values()].sort(compareLabels);
  }

  #bounds(tenants: Tenants, asked: Bounds): Bounds | null {
    if (asked.endNs < asked.startNs) throw new NoResponseError();
    const limits = strictest(tenants.ids.map((id) => this.#limits.for(id)));
    return limitBounds(limits, asked, this.#clock.nowNs());
  }
}

/** Loki's index knows the labels of a day (UTC), and names all of them whatever part of the day is asked for. */
function wholeDays({ startNs, endNs }: Bounds): Bounds {
  const from = startNs - (((startNs % DAY_NS) + DAY_NS) % DAY_NS);
  return { startNs: from, endNs: endNs - (((endNs % DAY_NS) + DAY_NS) % DAY_NS) + DAY_NS - 1n };
}
