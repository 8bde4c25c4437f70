import type { Labels } from '../../logql/labels.ts';
import { columnsOfHead, type HeadRows } from '../../storage/block/index.ts';
import type { BlockStats, EncodedBlock } from '../../storage/block/types.ts';
import type { RecentFigures, RecentStream } from '../rpc/ingester.ts';
import type { StreamBatch } from '../rpc/push-batch.ts';
import type { KeptBlock } from './block-memory.ts';
import { Head } from './head.ts';
import type { HeadMemory } from './head-memory.ts';
import type { StreamOrder } from './order.ts';
import { TokenBucket } from './token-bucket.ts';

/** Rows that were cut off a stream together: first as they were, then, once encoded, as blocks. */
export interface Cut {
  /** Null once `blocks` are there. */
  heads: readonly Head[] | null;
  blocks: readonly KeptBlock[] | null;
  memoryBytes: number;
  readonly rowCount: number;
  readonly lineBytes: number;
  readonly minNs: bigint;
  readonly maxNs: bigint;
  /** Where the log holds the oldest row, at the earliest. */
  readonly firstSegmentId: number;
  /** The newest row's record; all rows of this stream up to it are in this cut or an older one. */
  readonly lastSequence: number;
  readonly createdMs: number;
}

/** What is read by somebody, who says when he is done. */
export interface Held {
  letGo(): void;
}

type Sized = Pick<BlockStats, 'minNs' | 'maxNs' | 'rowCount' | 'lineBytes' | 'metadataBytes'>;

const NO_CUTS: readonly Cut[] = [];
const NO_HEADS: readonly Head[] = [];

/**
 * One stream in memory: open heads that take rows, and cuts on their way to the object store. Rows leave in the order in
 * which their records stand in the log, whole records at a time; so one sequence number tells what is stored.
 */
export class Stream implements StreamOrder {
  readonly labels: Labels;
  /** Canonical; the key of the stream. */
  readonly text: string;
  readonly bucket = new TokenBucket();
  newestNs: bigint | null = null;
  lastNs: bigint | null = null;
  lastPushMs = 0;
  /** Settles with the log's write of the row stored last. */
  lastWritten: Promise<void> = Promise.resolve();
  /** Ascending by age. Several only when timestamps lie too far apart for one. */
  #heads: readonly Head[] = NO_HEADS;
  #cuts: readonly Cut[] = NO_CUTS;
  #openedMs = 0;
  #firstSegmentId = 0;
  #lastSequence = 0;
  /** The row stored last, once its head is gone: bytes as latin1, which takes less than a Buffer. */
  #lastLine: string | null = null;
  #lastMetadata = '';
  /** Line bytes of the head cut last, as a guess at the next one. */
  #expectedBytes = 0;

  readonly #memory: HeadMemory;

  constructor(labels: Labels, text: string, memory: HeadMemory) {
    this.labels = labels;
    this.text = text;
    this.#memory = memory;
  }

  /** Ascending by age. */
  get cuts(): readonly Cut[] {
    return this.#cuts;
  }

  get headBytes(): number {
    let sum = 0;
    for (const head of this.#heads) sum += head.memoryBytes;
    return sum;
  }

  get headLineBytes(): number {
    let sum = 0;
    for (const head of this.#heads) sum += head.lineBytes;
    return sum;
  }

  get headRows(): number {
    let sum = 0;
    for (const head of this.#heads) sum += head.rowCount;
    return sum;
  }

  get hasUnflushed(): boolean {
    return this.#heads.length > 0 || this.#cuts.length > 0;
  }

  /** When the oldest row that is not in the object store came. */
  get oldestMs(): number {
    return this.#cuts[0]?.createdMs ?? this.#openedMs;
  }

  /** The oldest segment of the log that this stream still needs; infinite for none. */
  get firstSegmentId(): number {
    if (this.#cuts.length > 0) return this.#cuts[0]!.firstSegmentId;
    return this.#heads.length > 0 ? this.#firstSegmentId : Number.POSITIVE_INFINITY;
  }

  isLast(batch: StreamBatch, row: number, lineStart: number): boolean {
    const line = batch.lineBytes.subarray(lineStart, lineStart + batch.lineLengths[row]!);
    const metadata = metadataOf(batch, row);
    const head = this.#heads.at(-1);
    if (head === undefined)
      return this.#lastLine === line.toString('latin1') && this.#lastMetadata === metadata.toString('latin1');
    const [lastLine, lastMetadata] = head.lastRow();
    return lastLine.equals(line) && lastMetadata.equals(metadata);
  }

  /** Appends the given rows, or all. `record` then tells where they are in the log. */
  append(batch: StreamBatch, rows: Uint32Array | null, nowMs: number): void {
    this.lastPushMs = nowMs;
    if (this.#heads.length === 0) this.#openedMs = nowMs;
    if (rows === null) this.#appendRun(batch, 0, batch.rowCount, 0, batch.lineBytes.length);
    else {
      const { lineLengths } = batch;
      let row = 0;
      let start = 0;
      for (let i = 0; i < rows.length; ) {
        const from = rows[i]!;
        while (row < from) start += lineLengths[row++]!;
        const runStart = start;
        do start += lineLengths[row++]!;
        while (++i < rows.length && rows[i] === row);
        this.#appendRun(batch, from, row, runStart, start);
      }
    }
    this.#observe(batch, rows);
  }

  /** The rows appended since the last call are in the record `sequence`, in `segmentId` or later. */
  record(sequence: number, segmentId: number, written?: Promise<void>): void {
    if (written !== undefined) this.lastWritten = written;
    if (this.#firstSegmentId === 0) this.#firstSegmentId = segmentId;
    this.#lastSequence = sequence;
  }

  /** The log refused the row stored last: when it comes again, it must not pass for stored. */
  forgetLast(): void {
    this.lastNs = null;
  }

  /** Takes rows for known that are already in the object store, for the rules of order. */
  observeStored(batch: StreamBatch, nowMs: number): void {
    if (batch.rowCount === 0) return;
    this.lastPushMs = nowMs;
    this.#observe(batch, null);
    if (this.#heads.length > 0) return;
    const row = batch.rowCount - 1;
    const end = batch.lineBytes.length;
    this.#lastLine = batch.lineBytes.toString('latin1', end - batch.lineLengths[row]!);
    this.#lastMetadata = metadataOf(batch, row).toString('latin1');
  }

  /** The oldest cuts are in the object store. */
  dropCuts(count: number): void {
    this.#cuts = count === this.#cuts.length ? NO_CUTS : this.#cuts.slice(count);
  }

  /** Turns the open heads into a cut, which stays visible; null when there is nothing to cut. */
  cut(): Cut | null {
    if (this.#heads.length === 0) return null;
    const heads = this.#heads;
    const [line, metadata] = heads.at(-1)!.lastRow();
    this.#lastLine = line.toString('latin1');
    this.#lastMetadata = metadata.toString('latin1');
    const cut: Cut = {
      heads,
      blocks: null,
      memoryBytes: this.headBytes,
      rowCount: this.headRows,
      lineBytes: this.headLineBytes,
      minNs: this.#heads.reduce((min, head) => (head.minNs < min ? head.minNs : min), this.#heads[0]!.minNs),
      maxNs: this.#heads.reduce((max, head) => (head.maxNs > max ? head.maxNs : max), this.#heads[0]!.maxNs),
      firstSegmentId: this.#firstSegmentId,
      lastSequence: this.#lastSequence,
      createdMs: this.#openedMs,
    };
    this.#expectedBytes = cut.lineBytes;
    this.#firstSegmentId = 0;
    this.#heads = NO_HEADS;
    // `push` would make room for sixteen more.
    this.#cuts = this.#cuts.concat(cut);
    return cut;
  }

  /**
   * A consistent view of the rows that may lie in the range; null without any. What it shows is held until all that it
   * adds to `held` is let go of.
   */
  recent(startNs: bigint, endNs: bigint, held: Held[]): RecentStream | null {
    const blocks: EncodedBlock[] = [];
    const heads: HeadRows[] = [];
    const show = (head: Head): void => {
      head.hold();
      held.push(head);
      heads.push(head.pieces());
    };
    for (const cut of this.#cuts) {
      if (cut.minNs > endNs || cut.maxNs < startNs) continue;
      if (cut.blocks === null) for (const head of cut.heads!) show(head);
      else {
        for (const block of cut.blocks) {
          if (block.stats.minNs > endNs || block.stats.maxNs < startNs) continue;
          block.page.hold();
          held.push(block.page);
          blocks.push(block);
        }
      }
    }
    for (const head of this.#heads) if (head.minNs <= endNs && head.maxNs >= startNs) show(head);
    return blocks.length + heads.length === 0 ? null : { labels: this.labels, blocks, heads };
  }

  /** How much `recent` would answer, without handing anything out. */
  figures(startNs: bigint, endNs: bigint): Omit<RecentFigures, 'streams'> {
    const sum = { chunks: 0, rows: 0, bytes: 0 };
    const add = ({ rowCount, lineBytes, metadataBytes }: Omit<Sized, 'minNs' | 'maxNs'>): void => {
      sum.chunks++;
      sum.rows += rowCount;
      sum.bytes += lineBytes + metadataBytes;
    };
    const reaches = ({ minNs, maxNs }: Pick<Sized, 'minNs' | 'maxNs'>) => minNs <= endNs && maxNs >= startNs;
    for (const cut of this.#cuts) {
      if (!reaches(cut)) continue;
      if (cut.blocks === null) for (const head of cut.heads!) add(head);
      else for (const { stats } of cut.blocks) if (reaches(stats)) add(stats);
    }
    for (const head of this.#heads) if (reaches(head)) add(head);
    return sum;
  }

  #appendRun(batch: StreamBatch, from: number, to: number, lineStart: number, lineEnd: number): void {
    const { offsetsNs, lineLengths } = batch;
    let min = offsetsNs[from]!;
    let max = batch.ascending ? offsetsNs[to - 1]! : min;
    if (!batch.ascending) {
      for (let row = from + 1; row < to; row++) {
        const offset = offsetsNs[row]!;
        if (offset < min) min = offset;
        if (offset > max) max = offset;
      }
    }
    const bytes = lineEnd - lineStart;
    const head = this.#heads.at(-1);
    if (head?.fits(batch.baseNs, min, max, bytes)) {
      head.append(batch, from, to, lineStart, lineEnd);
      return;
    }
    const next = new Head(batch.baseNs + BigInt(min), this.#expectedBytes, this.#memory);
    if (to - from === 1 || next.fits(batch.baseNs, min, max, bytes)) {
      try {
        next.append(batch, from, to, lineStart, lineEnd);
      } finally {
        // It throws where there is no memory; a head without rows would have no last one.
        if (next.rowCount > 0) this.#heads = this.#heads.concat(next);
        else next.release();
      }
      return;
    }
    // Timestamps of one push lie further apart than a head can hold: halve until they do not.
    const middle = from + Math.ceil((to - from) / 2);
    let split = lineStart;
    for (let row = from; row < middle; row++) split += lineLengths[row]!;
    this.#appendRun(batch, from, middle, lineStart, split);
    this.#appendRun(batch, middle, to, split, lineEnd);
  }

  #observe(batch: StreamBatch, rows: Uint32Array | null): void {
    const last = rows === null ? batch.rowCount - 1 : rows.at(-1)!;
    let newest = batch.offsetsNs[last]!;
    if (!batch.ascending) {
      const count = rows === null ? batch.rowCount : rows.length;
      for (let i = 0; i < count; i++) newest = Math.max(newest, batch.offsetsNs[rows === null ? i : rows[i]!]!);
    }
    this.lastNs = batch.baseNs + BigInt(batch.offsetsNs[last]!);
    const newestNs = newest === batch.offsetsNs[last] ? this.lastNs : batch.baseNs + BigInt(newest);
    if (this.newestNs === null || newestNs > this.newestNs) this.newestNs = newestNs;
  }
}

function metadataOf({ metaIndexes, metaEnds, metaBytes }: StreamBatch, row: number): Buffer {
  const set = metaIndexes[row]!;
  return set === 0
    ? metaBytes.subarray(0, 0)
    : metaBytes.subarray(set === 1 ? 0 : metaEnds[set - 2]!, metaEnds[set - 1]!);
}

/** For who looks at it for as long as he likes. */
export const copyOfRecent = ({ labels, blocks, heads }: RecentStream): RecentStream => ({
  labels,
  blocks: blocks.map(({ bytes, stats, filter }) => ({ bytes: bytes.slice(), stats, filter: filter.slice() })),
  heads: heads.map((head) => columnsOfHead(head)),
});
