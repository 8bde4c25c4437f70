import type { ObjectStore } from '../objectstore/index.ts';
import { CorruptSegmentError, type SegmentFooter, SegmentReader } from '../segment/index.ts';
import { streamsOf } from './streams.ts';

export interface OverlapSearch {
  /** Keys of segments. Their footers are held in memory. */
  readonly segments: readonly string[];
  /** Overlaps outside of this time are not looked at. */
  readonly startNs: bigint;
  /** Exclusive. */
  readonly endNs: bigint;
}

export interface Overlaps {
  /** Groups of places in the search's `segments`, ascending. */
  readonly groups: readonly (readonly number[])[];
  /** Places of segments that cannot be read; they are in no group. */
  readonly corrupt: readonly number[];
}

const FOOTERS_AT_ONCE = 16;

/**
 * Groups of segments that hold blocks of one stream which overlap in time: where rows may lie twice. Each of a group is
 * linked with some other, none with one of another group; segments alone are left out. Throws what the store throws.
 */
export async function findOverlaps(
  store: ObjectStore,
  { segments, startNs, endNs }: OverlapSearch,
  signal?: AbortSignal,
): Promise<Overlaps> {
  const footers: SegmentFooter[] = [];
  const places: number[] = [];
  const corrupt: number[] = [];
  for (let from = 0; from < segments.length; from += FOOTERS_AT_ONCE) {
    const some = segments.slice(from, from + FOOTERS_AT_ONCE);
    const read = await Promise.all(some.map((key) => readFooter(store, key, signal)));
    read.forEach((footer, i) => {
      if (footer === null) corrupt.push(from + i);
      else {
        footers.push(footer);
        places.push(from + i);
      }
    });
  }
  const groups = new Groups(footers.length);
  for (const { parts } of streamsOf(footers)) {
    if (parts.length < 2) continue;
    const blocks = parts.flatMap(({ source, series }) =>
      footers[source]!.blocksOf(series, startNs, endNs - 1n).map(({ stats: { minNs, maxNs } }) => ({
        source,
        minNs: minNs < startNs ? startNs : minNs,
        maxNs: maxNs >= endNs ? endNs - 1n : maxNs,
      })),
    );
    blocks.sort((a, b) => (a.minNs < b.minNs ? -1 : a.minNs > b.minNs ? 1 : 0));
    let last = blocks[0];
    for (const block of blocks.slice(1)) {
      if (block.minNs <= last!.maxNs) groups.join(block.source, last!.source);
      if (block.maxNs > last!.maxNs) last = block;
    }
  }
  return { groups: groups.list().map((group) => group.map((i) => places[i]!)), corrupt };
}

async function readFooter(store: ObjectStore, key: string, signal?: AbortSignal): Promise<SegmentFooter | null> {
  try {
    return (await SegmentReader.open(store, key, signal)).footer;
  } catch (error: unknown) {
    if (error instanceof CorruptSegmentError) return null;
    throw error;
  }
}

/** Disjoint sets of numbers. */
class Groups {
  readonly #parents: number[];

  constructor(count: number) {
    this.#parents = Array.from({ length: count }, (_, i) => i);
  }

  join(a: number, b: number): void {
    const x = this.#rootOf(a);
    const y = this.#rootOf(b);
    this.#parents[Math.max(x, y)] = Math.min(x, y);
  }

  /** Those of two and more, ascending. */
  list(): number[][] {
    const groups = Map.groupBy(this.#parents.keys(), (i) => this.#rootOf(i));
    return [...groups.values()].filter((group) => group.length > 1);
  }

  #rootOf(number: number): number {
    let root = number;
    while (this.#parents[root] !== root) root = this.#parents[root]!;
    for (let at = number; at !== root; ) {
      const next = this.#parents[at]!;
      this.#parents[at] = root;
      at = next;
    }
    return root;
  }
}
