import { isAscii } from 'node:buffer';
import type { BlockColumns, MetadataColumn } from '../../logql/source.ts';
import { type ColumnMemory, freshMemory } from './column-memory.ts';
import { gatherLines } from './encode.ts';
import { columnsOfHead, type HeadRows } from './head-pieces.ts';
import { MetadataCollector, type RawMetadataColumn } from './metadata-columns.ts';
import { orderRows } from './order.ts';
import type { WantedColumns } from './reader.ts';
import type { HeadColumns } from './types.ts';

/**
 * Rows that are not yet a block, as a block would show them: in order, exact repetitions dropped. When the head is
 * ascending, `offsetsNs` and `bytes` are views of it, or lie in `memory` when it comes in pieces. A head without rows
 * gives columns without rows.
 */
export function headToColumns(rows: HeadRows, want: WantedColumns, memory: ColumnMemory = freshMemory): BlockColumns {
  const head = columnsOfHead(rows, memory);
  const order = orderRows(head);
  const { offsetsNs, lineEnds, baseNs } = head;
  const rowCount = order ? order.length : head.rowCount;
  const lineStarts = new Uint32Array(rowCount + 1);
  let offsets: Float64Array;
  if (order === null) {
    offsets = offsetsNs.subarray(0, rowCount);
    lineStarts.set(lineEnds.subarray(0, rowCount), 1);
  } else {
    offsets = new Float64Array(rowCount);
    let end = 0;
    for (let i = 0; i < rowCount; i++) {
      const row = order[i]!;
      offsets[i] = offsetsNs[row]!;
      end += lineEnds[row]! - (row === 0 ? 0 : lineEnds[row - 1]!);
      lineStarts[i + 1] = end;
    }
  }
  const bytes = want.lines ? gatherLines(head, order, 0, rowCount, lineStarts[rowCount]!) : null;
  return {
    rowCount,
    baseNs,
    offsetsNs: offsets,
    lineStarts,
    bytes,
    // Without lines nobody asks; `false` is then the careful answer.
    ascii: bytes !== null && isAscii(bytes),
    metadata: metadataColumns(head, order, rowCount, want.metadata),
  };
}

function metadataColumns(
  head: HeadColumns,
  order: Uint32Array | null,
  rowCount: number,
  wanted: ReadonlySet<string> | null,
): MetadataColumn[] {
  if (wanted !== null && wanted.size === 0) return [];
  const text = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
  return new MetadataCollector(head)
    .collect(order, 0, rowCount)
    .columns.map((column: RawMetadataColumn) => ({ column, name: text(column.name) }))
    .filter(({ name }) => wanted === null || wanted.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ column, name }) => new HeadMetadata(name, column));
}

/** Makes its values when they are asked for. */
class HeadMetadata implements MetadataColumn {
  readonly name: string;
  readonly #column: RawMetadataColumn;
  /** Those that somebody has asked for, by index. */
  readonly #values: (string | undefined)[];
  #all: readonly string[] | null = null;

  constructor(name: string, column: RawMetadataColumn) {
    this.name = name;
    this.#column = column;
    this.#values = new Array(column.valueCount + 1);
  }

  get indexes(): Uint32Array {
    return this.#column.indexes;
  }

  valueAt(index: number): string {
    if (index === 0) return '';
    const { source, starts, ends } = this.#column;
    return (this.#values[index] ??= source.toString('utf8', starts[index - 1], ends[index - 1]));
  }

  get values(): readonly string[] {
    this.#all ??= Array.from(this.#values, (_, index) => this.valueAt(index));
    return this.#all;
  }
}
