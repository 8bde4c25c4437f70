import {
  type AccumulatorPartial,
  QueryTooLargeError,
  RangeAccumulator,
  SeriesLimitError,
} from '../../logql/aggregate/index.ts';
import { roundLength } from '../../logql/kept-memory.ts';
import type { Labels } from '../../logql/labels.ts';
import { extractionHints, type RangeScan } from '../../logql/plan/index.ts';
import { compilePipeline, type Pipeline } from '../../logql/stages/index.ts';
import type { WantedColumns } from '../block/index.ts';
import { type BlockSource, firstRowAtOrAfter, type OpenBlock } from './block-source.ts';
import { FrontCheck } from './front-check.ts';
import { ScanCancelledError } from './messages.ts';
import { OpenEnds } from './open-ends.ts';
import type { ScanStats } from './scan-stats.ts';
import { keepsTenant, withTenant } from './tenant-label.ts';
import type { ScanUnit } from './units.ts';

/** Label sets that a thread keeps for a scan. A million of them were 4 GB, and a minute to put together. */
const MAX_SERIES = 250_000;
/** As values of one label they take about 100 bytes each, with a sample. */
const MAX_VALUES = 1_000_000;

/** Metadata that `metadataBytes` leaves out. */
const UNCOUNTED_NAME = 'detected_level';
/** What a pipeline without stages looks at. */
const UNOPENED = {
  offsetsNs: new Float64Array(1),
  lineStarts: new Uint32Array(2),
  bytes: null,
  ascii: false,
  metadata: [],
};

/** One scan of a metric query in one thread and for one tenant: feeds the samples of unit after unit to an accumulator. */
export class MetricScan {
  readonly #scan: RangeScan;
  readonly #maxSeries: number;
  readonly #tenant: string | null;
  readonly #openEnds: OpenEnds | null;
  readonly #pipeline: Pipeline;
  readonly #check: FrontCheck | null;
  readonly #accumulator: RangeAccumulator;
  readonly #sample: 'one' | 'bytes' | 'unwrap';
  readonly #wanted: WantedColumns;
  /** Rows that are alike in labels may be added at once. */
  readonly #addsMany: boolean;
  #rows = new Uint32Array(0);
  /** As long: each row's number. */
  #all = new Uint32Array(0);

  /** `maxSeries`: the most that the query may have, where each series of the scan is one of the answer; else 0. */
  constructor(scan: RangeScan, tenant: string | null, maxSeries = 0) {
    this.#scan = scan;
    this.#maxSeries = maxSeries;
    this.#tenant = tenant !== null && keepsTenant(scan.grouping) ? tenant : null;
    this.#openEnds = tenant === null ? null : OpenEnds.of(scan);
    const hints = extractionHints(scan);
    this.#sample = hints.sample;
    this.#pipeline = compilePipeline({
      stages: scan.stages,
      grouping: scan.grouping,
      unwrap: scan.unwrap,
      countsBytes: hints.sample === 'bytes',
    });
    this.#check = FrontCheck.of(this.#pipeline);
    this.#accumulator = new RangeAccumulator(scan);
    const { needsLines, needsMetadata } = this.#pipeline;
    this.#wanted = { lines: needsLines, lengths: this.#sample === 'bytes', metadata: needsMetadata };
    const { kind } = this.#accumulator;
    this.#addsMany = kind === 'count' || (kind === 'sum' && this.#sample === 'bytes');
  }

  async add(unit: ScanUnit, source: BlockSource, cancel: Int32Array, stats: ScanStats): Promise<void> {
    if (this.#addsMany && this.#addUnopened(unit, stats)) return;
    const blocks = await source.open(unit, this.#wanted, stats, this.#check);
    for (const block of blocks) {
      if (Atomics.load(cancel, 0) !== 0) throw new ScanCancelledError('the query was given up');
      this.#addBlock(unit, block, stats);
      if (this.#maxSeries > 0 && this.#accumulator.seriesCount > this.#maxSeries) {
        this.partial(); // an error of the pipeline comes first
        throw new SeriesLimitError(this.#maxSeries);
      }
      const { length, byValue } = this.#pipeline.groupSource;
      const most = byValue === undefined ? MAX_SERIES : MAX_VALUES;
      if (length > most) throw new QueryTooLargeError('series', most);
    }
  }

  /** What was added; the scan is used up. */
  partial(): AccumulatorPartial {
    const { groupSource: groups } = this.#pipeline;
    const tenant = this.#tenant;
    const name = tenant === null ? undefined : (labels: Labels) => withTenant(labels, tenant);
    const partial = this.#accumulator.partial(groups, name);
    this.#pipeline.release();
    return partial;
  }

  /**
   * Counts the rows of a block, or their bytes, by what the index says of it: where nothing but their number and the
   * stream's labels matter, and all of them lie in one bucket. False: the block must be opened.
   */
  #addUnopened({ labels, blocks, others, deletes }: ScanUnit, stats: ScanStats): boolean {
    const [block] = blocks;
    const { needsMetadata, hasFilters } = this.#pipeline;
    if (blocks.length !== 1 || others !== undefined || block === undefined || block.kind === 'head') return false;
    if (hasFilters || deletes !== undefined || this.#openEnds !== null || needsMetadata === null) return false;
    if (needsMetadata.size > 0 && (block.metadataBytes > 0 || needsMetadata.has(UNCOUNTED_NAME))) return false;
    const { minNs, maxNs, rowCount, lineBytes } = block;
    const accumulator = this.#accumulator;
    accumulator.openBlock(minNs);
    if (!accumulator.isOneBucket(Number(maxNs - minNs))) return false;
    const pipeline = this.#pipeline;
    pipeline.open({ ...UNOPENED, rowCount, baseNs: minNs }, labels);
    if (!pipeline.rowsAreAlike) return false;
    if (pipeline.run(0)) accumulator.addWhole(pipeline.group, rowCount, lineBytes);
    if (block.kind === 'stored') {
      stats.storedBlocks++;
      stats.storedRows += rowCount;
      stats.storedMetadataBytes += block.metadataBytes;
    } else {
      stats.recentBlocks++;
      stats.recentRows += rowCount;
      stats.recentMetadataBytes += block.metadataBytes;
    }
    stats.postFilterRows += rowCount;
    return true;
  }

  #addBlock(unit: ScanUnit, block: OpenBlock, stats: ScanStats): void {
    const { columns, duplicates, sequence } = block;
    const from = firstRowAtOrAfter(columns, this.#scan.readAfterNs + 1n);
    const to = firstRowAtOrAfter(columns, this.#scan.readUntilNs + 1n);
    if (from >= to) return;
    const pipeline = this.#pipeline;
    const accumulator = this.#accumulator;
    const { offsetsNs, lineStarts } = columns;
    pipeline.open(columns, unit.labels);
    accumulator.openBlock(columns.baseNs, sequence);
    const openEnds = this.#openEnds;
    if (this.#addsMany && pipeline.rowsAreAlike && !pipeline.hasFilters && duplicates === null && openEnds === null) {
      if (!pipeline.run(from)) return;
      const times = offsetsNs.subarray(from, to);
      if (this.#sample === 'bytes')
        accumulator.addBytes(pipeline.group, times, lineStarts.subarray(from), null, to - from);
      else accumulator.addCounts(pipeline.group, times, null, to - from);
      stats.postFilterRows += to - from;
      return;
    }
    let rows = this.#select(from, to, duplicates);
    if (openEnds !== null) rows = rows.filter((row) => !openEnds.has(columns.baseNs + BigInt(offsetsNs[row]!)));
    const count = pipeline.filter(rows, rows.length);
    if (count === 0) return;
    if (this.#addsMany && pipeline.rowsAreAlike) {
      if (!pipeline.run(rows[0]!)) return;
      if (this.#sample === 'bytes') accumulator.addBytes(pipeline.group, offsetsNs, lineStarts, rows, count);
      else accumulator.addCounts(pipeline.group, offsetsNs, rows, count);
      stats.postFilterRows += count;
      return;
    }
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (!pipeline.run(row)) continue;
      kept++;
      const value = this.#sample === 'one' ? 1 : this.#sample === 'bytes' ? pipeline.lineBytes : pipeline.value;
      accumulator.add(pipeline.group, offsetsNs[row]!, value);
    }
    stats.postFilterRows += kept;
  }

  #select(from: number, to: number, duplicates: Uint8Array | null): Uint32Array {
    if (this.#rows.length < to) {
      const length = roundLength(Math.max(to, 16_384));
      this.#rows = new Uint32Array(length);
      this.#all = new Uint32Array(length).map((_, row) => row);
    }
    const rows = this.#rows;
    if (duplicates === null) {
      rows.set(this.#all.subarray(from, to));
      return rows.subarray(0, to - from);
    }
    let count = 0;
    for (let row = from; row < to; row++) if (duplicates[row] === 0) rows[count++] = row;
    return rows.subarray(0, count);
  }
}
