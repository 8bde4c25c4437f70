import { streamRank } from '../../logql/label-hash.ts';
import type { Labels } from '../../logql/labels.ts';
import type { HeadRows } from '../block/index.ts';
import type { EncodedBlock } from '../block/types.ts';
import type { DeleteRule } from '../compaction/index.ts';
import type { BlockPlace } from '../segment/index.ts';
import { type ArrivedBlock, cutChain, type PieceBytes } from './chains.ts';

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
  readonly head: HeadRows;
}

/** Pieces of chains: little beside a thread's memory, much beside what is opened twice. */
const PIECE_BYTES: PieceBytes = { least: 8 * 1024 * 1024, most: 16 * 1024 * 1024 };

/**
 * What one worker looks at together: one block of a stream, or several whose times overlap, where rows interleave. A row may
 * stand in more than one block (a retried push, a replica); it counts in the one that arrived first, whether that lies in
 * this unit or in another. `blocks` are in order of arrival: of two rows with one timestamp the one in the earlier block
 * came first. Each block is in one unit.
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
  /** Of each block its place in the order of arrival; absent where that is its place in `blocks`. */
  readonly arrivals?: readonly number[];
  /** Blocks of other units that may have rows of these and arrived before them; absent when there are none. */
  readonly others?: readonly ArrivedBlock[];
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
export function headRef(head: HeadRows): HeadRef | null {
  const { rowCount, baseNs } = head;
  if (rowCount === 0) return null;
  if ('memories' in head) {
    const { minNs, maxNs, lineBytes, metadataBytes } = head;
    return { kind: 'head', head, minNs, maxNs, rowCount, lineBytes, metadataBytes };
  }
  const { offsetsNs } = head;
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
 * Groups a stream's blocks, given in order of arrival, into units: blocks whose times touch or overlap go together, pieces of
 * about `bytes` where they are many. Units come out in order of `minNs`.
 */
export function groupOverlapping(
  labels: Labels,
  blocks: readonly BlockRef[],
  tenant: string | null = null,
  deletes: readonly DeleteRule[] = [],
  bytes = PIECE_BYTES,
): ScanUnit[] {
  const rank = streamRank(labels);
  if (deletes.length === 0 && followEachOther(blocks)) {
    return blocks.map((block) => {
      const { minNs, maxNs, rowCount, lineBytes } = block;
      return { labels, rank, tenant, minNs, maxNs, rowCount, lineBytes, blocks: [block] };
    });
  }
  const order = blocks.map((block, arrival): ArrivedBlock => ({ block, arrival }));
  order.sort((a, b) =>
    a.block.minNs < b.block.minNs ? -1 : a.block.minNs > b.block.minNs ? 1 : a.arrival - b.arrival,
  );
  const units: ScanUnit[] = [];
  const close = (chain: readonly ArrivedBlock[]) => {
    const pieces = chain.length === 1 ? [{ own: chain, others: [] }] : cutChain(chain, bytes);
    for (const { own, others } of pieces) {
      const unit = { labels, rank, tenant, ...totalsOf(own), blocks: own.map(({ block }) => block) };
      const { minNs, maxNs } = unit;
      const touching = deletes.filter((d) => d.startNs <= maxNs && d.endNs >= minNs);
      units.push({
        ...unit,
        ...(pieces.length > 1 ? { arrivals: own.map(({ arrival }) => arrival) } : {}),
        ...(others.length > 0 ? { others } : {}),
        ...(touching.length > 0 ? { deletes: touching } : {}),
      });
    }
  };
  let chain: ArrivedBlock[] = [];
  let maxNs = 0n;
  for (const entry of order) {
    if (chain.length > 0 && entry.block.minNs <= maxNs) {
      chain.push(entry);
      if (entry.block.maxNs > maxNs) maxNs = entry.block.maxNs;
      continue;
    }
    if (chain.length > 0) close(chain);
    chain = [entry];
    maxNs = entry.block.maxNs;
  }
  if (chain.length > 0) close(chain);
  return units;
}

/** Whether each block ends before the next one begins: the usual case, in which each is a unit. */
function followEachOther(blocks: readonly BlockRef[]): boolean {
  for (let i = 1; i < blocks.length; i++) if (blocks[i]!.minNs <= blocks[i - 1]!.maxNs) return false;
  return true;
}

function totalsOf(blocks: readonly ArrivedBlock[]): Pick<ScanUnit, 'minNs' | 'maxNs' | 'rowCount' | 'lineBytes'> {
  let { minNs, maxNs } = blocks[0]!.block;
  let rowCount = 0;
  let lineBytes = 0;
  for (const { block } of blocks) {
    if (block.minNs < minNs) minNs = block.minNs;
    if (block.maxNs > maxNs) maxNs = block.maxNs;
    rowCount += block.rowCount;
    lineBytes += block.lineBytes;
  }
  return { minNs, maxNs, rowCount, lineBytes };
}
