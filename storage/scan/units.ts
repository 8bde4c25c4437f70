import { streamRank } from '../../logql/label-hash.ts';
import type { Labels } from '../../logql/labels.ts';
import type { EncodedBlock, HeadColumns } from '../block/types.ts';
import type { DeleteRule } from '../compaction/index.ts';
import type { BlockPlace } from '../segment/index.ts';

/** Where a worker finds the rows of one block. */
export type BlockRef = StoredBlockRef | MemoryBlockRef | HeadRef;

interface BlockBounds {
  readonly minNs: bigint;
  /** Inclusive. */
  readonly maxNs: bigint;
  readonly rowCount: number;
  readonly lineBytes: number;
  /** Structured metadata, as `BlockStats` counts it; for a head, an estimate that leaves repeated sets out. */
  readonly metadataBytes: number;
}
export interface StoredBlockRef extends BlockBounds {
  readonly kind: 'stored';
  readonly segment: string;
  readonly offset: number;
  readonly length: number;
  /** How much of the block holds everything but its lines. */
  readonly linesOffset: number;
}
export interface MemoryBlockRef extends BlockBounds {
  readonly kind: 'memory';
  readonly bytes: Uint8Array;
}
export interface HeadRef extends BlockBounds {
  readonly kind: 'head';
  readonly head: HeadColumns;
}

/**
 * What one worker must look at together: one block of a stream, or several whose times overlap. In such a group rows
 * interleave, and a row may stand in more than one block (a retried push, a replica); it counts once.
 * `blocks` are in order of arrival: of two rows with one timestamp the one in the earlier block came first.
 */
export interface ScanUnit {
  readonly labels: Labels;
  /** Among entries of one time, those of the stream with the lower rank come first (`streamRank`). */
  readonly rank: number;
  /** Set when the answer names tenants. */
  readonly tenant: string | null;
  readonly minNs: bigint;
  readonly maxNs: bigint;
  readonly rowCount: number;
  readonly lineBytes: number;
  readonly blocks: readonly BlockRef[];
  /** Delete requests about rows of this stream; absent when there are none. */
  readonly deletes?: readonly DeleteRule[];
}

export function storedRef(place: Omit<BlockPlace, 'filterOffset' | 'filterBytes'>): StoredBlockRef {
  const { segmentKey, offset, length, linesOffset } = place;
  const { minNs, maxNs, rowCount, lineBytes, metadataBytes } = place.stats;
  return {
    kind: 'stored',
    segment: segmentKey,
    offset,
    length,
    linesOffset,
    minNs,
    maxNs,
    rowCount,
    lineBytes,
    metadataBytes,
  };
}

export function memoryRef(block: EncodedBlock): MemoryBlockRef {
  const { minNs, maxNs, rowCount, lineBytes, metadataBytes } = block.stats;
  return { kind: 'memory', bytes: block.bytes, minNs, maxNs, rowCount, lineBytes, metadataBytes };
}

/** Null for a head without rows. */
export function headRef(head: HeadColumns): HeadRef | null {
  const { rowCount, offsetsNs, baseNs } = head;
  if (rowCount === 0) return null;
  let min = offsetsNs[0]!;
  let max = offsetsNs[rowCount - 1]!;
  if (!head.ascending) {
    for (let r = 0; r < rowCount; r++) {
      const offset = offsetsNs[r]!;
      if (offset < min) min = offset;
      if (offset > max) max = offset;
    }
  }
  return {
    kind: 'head',
    head,
    minNs: baseNs + BigInt(min),
    maxNs: baseNs + BigInt(max),
    rowCount,
    lineBytes: head.lineEnds[rowCount - 1]!,
    metadataBytes: head.metadataBytes,
  };
}

/**
 * Groups a stream's blocks, given in order of arrival, into units: blocks whose times touch or overlap go together.
 * Units come out ascending in time.
 */
export function groupOverlapping(
  labels: Labels,
  blocks: readonly BlockRef[],
  tenant: string | null = null,
  deletes: readonly DeleteRule[] = [],
): ScanUnit[] {
  const rank = streamRank(labels);
  const order = blocks.map((block, arrival) => ({ block, arrival }));
  order.sort((a, b) =>
    a.block.minNs < b.block.minNs ? -1 : a.block.minNs > b.block.minNs ? 1 : a.arrival - b.arrival,
  );
  const units: ScanUnit[] = [];
  let group: typeof order = [];
  let maxNs = 0n;
  const close = () => {
    if (group.length === 0) return;
    const minNs = group[0]!.block.minNs;
    group.sort((a, b) => a.arrival - b.arrival);
    let rowCount = 0;
    let lineBytes = 0;
    for (const { block } of group) {
      rowCount += block.rowCount;
      lineBytes += block.lineBytes;
    }
    const unit = { labels, rank, tenant, minNs, maxNs, rowCount, lineBytes, blocks: group.map((g) => g.block) };
    const touching = deletes.filter((d) => d.startNs <= maxNs && d.endNs >= minNs);
    units.push(touching.length === 0 ? unit : { ...unit, deletes: touching });
  };
  for (const entry of order) {
    if (group.length > 0 && entry.block.minNs <= maxNs) {
      group.push(entry);
      if (entry.block.maxNs > maxNs) maxNs = entry.block.maxNs;
      continue;
    }
    close();
    group = [entry];
    maxNs = entry.block.maxNs;
  }
  close();
  return units;
}
