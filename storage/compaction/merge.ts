import { compileMatchers } from '../../logql/stages/index.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import type { BlockLimits } from '../block/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { CorruptSegmentError } from '../segment/index.ts';
import { type MergeFigures, mergeStream, type SourceBlock } from './merge-stream.ts';
import { Outputs, type WrittenOutput } from './outputs.ts';
import { compileDeletes, type DeleteRule } from './row-deletes.ts';
import { SourceSegment } from './source-segment.ts';
import { type Expiry, periodOf } from './stream-period.ts';
import { streamsOf } from './streams.ts';

export interface MergeRequest {
  readonly tenant: string;
  /** Keys of segments in order of arrival. Their footers are held in memory, and a stretch of each. */
  readonly sources: readonly string[];
  /** What the ids of the segments to be made begin with: 24 hexadecimal digits. */
  readonly idPrefix: string;
  /** Size of the segments to be made; no more than two of them are in memory. */
  readonly maxBytes: number;
  /** Ascending; no segment to be made has rows on both sides of one. */
  readonly cutsNs: readonly bigint[];
  /** Rows that are too old are left out; null: all are kept. */
  readonly expiry: Expiry | null;
  /** Rows that these delete are left out. */
  readonly deletes: readonly (DeleteRule & { readonly matchers: readonly Matcher[] })[];
  readonly limits: BlockLimits;
}

export interface MergeResult {
  /** What has been stored. They count only when the merge is whole and has changed something. */
  readonly outputs: readonly WrittenOutput[];
  /** What kept the merge from being whole. */
  readonly corrupt: { readonly segmentKey: string; readonly message: string } | null;
  /** False: the outputs would hold what the source holds. Always true for several sources. */
  readonly isChanged: boolean;
  readonly copiedBlocks: number;
  readonly writtenBlocks: number;
  /** Rows that delete requests took out. */
  readonly deletedRows: number;
}

/**
 * Makes segments of others, each stream in one of them: blocks of a stream that overlap in time become new ones without
 * repetitions, others are copied as they are. Goes through the sources stream by stream and stores each output as it is
 * full. Synchronous work in between reads, of up to seconds: for a worker thread. Throws ObjectStoreError and StageError;
 * some outputs may have been stored then.
 */
export async function mergeSegments(
  store: ObjectStore,
  request: MergeRequest,
  signal?: AbortSignal,
): Promise<MergeResult> {
  const outputs = new Outputs(store, request, signal);
  const figures: MergeFigures = {
    copiedBlocks: 0,
    writtenBlocks: 0,
    deletedRows: 0,
    isChanged: request.sources.length > 1,
  };
  try {
    await mergeInto(outputs, figures, store, request, signal);
  } catch (error: unknown) {
    if (!(error instanceof CorruptSegmentError)) throw error;
    const corrupt = { segmentKey: error.key, message: error.message };
    return { ...figures, outputs: outputs.written, corrupt };
  }
  return { ...figures, outputs: outputs.written, corrupt: null };
}

async function mergeInto(
  outputs: Outputs,
  figures: MergeFigures,
  store: ObjectStore,
  request: MergeRequest,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { limits, cutsNs } = request;
  const sources: SourceSegment[] = [];
  for (const key of request.sources) {
    sources.push(await SourceSegment.open(store, key, request.sources.length, signal));
  }
  const period = request.expiry && periodOf(request.expiry);
  const deletes = compileDeletes(request.deletes).map((rule, i) => ({
    rule,
    matches: compileMatchers(request.deletes[i]!.matchers),
  }));
  for (const { labels, parts } of streamsOf(sources.map(({ footer }) => footer))) {
    signal?.throwIfAborted();
    const blocks: SourceBlock[] = [];
    for (const { source, series } of parts) {
      const segment = sources[source]!;
      for (const place of segment.footer.blocksOf(series, -(2n ** 63n), 2n ** 63n - 1n)) {
        blocks.push({ place, source: segment, arrival: blocks.length });
      }
    }
    const periodNs = period ? period(labels) : 0n;
    const rules = {
      labels,
      keepFromNs: periodNs > 0n ? request.expiry!.nowNs - periodNs : -(2n ** 63n),
      deletes: deletes.filter(({ matches }) => matches(labels)).map(({ rule }) => rule),
      limits,
      cutsNs,
    };
    await mergeStream(rules, blocks, figures, (block) => outputs.add(labels, block));
    await outputs.endStream(labels);
  }
  if (figures.isChanged) await outputs.finish();
}
