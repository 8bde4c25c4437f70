import type { Labels } from '../../logql/labels.ts';
import { compileMatchers } from '../../logql/stages/index.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import { type BlockLimits, CorruptBlockError, openBlock } from '../block/index.ts';
import type { EncodedBlock } from '../block/types.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import {
  type BlockPlace,
  CorruptSegmentError,
  SegmentReader,
  type SegmentSeries,
  writeSegment,
} from '../segment/index.ts';
import { MAX_SPAN_NS, rewriteRows } from './rewrite-rows.ts';
import { type CompiledDelete, compileDeletes, type DeleteRule } from './row-deletes.ts';
import { type Expiry, periodOf } from './stream-period.ts';

export interface MergeRequest {
  readonly tenant: string;
  /** Keys of segments in order of arrival. Together they are held in memory. */
  readonly sources: readonly string[];
  /** Id of the segment to be made. */
  readonly id: string;
  /** Rows that are too old are left out; null: all are kept. */
  readonly expiry: Expiry | null;
  /** Rows that these delete are left out. */
  readonly deletes: readonly (DeleteRule & { readonly matchers: readonly Matcher[] })[];
  readonly limits: BlockLimits;
}

export interface MergeResult {
  /** Null: no row is left. */
  readonly output: { readonly key: string; readonly pieces: readonly Uint8Array[]; readonly sizeBytes: number } | null;
  /** False: the output would hold what the sources hold. Always true for several sources. */
  readonly changed: boolean;
  readonly copiedBlocks: number;
  readonly writtenBlocks: number;
  /** Rows that delete requests took out. */
  readonly deletedRows: number;
}

/** A block and where its bytes are. */
interface Block {
  readonly place: BlockPlace;
  readonly bytes: Uint8Array;
  readonly filter: Uint8Array;
  readonly arrival: number;
}

/** What is written to the store at once. */
const PIECE_BYTES = 16 * 1024 * 1024;
/** Blocks with less than this share of a full one are joined with their neighbours, although they do not overlap. */
const SMALL_SHARE = 1 / 8;

/**
 * Makes one segment of several: blocks of a stream that overlap in time become new ones without repetitions, others are
 * copied as they are. Synchronous work in between reads, of up to seconds: for a worker thread. Throws
 * CorruptSegmentError, ObjectStoreError and StageError.
 */
export async function mergeSegments(
  store: ObjectStore,
  request: MergeRequest,
  signal?: AbortSignal,
): Promise<MergeResult> {
  const streams = await readStreams(store, request.sources, signal);
  const period = request.expiry && periodOf(request.expiry);
  const deletes = compileDeletes(request.deletes).map((rule, i) => ({
    rule,
    matches: compileMatchers(request.deletes[i]!.matchers),
  }));
  const figures = { copiedBlocks: 0, writtenBlocks: 0, deletedRows: 0, dropped: false };
  const series: SegmentSeries[] = [];
  for (const { labels, blocks } of streams) {
    const periodNs = period ? period(labels) : 0n;
    const stream = {
      labels,
      keepFromNs: periodNs > 0n ? request.expiry!.nowNs - periodNs : -(2n ** 63n),
      deletes: deletes.filter(({ matches }) => matches(labels)).map(({ rule }) => rule),
      limits: request.limits,
    };
    const merged = mergeStream(stream, blocks, figures);
    if (merged.length > 0) series.push({ labels, blocks: merged });
  }
  const { copiedBlocks, writtenBlocks, deletedRows, dropped } = figures;
  const changed = request.sources.length > 1 || dropped;
  const result = { changed, copiedBlocks, writtenBlocks, deletedRows };
  if (series.length === 0 || !changed) return { ...result, output: null };
  const { key, pieces, sizeBytes } = writeSegment(request.tenant, series, undefined, request.id);
  return { ...result, output: { key, pieces: joinPieces(pieces), sizeBytes } };
}

async function readStreams(
  store: ObjectStore,
  sources: readonly string[],
  signal?: AbortSignal,
): Promise<Iterable<{ labels: Labels; blocks: Block[] }>> {
  const streams = new Map<string, { labels: Labels; blocks: Block[] }>();
  let arrival = 0;
  for (const key of sources) {
    const { footer } = await SegmentReader.open(store, key, signal);
    const object = await store.get(key, undefined, signal);
    for (let s = 0; s < footer.seriesCount; s++) {
      const labelsKey = footer.labelsKeyOf(s);
      let stream = streams.get(labelsKey);
      if (!stream) {
        stream = { labels: footer.labelsOf(s), blocks: [] };
        streams.set(labelsKey, stream);
      }
      for (const place of footer.blocksOf(s, -(2n ** 63n), 2n ** 63n - 1n)) {
        const bytes = object.subarray(place.offset, place.offset + place.length);
        const filterStart = footer.filters.offset + place.filterOffset;
        const filter = object.subarray(filterStart, filterStart + place.filterBytes);
        stream.blocks.push({ place, bytes, filter, arrival: arrival++ });
      }
    }
  }
  return streams.values();
}

interface StreamRules {
  readonly labels: Labels;
  readonly keepFromNs: bigint;
  readonly deletes: readonly CompiledDelete[];
  readonly limits: BlockLimits;
}

function mergeStream(
  stream: StreamRules,
  blocks: readonly Block[],
  figures: { copiedBlocks: number; writtenBlocks: number; deletedRows: number; dropped: boolean },
): EncodedBlock[] {
  const { keepFromNs, deletes } = stream;
  const kept = blocks.filter(({ place: { stats } }) => {
    if (stats.maxNs < keepFromNs) return false;
    const all = deletes.some((d) => d.pipeline === null && d.startNs <= stats.minNs && d.endNs >= stats.maxNs);
    if (all) figures.deletedRows += stats.rowCount;
    return !all;
  });
  if (kept.length < blocks.length) figures.dropped = true;
  const isTouched = ({ place: { stats } }: Block): boolean =>
    stats.minNs < keepFromNs || deletes.some((d) => d.startNs <= stats.maxNs && d.endNs >= stats.minNs);
  const out: EncodedBlock[] = [];
  for (const group of groupBlocks(kept, stream.limits)) {
    const touched = group.some(isTouched);
    if ((group.length === 1 || spanOf(group) >= MAX_SPAN_NS) && !touched) {
      for (const { bytes, place, filter } of group) out.push({ bytes, stats: place.stats, filter });
      figures.copiedBlocks += group.length;
      continue;
    }
    // A group over such a span cannot be sorted as one; queries still see what repeats in it.
    const parts = spanOf(group) >= MAX_SPAN_NS ? group.map((block) => [block]) : [group];
    for (const part of parts) {
      const readers = part.map(({ bytes, place }) => corruptAs(place.segmentKey, () => openBlock(bytes)));
      const rows = corruptAs(part[0]!.place.segmentKey, () => rewriteRows({ ...stream, blocks: readers }));
      const only = part[0]!;
      if (part.length === 1 && rowsOf(rows.blocks) === only.place.stats.rowCount) {
        out.push({ bytes: only.bytes, stats: only.place.stats, filter: only.filter }); // no row was to go
        figures.copiedBlocks++;
        continue;
      }
      for (const block of rows.blocks) out.push(block);
      figures.writtenBlocks += rows.blocks.length;
      figures.deletedRows += rows.deletedRows;
      if (rowsOf(rows.blocks) < part.reduce((sum, { place }) => sum + place.stats.rowCount, 0)) figures.dropped = true;
    }
  }
  return out;
}

const rowsOf = (blocks: readonly EncodedBlock[]): number => blocks.reduce((sum, { stats }) => sum + stats.rowCount, 0);

/**
 * Blocks that touch or overlap in time go together, in order of arrival, and so do small neighbours. Groups ascend in
 * time.
 */
function groupBlocks(blocks: readonly Block[], limits: BlockLimits): Block[][] {
  const byTime = [...blocks].sort((a, b) => {
    const difference = a.place.stats.minNs - b.place.stats.minNs;
    return difference < 0n ? -1 : difference > 0n ? 1 : a.arrival - b.arrival;
  });
  const groups: { blocks: Block[]; maxNs: bigint; rows: number; bytes: number }[] = [];
  for (const block of byTime) {
    const { stats } = block.place;
    const last = groups.at(-1);
    if (last && (stats.minNs <= last.maxNs || areSmall(last, block, limits))) {
      last.blocks.push(block);
      if (stats.maxNs > last.maxNs) last.maxNs = stats.maxNs;
      last.rows += stats.rowCount;
      last.bytes += stats.lineBytes;
    } else {
      groups.push({ blocks: [block], maxNs: stats.maxNs, rows: stats.rowCount, bytes: stats.lineBytes });
    }
  }
  return groups.map((group) => group.blocks.sort((a, b) => a.arrival - b.arrival));
}

/** Whether a group and the block after it fit into one block, and the block alone would be a small one. */
function areSmall(
  group: { blocks: readonly Block[]; rows: number; bytes: number },
  { place: { stats } }: Block,
  limits: BlockLimits,
): boolean {
  const isSmall = stats.rowCount < limits.maxRows * SMALL_SHARE && stats.lineBytes < limits.maxLineBytes * SMALL_SHARE;
  const fits = group.rows + stats.rowCount <= limits.maxRows && group.bytes + stats.lineBytes <= limits.maxLineBytes;
  const first = group.blocks[0]!.place.stats.minNs;
  return isSmall && fits && stats.maxNs - first < BigInt(limits.maxSpanNs);
}

function spanOf(group: readonly Block[]): bigint {
  let { minNs, maxNs } = group[0]!.place.stats;
  for (const { place } of group) {
    if (place.stats.minNs < minNs) minNs = place.stats.minNs;
    if (place.stats.maxNs > maxNs) maxNs = place.stats.maxNs;
  }
  return maxNs - minNs;
}

function corruptAs<T>(segmentKey: string, work: () => T): T {
  try {
    return work();
  } catch (cause: unknown) {
    if (!(cause instanceof CorruptBlockError)) throw cause;
    throw new CorruptSegmentError(segmentKey, cause.message, 0, { cause });
  }
}

/** Pieces in memory of their own, so that they can be handed to another thread and the sources let go. */
function joinPieces(pieces: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = [];
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  const close = () => {
    if (bytes === 0) return;
    const whole = new Uint8Array(bytes);
    let at = 0;
    for (const piece of waiting) {
      whole.set(piece, at);
      at += piece.length;
    }
    joined.push(whole);
    waiting = [];
    bytes = 0;
  };
  for (const piece of pieces) {
    if (bytes + piece.length > PIECE_BYTES) close();
    waiting.push(piece);
    bytes += piece.length;
  }
  close();
  return joined;
}
