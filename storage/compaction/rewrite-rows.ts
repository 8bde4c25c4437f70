import type { Labels } from '../../logql/labels.ts';
import type { BlockColumns } from '../../logql/source.ts';
import { type BlockLimits, encodeBlocks, encodeMetadataSet, type MetadataPairs } from '../block/index.ts';
import type { BlockStats, EncodedBlock, HeadColumns } from '../block/types.ts';
import { type CompiledDelete, deletedRows } from './row-deletes.ts';

/** A block whose columns are read when they are needed. */
export interface StoredBlock {
  readonly stats: BlockStats;
  /** With lines and all metadata. */
  columns(): Promise<BlockColumns>;
}

/** Rows of one stream that become new blocks. */
export interface RowSource {
  readonly labels: Labels;
  /** In order of arrival; their times may overlap. */
  readonly blocks: readonly StoredBlock[];
  /** Rows before this are left out. */
  readonly keepFromNs: bigint;
  readonly deletes: readonly CompiledDelete[];
  readonly limits: BlockLimits;
}

/** Lines and metadata held decoded at once; a longer stretch of rows is written in several. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** Times are doubles relative to the first one: exact so far. */
export const MAX_SPAN_NS = 2n ** 53n;

/**
 * The rows of the blocks between two times (inclusive, less than MAX_SPAN_NS apart) in order of time and, within a time,
 * of arrival; exact repetitions and what is to go left out. `emit` takes the new blocks, oldest first. Holds one decoded
 * block and MAX_HELD_BYTES of rows. Returns how many rows a delete request took out. Throws what `columns` and `emit`
 * throw.
 */
export async function rewriteRows(
  source: RowSource,
  fromNs: bigint,
  untilNs: bigint,
  emit: (block: EncodedBlock) => Promise<void>,
): Promise<number> {
  // Rows of one time stay together: only then repetitions are seen.
  const blocks = source.blocks.filter(({ stats }) => stats.minNs <= untilNs && stats.maxNs >= fromNs);
  const bytes = blocks.reduce((sum, { stats }) => sum + bytesBetween(stats, fromNs, untilNs), 0);
  if (bytes > MAX_HELD_BYTES && blocks.length > 1 && fromNs < untilNs) {
    const middle = fromNs + (untilNs - fromNs) / 2n;
    const earlier = await rewriteRows({ ...source, blocks }, fromNs, middle, emit);
    return earlier + (await rewriteRows({ ...source, blocks }, middle + 1n, untilNs, emit));
  }
  const head = new RowCollector(fromNs);
  let deleted = 0;
  for (const block of blocks) {
    const columns = await block.columns();
    const mask = deletedRows(columns, source.labels, source.deletes, null);
    deleted += head.add(columns, mask, maxOf(fromNs, source.keepFromNs), untilNs);
  }
  if (head.rowCount > 0) for (const block of encodeBlocks(head.columns(), source.limits)) await emit(block);
  return deleted;
}

function bytesBetween(stats: BlockStats, fromNs: bigint, untilNs: bigint): number {
  const { minNs, maxNs } = stats;
  const bytes = stats.lineBytes + stats.metadataBytes;
  if (minNs === maxNs) return bytes;
  const from = maxOf(minNs, fromNs);
  const until = maxNs < untilNs ? maxNs : untilNs;
  return (bytes * Number(until - from + 1n)) / Number(maxNs - minNs + 1n);
}

const maxOf = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** Rows of several blocks as an ingester would hold them. */
class RowCollector {
  rowCount = 0;
  readonly #baseNs: bigint;
  readonly #offsetsNs: number[] = [];
  readonly #lineEnds: number[] = [];
  readonly #metaIndexes: number[] = [];
  readonly #sets: Buffer[] = [];
  /** Lines are copied: a view would keep its whole block in memory. */
  #lines = Buffer.alloc(64 * 1024);
  #lineBytes = 0;

  constructor(baseNs: bigint) {
    this.#baseNs = baseNs;
  }

  /** Takes over the rows within the time that the mask leaves; returns how many in that time it does not. */
  add(columns: BlockColumns, mask: Uint8Array | null, fromNs: bigint, untilNs: bigint): number {
    const { rowCount, offsetsNs, lineStarts } = columns;
    const bytes = columns.bytes!;
    const shift = Number(columns.baseNs - this.#baseNs);
    const from = Number(fromNs - this.#baseNs);
    const until = Number(untilNs - this.#baseNs);
    const setOf = this.#setNumbers(columns);
    let masked = 0;
    for (let row = 0; row < rowCount; row++) {
      const offset = offsetsNs[row]! + shift;
      if (offset < from || offset > until) continue;
      if (mask !== null && mask[row] === 1) {
        masked++;
        continue;
      }
      this.#offsetsNs.push(offset);
      this.#appendLine(bytes, lineStarts[row]!, lineStarts[row + 1]!);
      this.#metaIndexes.push(setOf(row));
      this.rowCount++;
    }
    return masked;
  }

  columns(): HeadColumns {
    const metaEnds = new Uint32Array(this.#sets.length);
    let end = 0;
    this.#sets.forEach((set, i) => {
      metaEnds[i] = end += set.length;
    });
    return {
      rowCount: this.rowCount,
      baseNs: this.#baseNs,
      offsetsNs: Float64Array.from(this.#offsetsNs),
      lineEnds: Uint32Array.from(this.#lineEnds),
      bytes: this.#lines.subarray(0, this.#lineBytes),
      metaIndexes: Uint32Array.from(this.#metaIndexes),
      metaEnds,
      metaBytes: Buffer.concat(this.#sets),
      metadataBytes: 0, // the encoder counts for itself
      ascending: false,
    };
  }

  #appendLine(bytes: Buffer, start: number, end: number): void {
    const until = this.#lineBytes + end - start;
    if (until > this.#lines.length) {
      const larger = Buffer.alloc(Math.max(until, 2 * this.#lines.length));
      this.#lines.copy(larger, 0, 0, this.#lineBytes);
      this.#lines = larger;
    }
    bytes.copy(this.#lines, this.#lineBytes, start, end);
    this.#lineBytes = until;
    this.#lineEnds.push(until);
  }

  /** Per row 1 + the number of its metadata set, 0 without; equal sets of one block are encoded once. */
  #setNumbers({ metadata }: BlockColumns): (row: number) => number {
    if (metadata.length === 0) return () => 0;
    const known = new Map<string, number>();
    return (row) => {
      let key = '';
      for (const { indexes } of metadata) key += `${indexes[row]},`;
      let number = known.get(key);
      if (number === undefined) {
        const pairs: MetadataPairs = metadata
          .filter(({ indexes }) => indexes[row] !== 0)
          .map((column) => [column.name, column.valueAt(column.indexes[row]!)]);
        number = pairs.length === 0 ? 0 : this.#sets.push(encodeMetadataSet(pairs));
        known.set(key, number);
      }
      return number;
    };
  }
}
