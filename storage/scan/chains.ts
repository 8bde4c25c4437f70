import type { BlockRef } from './units.ts';

/** A block of a stream, and its place among the stream's blocks in order of arrival. */
export interface ArrivedBlock {
  readonly block: BlockRef;
  readonly arrival: number;
}

/** A piece of a chain: some of its blocks, and what these must be compared with. Both in order of arrival. */
export interface ChainPiece {
  readonly own: readonly ArrivedBlock[];
  /** Blocks of other pieces that overlap one of these and arrived before it. A row that both have counts there. */
  readonly others: readonly ArrivedBlock[];
}

/** How long pieces are, in bytes of open blocks. */
export interface PieceBytes {
  readonly least: number;
  /** What a piece has at most, unless that is one block. */
  readonly most: number;
}

/** Blocks of a piece, as far as there is a choice: more cost more to compare than they gain. */
const FEW_BLOCKS = 256;
const MOST_BLOCKS = 2 * FEW_BLOCKS;
/** Offset, end of line and some index of metadata. */
const ROW_BYTES = 16;
/** Of what crosses the end of a piece, against the piece: opened twice. Below it no better end is looked for. */
const SMALL_SHARE = 0.1;
/** Blocks that meet in one timestamp are rarely alike there, which is seen without their lines. */
const TOUCHING_SHARE = 0.125;

/**
 * Cuts a chain, blocks of one stream that hang together because their times touch or overlap, into pieces that may be
 * opened one by one and anywhere: each block is in one piece. A piece has about `least`, or up to `most` where it would
 * otherwise share much with the next. `chain`: in order of `minNs`, then of arrival; pieces are in that order too.
 */
export function cutChain(chain: readonly ArrivedBlock[], bytes: PieceBytes): ChainPiece[] {
  const latest: bigint[] = [];
  let maxNs = chain[0]!.block.maxNs;
  for (const { block } of chain) {
    if (block.maxNs > maxNs) maxNs = block.maxNs;
    latest.push(maxNs);
  }
  const pieces: ChainPiece[] = [];
  for (let from = 0; from < chain.length; ) {
    const to = endOfPiece(chain, from, bytes);
    const own = chain.slice(from, to);
    pieces.push({ own: own.sort(byArrival), others: othersOf(chain, from, to, latest) });
    from = to;
  }
  return pieces;
}

function endOfPiece(chain: readonly ArrivedBlock[], from: number, size: PieceBytes): number {
  let bytes = 0;
  let best = chain.length;
  let bestShare = Number.POSITIVE_INFINITY;
  for (let end = from + 1; end < chain.length; end++) {
    bytes += sizeOf(chain[end - 1]!.block);
    if (bytes < size.least && end - from < FEW_BLOCKS) continue;
    const share = crossingBytes(chain, from, end) / bytes;
    if (share < bestShare) {
      best = end;
      bestShare = share;
    }
    if (share <= SMALL_SHARE) return end;
    if (bytes + sizeOf(chain[end]!.block) > size.most || end - from >= MOST_BLOCKS) return best;
  }
  return chain.length;
}

/** Bytes of the blocks from `from` to `end` that reach to the one at `end`. */
function crossingBytes(chain: readonly ArrivedBlock[], from: number, end: number): number {
  const { minNs } = chain[end]!.block;
  let bytes = 0;
  for (let i = from; i < end; i++) {
    const { block } = chain[i]!;
    if (block.maxNs < minNs) continue;
    bytes += block.maxNs === minNs ? TOUCHING_SHARE * sizeOf(block) : sizeOf(block);
  }
  return bytes;
}

/** `latest`: per place, the latest time of the blocks up to it. */
function othersOf(
  chain: readonly ArrivedBlock[],
  from: number,
  to: number,
  latest: readonly bigint[],
): readonly ArrivedBlock[] {
  const own = chain.slice(from, to);
  const { minNs } = own[0]!.block;
  const maxNs = own.reduce((max, { block }) => (block.maxNs > max ? block.maxNs : max), minNs);
  const lastArrival = own.reduce((max, { arrival }) => Math.max(max, arrival), 0);
  const others: ArrivedBlock[] = [];
  for (let i = firstAtOrAfter(latest, minNs); i < chain.length && chain[i]!.block.minNs <= maxNs; i++) {
    const other = chain[i]!;
    if ((i >= from && i < to) || other.arrival > lastArrival) continue;
    if (own.some((one) => one.arrival > other.arrival && overlap(one.block, other.block))) others.push(other);
  }
  return others.sort(byArrival);
}

/** Whether two blocks have a time in common. */
export function overlap(a: BlockRef, b: BlockRef): boolean {
  return a.minNs <= b.maxNs && b.minNs <= a.maxNs;
}

/** The first place with `ns` or more. */
function firstAtOrAfter(ascending: readonly bigint[], ns: bigint): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! < ns) low = middle + 1;
    else high = middle;
  }
  return low;
}

function byArrival(a: ArrivedBlock, b: ArrivedBlock): number {
  return a.arrival - b.arrival;
}

/** About what an open block takes. */
function sizeOf({ lineBytes, metadataBytes, rowCount }: BlockRef): number {
  return lineBytes + metadataBytes + ROW_BYTES * rowCount;
}
