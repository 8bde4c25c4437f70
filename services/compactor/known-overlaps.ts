import type { OverlapSearch, Overlaps } from '../../storage/compaction/index.ts';
import type { PlannedSegment, SettledWindow } from './plan.ts';

interface KnownWindow {
  /** Of all segments that reach into it. */
  readonly keys: string;
  readonly groups: readonly (readonly string[])[];
}

/** Remembers which segments of a time overlap until others reach into it: footers are read once a change. */
export class KnownOverlaps {
  /** By tenant, then by window. */
  readonly #known = new Map<string, Map<string, KnownWindow>>();

  /** `find` is called when the window's segments are others than last time. */
  async groupsOf<S extends PlannedSegment>(
    tenant: string,
    { startNs, endNs, segments }: SettledWindow<S>,
    find: (search: OverlapSearch) => Promise<Overlaps>,
  ): Promise<S[][]> {
    const windows = this.#known.get(tenant) ?? new Map<string, KnownWindow>();
    this.#known.set(tenant, windows);
    const window = windowName({ startNs, endNs });
    const keys = segments.map(({ key }) => key).join('\n');
    let known = windows.get(window);
    if (known?.keys !== keys) {
      const { groups } = await find({ segments: segments.map(({ key }) => key), startNs, endNs });
      known = { keys, groups: groups.map((group) => group.map((place) => segments[place]!.key)) };
      windows.set(window, known);
    }
    const byKey = new Map(segments.map((segment) => [segment.key, segment]));
    return known.groups.map((group) => group.map((key) => byKey.get(key)!));
  }

  /** Forgets the tenant's windows that are no more. */
  forgetAllBut(tenant: string, windows: readonly Pick<SettledWindow<PlannedSegment>, 'startNs' | 'endNs'>[]): void {
    const names = new Set(windows.map(windowName));
    const known = this.#known.get(tenant);
    for (const name of known?.keys() ?? []) if (!names.has(name)) known!.delete(name);
  }

  forgetTenantsBut(tenants: readonly string[]): void {
    const kept = new Set(tenants);
    for (const tenant of this.#known.keys()) if (!kept.has(tenant)) this.#known.delete(tenant);
  }
}

const windowName = ({ startNs, endNs }: { readonly startNs: bigint; readonly endNs: bigint }): string =>
  `${startNs},${endNs}`;
