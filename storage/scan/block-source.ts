import type { BlockColumns } from '../../logql/source.ts';
import { searchableMemory } from '../../logql/stages/index.ts';
import {
  type BlockReader,
  blocksToCompare,
  CorruptBlockError,
  columnsOfHead,
  headToColumns,
  markDuplicates,
  openBlock,
  overlappingDuplicates,
  ReusedMemory,
  shareTime,
  type WantedColumns,
} from '../block/index.ts';
import { type CompiledDelete, compileDeletes, type DeleteRule, deletedRows } from '../compaction/index.ts';
import { type ObjectStore, ObjectStoreError } from '../objectstore/index.ts';
import { type ArrivedBlock, overlap } from './chains.ts';
import type { RowTimes } from './first-times.ts';
import type { FrontCheck } from './front-check.ts';
import { newScanStats, type ScanStats } from './scan-stats.ts';
import type { BlockRef, ScanUnit, StoredBlockRef } from './units.ts';

export interface OpenBlock {
  readonly columns: BlockColumns;
  /** Rows that stand in an earlier block of the stream too or that were deleted, 1 each; null when there are none. */
  readonly duplicates: Uint8Array | null;
  /** Grows in order of arrival, among the blocks of a stream whose times overlap. */
  readonly sequence: number;
}

const WHOLE: WantedColumns = { lines: true, metadata: null };
const ALL_BUT_LINES: WantedColumns = { lines: false, lengths: true, metadata: null };
const TIMES: WantedColumns = { lines: false, lengths: false, metadata: new Set() };
/** Delete requests whose stages a thread keeps compiled. */
const MAX_COMPILED_DELETES = 100;

interface Opened {
  readonly ref: BlockRef;
  readonly sequence: number;
  columns: BlockColumns;
  /** Its lines were needed and cannot be read. */
  isLost: boolean;
}

/**
 * Opens the blocks of units, wherever they lie, and counts what it read. A block that is corrupt or gone is counted and
 * left out. What one `open` answered is void when the next one begins: its memory is used again.
 */
export class BlockSource {
  readonly #store: ObjectStore;
  /** By id of the request, the latest used last. */
  readonly #deletes = new Map<string, CompiledDelete>();
  readonly #memory = new ReusedMemory(searchableMemory);
  /** For blocks that are compared with those of a unit, one at a time. */
  readonly #otherMemory = new ReusedMemory();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /**
   * A block that lies alone is left out when `check` says that no row of it matters. Throws ObjectStoreError when a
   * stored block cannot be read.
   */
  async open(
    unit: ScanUnit,
    wanted: WantedColumns,
    stats: ScanStats,
    check: FrontCheck | null = null,
  ): Promise<OpenBlock[]> {
    this.#memory.reset();
    const { deletes } = unit;
    if (deletes === undefined) return this.#open(unit, wanted, stats, check);
    const isPlain = deletes.every(({ stages }) => stages.length === 0);
    const blocks = await this.#open(unit, isPlain ? wanted : { lines: true, metadata: null }, stats, check);
    const compiled = deletes.map((rule) => this.#compiled(rule));
    return blocks.map(({ columns, duplicates, sequence }) => ({
      columns,
      duplicates: deletedRows(columns, unit.labels, compiled, duplicates),
      sequence,
    }));
  }

  /**
   * The times of a unit's rows, if they are at hand at little cost and each of them counts; null if not, or if the block
   * is damaged, which is counted when it is opened. Throws ObjectStoreError.
   */
  async timesOf({ blocks, others, deletes }: ScanUnit): Promise<RowTimes | null> {
    const [ref] = blocks;
    if (ref === undefined || blocks.length > 1 || others !== undefined || deletes !== undefined) return null;
    this.#memory.reset();
    if (ref.kind === 'head') {
      if (!ref.head.ascending) return null;
      const { baseNs, offsetsNs, rowCount } = columnsOfHead(ref.head, this.#memory);
      return { baseNs, offsetsNs: offsetsNs.subarray(0, rowCount) };
    }
    return this.#columns(ref, TIMES, newScanStats(), true);
  }

  #compiled(rule: DeleteRule): CompiledDelete {
    const known = this.#deletes.get(rule.id) ?? compileDeletes([rule])[0]!;
    this.#deletes.delete(rule.id);
    this.#deletes.set(rule.id, known);
    if (this.#deletes.size > MAX_COMPILED_DELETES) this.#deletes.delete(this.#deletes.keys().next().value!);
    return known;
  }

  async #open(unit: ScanUnit, wanted: WantedColumns, stats: ScanStats, check: FrontCheck | null): Promise<OpenBlock[]> {
    const { blocks, arrivals, others = [] } = unit;
    if (blocks.length === 1 && others.length === 0) {
      const columns = await this.#checkedColumns(unit, blocks[0]!, wanted, stats, check);
      return columns ? [{ columns, duplicates: null, sequence: arrivals?.[0] ?? 0 }] : [];
    }
    const opened: Opened[] = [];
    for (const [i, ref] of blocks.entries()) {
      // What opening costs for a head is its order, and its lines come with that.
      const columns = await this.#columns(ref, wanted.lines || ref.kind === 'head' ? WHOLE : ALL_BUT_LINES, stats);
      if (columns) opened.push({ ref, sequence: arrivals?.[i] ?? i, columns, isLost: false });
    }
    // Neighbours often meet in one timestamp, so that all blocks of a stream hang together, and share nothing.
    const compared = wanted.lines ? new Set<number>() : blocksToCompare(opened.map(({ columns }) => columns));
    for (const place of compared) await this.#readLines(opened[place]!, stats);
    const left = opened.filter(({ isLost }) => !isLost);
    const masks = overlappingDuplicates(left.map(({ columns }) => columns));
    for (const other of others) await this.#compare(left, masks, other, stats);
    return left.flatMap(({ columns, sequence, isLost }, i) => {
      if (isLost) return [];
      const duplicates = masks[i]!;
      if (duplicates) for (const duplicate of duplicates) stats.duplicates += duplicate;
      return [{ columns, sequence, duplicates }];
    });
  }

  /** Marks the rows of `opened` that `other`, a block of another unit, has and that arrived there before. */
  async #compare(
    opened: readonly Opened[],
    masks: (Uint8Array | null)[],
    other: ArrivedBlock,
    stats: ScanStats,
  ): Promise<void> {
    const { block, arrival } = other;
    const places = opened.keys().filter((i) => {
      const { ref, sequence, isLost } = opened[i]!;
      return !isLost && sequence > arrival && overlap(ref, block);
    });
    this.#otherMemory.reset();
    try {
      const columnsOf = await this.#other(block, ALL_BUT_LINES, stats);
      const times = columnsOf(TIMES);
      const meeting = [...places].filter((i) => shareTime(times, opened[i]!.columns));
      if (meeting.length === 0) return;
      const unread = columnsOf(ALL_BUT_LINES);
      const alike = meeting.filter((i) => markDuplicates(unread, opened[i]!.columns, null) !== null);
      if (alike.length === 0) return;
      const whole = (await this.#other(block, WHOLE, stats))(WHOLE);
      for (const i of alike) {
        await this.#readLines(opened[i]!, stats);
        masks[i] = markDuplicates(whole, opened[i]!.columns, masks[i]!);
      }
    } catch (error: unknown) {
      // What is wrong with it is counted where its own rows are looked at: it has none to compare.
      if (!isDamage(error)) throw error;
    }
  }

  /** What opens columns of a block of another unit. They last until the next one is opened. */
  async #other(
    ref: BlockRef,
    wanted: WantedColumns,
    stats: ScanStats,
  ): Promise<(wanted: WantedColumns) => BlockColumns> {
    const memory = this.#otherMemory;
    if (ref.kind === 'head') {
      const head = columnsOfHead(ref.head, memory);
      return (columns) => headToColumns(head, columns);
    }
    const block = ref.kind === 'memory' ? openBlock(ref.bytes) : await this.#openStored(ref, wanted, stats, memory);
    return (columns) => block.columns(columns, memory);
  }

  async #readLines(opened: Opened, stats: ScanStats): Promise<void> {
    if (opened.columns.bytes !== null) return;
    const whole = await this.#columns(opened.ref, WHOLE, stats, true);
    if (whole === null) opened.isLost = true;
    else opened.columns = whole;
  }

  /** Null also when no row of the block matters. */
  async #checkedColumns(
    { labels }: ScanUnit,
    ref: BlockRef,
    wanted: WantedColumns,
    stats: ScanStats,
    check: FrontCheck | null,
  ): Promise<BlockColumns | null> {
    if (check === null || !check.isWorthwhile) return this.#columns(ref, wanted, stats);
    // What opening costs for a head is its order, and its lines come with that.
    if (!wanted.lines || ref.kind === 'head') {
      const columns = await this.#columns(ref, wanted, stats);
      return columns === null || check.mayMatter(columns, labels) ? columns : null;
    }
    const front = await this.#columns(ref, { lines: false, lengths: false, metadata: check.metadata }, stats);
    if (front === null || !check.mayMatter(front, labels)) return null;
    return this.#columns(ref, wanted, stats, true);
  }

  /** `again`: the block was counted when its other columns were opened. */
  async #columns(ref: BlockRef, wanted: WantedColumns, stats: ScanStats, again = false): Promise<BlockColumns | null> {
    try {
      if (ref.kind === 'stored') {
        const block = await this.#openStored(ref, wanted, stats, this.#memory);
        const columns = block.columns(wanted, this.#memory);
        if (wanted.lines) stats.storedLineBytes += ref.lineBytes;
        if (again) return columns;
        stats.storedBlocks++;
        stats.storedRows += ref.rowCount;
        stats.storedMetadataBytes += ref.metadataBytes;
        return columns;
      }
      const columns =
        ref.kind === 'memory'
          ? openBlock(ref.bytes).columns(wanted, this.#memory)
          : headToColumns(ref.head, wanted, this.#memory);
      if (wanted.lines) stats.recentLineBytes += ref.lineBytes;
      if (again) return columns;
      stats.recentBlocks++;
      stats.recentRows += columns.rowCount;
      stats.recentMetadataBytes += ref.metadataBytes;
      return columns;
    } catch (error: unknown) {
      if (!isDamage(error)) throw error;
      stats.corruptBlocks++;
      return null;
    }
  }

  /** Reads enough of a block for what is wanted. */
  async #openStored(
    ref: StoredBlockRef,
    wanted: WantedColumns,
    stats: ScanStats,
    memory: ReusedMemory,
  ): Promise<BlockReader> {
    const store = this.#store;
    const allocate = (bytes: number): Uint8Array => memory.bytes(bytes);
    const { offset } = ref;
    let length = wanted.lines ? ref.length : ref.linesOffset;
    if (store.getSync === undefined) {
      stats.storedReadBytes += length;
      return openBlock(await store.get(ref.segment, { offset, length }));
    }
    // Reading twice costs less than to read metadata that nobody wants; most blocks have not what is asked for by name.
    if (!wanted.lines && wanted.metadata !== null) length = Math.min(length, usualBytes(ref.rowCount, wanted));
    stats.storedReadBytes += length;
    const block = openBlock(store.getSync(ref.segment, { offset, length }, allocate));
    const needed = block.bytesFor(wanted);
    if (needed <= length) return block;
    stats.storedReadBytes += needed;
    return openBlock(store.getSync(ref.segment, { offset, length: needed }, allocate));
  }
}

/** Header, directory and timestamps rarely need more, also with line lengths. */
function usualBytes(rowCount: number, { lengths = true }: WantedColumns): number {
  return 1024 + rowCount * (lengths ? 5 : 3);
}

/** A block that no retry brings back: its bytes are wrong, its object is gone or shorter than its index says. */
function isDamage(error: unknown): boolean {
  if (error instanceof ObjectStoreError) return error.code === 'not_found' || error.code === 'invalid';
  return error instanceof CorruptBlockError;
}

/** The first row at or after `ns`; the number of rows when there is none. */
export function firstRowAtOrAfter({ baseNs, offsetsNs: offsets }: RowTimes, ns: bigint): number {
  const relative = ns - baseNs;
  if (relative <= BigInt(Number.MIN_SAFE_INTEGER)) return 0;
  if (relative >= BigInt(Number.MAX_SAFE_INTEGER)) return offsets.length;
  const target = Number(relative);
  let low = 0;
  let high = offsets.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (offsets[middle]! < target) low = middle + 1;
    else high = middle;
  }
  return low;
}
