import type { BlockColumns } from '../../logql/source.ts';
import {
  type BlockReader,
  blocksToCompare,
  CorruptBlockError,
  headToColumns,
  openBlock,
  overlappingDuplicates,
  ReusedMemory,
  type WantedColumns,
} from '../block/index.ts';
import { type CompiledDelete, compileDeletes, type DeleteRule, deletedRows } from '../compaction/index.ts';
import { type ObjectStore, ObjectStoreError } from '../objectstore/index.ts';
import type { ScanStats } from './scan-stats.ts';
import type { BlockRef, ScanUnit, StoredBlockRef } from './units.ts';

export interface OpenBlock {
  readonly columns: BlockColumns;
  /** Rows that stand in an earlier block of the unit too or that were deleted, 1 each; null when there are none. */
  readonly duplicates: Uint8Array | null;
}

const WHOLE: WantedColumns = { lines: true, metadata: null };
const ALL_BUT_LINES: WantedColumns = { lines: false, lengths: true, metadata: null };
/** Delete requests whose stages a thread keeps compiled. */
const MAX_COMPILED_DELETES = 100;

/**
 * Opens the blocks of units, wherever they lie, and counts what it read. A block that is corrupt or gone is counted and
 * left out. What one `open` answered is void when the next one begins: its memory is used again.
 */
export class BlockSource {
  readonly #store: ObjectStore;
  /** By id of the request, the latest used last. */
  readonly #deletes = new Map<string, CompiledDelete>();
  readonly #memory = new ReusedMemory();
  readonly #read = (length: number): Uint8Array => this.#memory.bytes(length);

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Throws ObjectStoreError when a stored block cannot be read. */
  async open(unit: ScanUnit, wanted: WantedColumns, stats: ScanStats): Promise<OpenBlock[]> {
    this.#memory.reset();
    const { deletes } = unit;
    if (deletes === undefined) return this.#open(unit, wanted, stats);
    const isPlain = deletes.every(({ stages }) => stages.length === 0);
    const blocks = await this.#open(unit, isPlain ? wanted : { lines: true, metadata: null }, stats);
    const compiled = deletes.map((rule) => this.#compiled(rule));
    return blocks.map(({ columns, duplicates }) => ({
      columns,
      duplicates: deletedRows(columns, unit.labels, compiled, duplicates),
    }));
  }

  #compiled(rule: DeleteRule): CompiledDelete {
    const known = this.#deletes.get(rule.id) ?? compileDeletes([rule])[0]!;
    this.#deletes.delete(rule.id);
    this.#deletes.set(rule.id, known);
    if (this.#deletes.size > MAX_COMPILED_DELETES) this.#deletes.delete(this.#deletes.keys().next().value!);
    return known;
  }

  async #open(unit: ScanUnit, wanted: WantedColumns, stats: ScanStats): Promise<OpenBlock[]> {
    if (unit.blocks.length === 1) {
      const columns = await this.#columns(unit.blocks[0]!, wanted, stats);
      return columns ? [{ columns, duplicates: null }] : [];
    }
    const all = wanted.lines
      ? await this.#whole(unit.blocks, stats)
      : await this.#wholeWhereCompared(unit.blocks, stats);
    const masks = overlappingDuplicates(all);
    return all.map((columns, i) => {
      const duplicates = masks[i] ?? null;
      if (duplicates) for (const duplicate of duplicates) stats.duplicates += duplicate;
      return { columns, duplicates };
    });
  }

  async #whole(blocks: readonly BlockRef[], stats: ScanStats): Promise<BlockColumns[]> {
    const all: BlockColumns[] = [];
    for (const block of blocks) {
      const columns = await this.#columns(block, WHOLE, stats);
      if (columns) all.push(columns);
    }
    return all;
  }

  /**
   * For a reader that wants no lines: opens those of blocks that have rows alike in all else. Neighbours often meet in
   * one timestamp, so that all blocks of a stream hang together, and share nothing.
   */
  async #wholeWhereCompared(blocks: readonly BlockRef[], stats: ScanStats): Promise<BlockColumns[]> {
    const opened: { readonly ref: BlockRef; readonly columns: BlockColumns }[] = [];
    for (const ref of blocks) {
      // What opening costs for a head is its order, and its lines come with that.
      const columns = await this.#columns(ref, ref.kind === 'head' ? WHOLE : ALL_BUT_LINES, stats);
      if (columns) opened.push({ ref, columns });
    }
    const compared = blocksToCompare(opened.map(({ columns }) => columns));
    const all: BlockColumns[] = [];
    for (const [place, { ref, columns }] of opened.entries()) {
      const isOpen = columns.bytes !== null || !compared.has(place);
      const whole = isOpen ? columns : await this.#columns(ref, WHOLE, stats, true);
      if (whole) all.push(whole);
    }
    return all;
  }

  /** `again`: the block was counted when its other columns were opened. */
  async #columns(ref: BlockRef, wanted: WantedColumns, stats: ScanStats, again = false): Promise<BlockColumns | null> {
    try {
      if (ref.kind === 'stored') {
        const block = await this.#openStored(ref, wanted, stats);
        const columns = block.columns(wanted, this.#memory);
        if (wanted.lines) stats.storedLineBytes += ref.lineBytes;
        if (again) return columns;
        stats.storedBlocks++;
        stats.storedRows += ref.rowCount;
        stats.storedMetadataBytes += ref.metadataBytes;
        return columns;
      }
      const columns =
        ref.kind === 'memory' ? openBlock(ref.bytes).columns(wanted, this.#memory) : headToColumns(ref.head, wanted);
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
  async #openStored(ref: StoredBlockRef, wanted: WantedColumns, stats: ScanStats): Promise<BlockReader> {
    const store = this.#store;
    const { offset } = ref;
    let length = wanted.lines ? ref.length : ref.linesOffset;
    if (store.getSync === undefined) {
      stats.storedReadBytes += length;
      return openBlock(await store.get(ref.segment, { offset, length }));
    }
    // Reading twice costs less than to read metadata that nobody wants; most blocks have not what is asked for by name.
    if (!wanted.lines && wanted.metadata !== null) length = Math.min(length, usualBytes(ref.rowCount, wanted));
    stats.storedReadBytes += length;
    const block = openBlock(store.getSync(ref.segment, { offset, length }, this.#read));
    const needed = block.bytesFor(wanted);
    if (needed <= length) return block;
    stats.storedReadBytes += needed;
    return openBlock(store.getSync(ref.segment, { offset, length: needed }, this.#read));
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

/** The first row at or after `ns`; `rowCount` when there is none. */
export function firstRowAtOrAfter(columns: BlockColumns, ns: bigint): number {
  const relative = ns - columns.baseNs;
  const offsets = columns.offsetsNs;
  if (relative <= BigInt(Number.MIN_SAFE_INTEGER)) return 0;
  if (relative >= BigInt(Number.MAX_SAFE_INTEGER)) return columns.rowCount;
  const target = Number(relative);
  let low = 0;
  let high = columns.rowCount;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (offsets[middle]! < target) low = middle + 1;
    else high = middle;
  }
  return low;
}
