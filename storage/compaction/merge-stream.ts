import type { Labels } from '../../logql/labels.ts';
import { type BlockLimits, CorruptBlockError, openBlock } from '../block/index.ts';
import type { EncodedBlock } from '../block/types.ts';
import { type BlockPlace, CorruptSegmentError } from '../segment/index.ts';
import { stretchOf } from './outputs.ts';
import { MAX_SPAN_NS, rewriteRows } from './rewrite-rows.ts';
import type { CompiledDelete } from './row-deletes.ts';
import type { SourceSegment } from './source-segment.ts';

/** A block and the segment that it is read from. */
export interface SourceBlock {
  readonly place: BlockPlace;
  readonly source: SourceSegment;
  /** Greater for blocks that arrived later. */
  readonly arrival: number;
}

export interface StreamRules {
  readonly labels: Labels;
  /** Rows before this are left out. */
  readonly keepFromNs: bigint;
  readonly deletes: readonly CompiledDelete[];
  readonly limits: BlockLimits;
  /** Ascending; no new block has rows on both sides of one. */
  readonly cutsNs: readonly bigint[];
}

export interface MergeFigures {
  copiedBlocks: number;
  writtenBlocks: number;
  /** Rows that delete requests took out. */
  deletedRows: number;
  /** Whether rows were left out or blocks divided. */
  isChanged: boolean;
}

/** Blocks with less than this share of a full one are joined with their neighbours, although they do not overlap. */
const SMALL_SHARE = 1 / 8;

/**
 * The blocks of one stream that remain, oldest first, are given to `emit`: those that overlap no other as they are, others
 * written anew. `blocks` are in order of arrival. Throws CorruptSegmentError, StageError, and what the store and `emit`
 * throw.
 */
export async function mergeStream(
  rules: StreamRules,
  blocks: readonly SourceBlock[],
  figures: MergeFigures,
  emit: (block: EncodedBlock) => Promise<void>,
): Promise<void> {
  const { keepFromNs, deletes, cutsNs } = rules;
  const kept = blocks.filter(({ place: { stats } }) => {
    if (stats.maxNs < keepFromNs) return false;
    const all = deletes.some((d) => d.pipeline === null && d.startNs <= stats.minNs && d.endNs >= stats.maxNs);
    if (all) figures.deletedRows += stats.rowCount;
    return !all;
  });
  const single = await withoutCopies(kept);
  if (single.length < blocks.length) figures.isChanged = true;
  const isTouched = ({ place: { stats } }: SourceBlock): boolean =>
    stats.minNs < keepFromNs ||
    deletes.some((d) => d.startNs <= stats.maxNs && d.endNs >= stats.minNs) ||
    stretchOf(cutsNs, stats.minNs) !== stretchOf(cutsNs, stats.maxNs);
  for (const group of groupBlocks(single, rules)) {
    const stretches = stretchesOf(group, cutsNs);
    // Over such a span rows cannot be sorted as one; queries still see what repeats.
    const isTooLong = stretches.some(({ fromNs, untilNs }) => untilNs - fromNs >= MAX_SPAN_NS);
    if (group.length === 1 || isTooLong) {
      for (const block of group.sort(byStart)) {
        if (!isTouched(block)) await copyBlock(block, figures, emit);
        else await rewriteBlock(rules, block, figures, emit);
      }
      continue;
    }
    for (const { fromNs, untilNs } of stretches) await rewriteGroup(rules, group, fromNs, untilNs, figures, emit);
  }
}

async function copyBlock(
  { source, place }: SourceBlock,
  figures: MergeFigures,
  emit: (block: EncodedBlock) => Promise<void>,
): Promise<void> {
  const bytes = Uint8Array.from(await source.block(place));
  const filter = Uint8Array.from(await source.filter(place));
  figures.copiedBlocks++;
  await emit({ bytes, stats: place.stats, filter });
}

/** Copies it after all when no row is to go. */
async function rewriteBlock(
  rules: StreamRules,
  block: SourceBlock,
  figures: MergeFigures,
  emit: (block: EncodedBlock) => Promise<void>,
): Promise<void> {
  const { stats } = block.place;
  const made: EncodedBlock[] = [];
  const stored = [storedBlock(block)];
  let deleted = 0;
  const stretches = stretchesOf([block], rules.cutsNs);
  for (const { fromNs, untilNs } of stretches) {
    deleted += await rewriteRows({ ...rules, blocks: stored }, fromNs, untilNs, async (one) => {
      made.push(one);
    });
  }
  const rows = made.reduce((sum, one) => sum + one.stats.rowCount, 0);
  if (rows === stats.rowCount && stretches.length === 1) return copyBlock(block, figures, emit);
  figures.isChanged = true;
  figures.deletedRows += deleted;
  figures.writtenBlocks += made.length;
  for (const one of made) await emit(one);
}

async function rewriteGroup(
  rules: StreamRules,
  group: readonly SourceBlock[],
  fromNs: bigint,
  untilNs: bigint,
  figures: MergeFigures,
  emit: (block: EncodedBlock) => Promise<void>,
): Promise<void> {
  figures.isChanged = true;
  figures.deletedRows += await rewriteRows({ ...rules, blocks: group.map(storedBlock) }, fromNs, untilNs, (block) => {
    figures.writtenBlocks++;
    return emit(block);
  });
}

function storedBlock({ source, place }: SourceBlock) {
  return {
    stats: place.stats,
    columns: async () => {
      const bytes = await source.block(place);
      try {
        return openBlock(bytes).columns({ lines: true, metadata: null });
      } catch (cause: unknown) {
        if (!(cause instanceof CorruptBlockError)) throw cause;
        throw new CorruptSegmentError(place.segmentKey, cause.message, place.offset, { cause });
      }
    },
  };
}

/** Replicas that took the same pushes make the same blocks, byte for byte: of those the first is kept, without decoding. */
async function withoutCopies(blocks: readonly SourceBlock[]): Promise<SourceBlock[]> {
  const kept: SourceBlock[] = [];
  const byStats = new Map<string, SourceBlock[]>();
  for (const block of blocks) {
    const { minNs, maxNs, rowCount, lineBytes, metadataBytes, encodedBytes } = block.place.stats;
    const key = `${minNs},${maxNs},${rowCount},${lineBytes},${metadataBytes},${encodedBytes}`;
    const alike = byStats.get(key);
    if (alike && (await isAmong(block, alike))) continue;
    if (alike) alike.push(block);
    else byStats.set(key, [block]);
    kept.push(block);
  }
  return kept;
}

async function isAmong(block: SourceBlock, others: readonly SourceBlock[]): Promise<boolean> {
  const bytes = await block.source.block(block.place);
  const own = others.some(({ source }) => source === block.source) ? Uint8Array.from(bytes) : bytes;
  for (const { source, place } of others) {
    if (Buffer.compare(own, await source.block(place)) === 0) return true;
  }
  return false;
}

interface Group {
  readonly blocks: SourceBlock[];
  readonly minNs: bigint;
  maxNs: bigint;
  rows: number;
  bytes: number;
}

/**
 * Blocks that touch or overlap in time go together, in order of arrival, and so do small neighbours. Groups ascend in
 * time.
 */
function groupBlocks(blocks: readonly SourceBlock[], rules: StreamRules): SourceBlock[][] {
  const groups: Group[] = [];
  for (const block of blocks.toSorted(byStart)) {
    const { minNs, maxNs, rowCount, lineBytes } = block.place.stats;
    const last = groups.at(-1);
    if (last && (minNs <= last.maxNs || areSmall(last, block, rules))) {
      last.blocks.push(block);
      if (maxNs > last.maxNs) last.maxNs = maxNs;
      last.rows += rowCount;
      last.bytes += lineBytes;
    } else groups.push({ blocks: [block], minNs, maxNs, rows: rowCount, bytes: lineBytes });
  }
  return groups.map((group) => group.blocks.sort((a, b) => a.arrival - b.arrival));
}

function byStart(a: SourceBlock, b: SourceBlock): number {
  const difference = a.place.stats.minNs - b.place.stats.minNs;
  return difference < 0n ? -1 : difference > 0n ? 1 : a.arrival - b.arrival;
}

/** Whether a group and the block after it fit into one block, and the block alone would be a small one. */
function areSmall(group: Group, { place: { stats } }: SourceBlock, { limits, cutsNs }: StreamRules): boolean {
  const isSmall = stats.rowCount < limits.maxRows * SMALL_SHARE && stats.lineBytes < limits.maxLineBytes * SMALL_SHARE;
  const fits = group.rows + stats.rowCount <= limits.maxRows && group.bytes + stats.lineBytes <= limits.maxLineBytes;
  const isShort = stats.maxNs - group.minNs < BigInt(limits.maxSpanNs);
  return isSmall && fits && isShort && stretchOf(cutsNs, group.minNs) === stretchOf(cutsNs, stats.maxNs);
}

/** The time of the blocks, both ends inclusive, divided at the cuts. */
function stretchesOf(
  group: readonly SourceBlock[],
  cutsNs: readonly bigint[],
): { readonly fromNs: bigint; readonly untilNs: bigint }[] {
  let { minNs, maxNs } = group[0]!.place.stats;
  for (const { place } of group) {
    if (place.stats.minNs < minNs) minNs = place.stats.minNs;
    if (place.stats.maxNs > maxNs) maxNs = place.stats.maxNs;
  }
  const inner = cutsNs.filter((ns) => ns > minNs && ns <= maxNs);
  return [minNs, ...inner].map((fromNs, i) => ({ fromNs, untilNs: (inner[i] ?? maxNs + 1n) - 1n }));
}
