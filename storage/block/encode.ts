import { isAscii } from 'node:buffer';
import { encodeFilter, letterGramsOf } from '../filter/index.ts';
import { type ColumnMemory, freshMemory } from './column-memory.ts';
import { compressColumn } from './compress.ts';
import {
  encodeBlock,
  KIND_LENGTHS,
  KIND_LINES,
  KIND_METADATA,
  MAX_BLOCK_ROWS,
  MAX_BLOCK_SPAN_NS,
  type StoredColumn,
} from './format.ts';
import { columnsOfHead, type HeadRows } from './head-pieces.ts';
import { encodeMetadataColumn } from './metadata-codec.ts';
import { MetadataCollector, type MetadataColumns } from './metadata-columns.ts';
import { orderRows } from './order.ts';
import { planeWidth, writePlanes } from './planes.ts';
import { encodeTimestamps } from './timestamps.ts';
import type { EncodedBlock, HeadColumns } from './types.ts';

export interface BlockLimits {
  readonly maxRows: number;
  /** A block ends before the line that would pass this; one longer line is a block of its own. */
  readonly maxLineBytes: number;
  /** Bounded by the format's own 2^52 ns, 52 days. */
  readonly maxSpanNs: number;
}

/** Small enough that opening a block for one row is cheap, large enough that zstd sees the stream's habits. */
export const defaultBlockLimits: BlockLimits = { maxRows: 16_384, maxLineBytes: 2 ** 20, maxSpanNs: 2 ** 52 };

/** Of lines that may be worth more work: less than this is compressed too seldom, and often of few words. */
const MIN_WORTH_MORE_BYTES = 64 * 1024;
const MAX_LETTER_GRAMS = 192;

const NO_NAME = new Uint8Array(0);

/**
 * Sorts a head's rows by time and arrival, drops exact repetitions, and cuts the rest into blocks, oldest first.
 * Synchronous and heavy (about 4 ms per MB of lines): for a worker thread. The head is only read; the columns of one that
 * comes in pieces lie in `memory`, the blocks do not.
 */
export function encodeBlocks(
  rows: HeadRows,
  limits: BlockLimits = defaultBlockLimits,
  memory: ColumnMemory = freshMemory,
): EncodedBlock[] {
  const head = columnsOfHead(rows, memory);
  const order = orderRows(head);
  const rowCount = order ? order.length : head.rowCount;
  const { offsetsNs, lineEnds } = head;
  const maxRows = Math.max(1, Math.min(limits.maxRows, MAX_BLOCK_ROWS));
  const maxSpanNs = Math.min(limits.maxSpanNs, MAX_BLOCK_SPAN_NS);
  const metadata = new MetadataCollector(head);
  const blocks: EncodedBlock[] = [];
  for (let from = 0; from < rowCount; ) {
    const firstNs = offsetsNs[order ? order[from]! : from]!;
    let lineBytes = 0;
    let to = from;
    for (; to < rowCount && to - from < maxRows; to++) {
      const row = order ? order[to]! : to;
      const length = lineEnds[row]! - (row === 0 ? 0 : lineEnds[row - 1]!);
      if (to > from && (lineBytes + length > limits.maxLineBytes || offsetsNs[row]! - firstNs >= maxSpanNs)) break;
      lineBytes += length;
    }
    blocks.push(encodeRange(head, order, from, to, lineBytes, metadata.collect(order, from, to)));
    from = to;
  }
  return blocks;
}

function encodeRange(
  head: HeadColumns,
  order: Uint32Array | null,
  from: number,
  to: number,
  lineBytes: number,
  { columns: metadata, metadataBytes }: MetadataColumns,
): EncodedBlock {
  const rowCount = to - from;
  const { offsetsNs, lineEnds } = head;
  const first = offsetsNs[order ? order[from]! : from]!;
  const last = offsetsNs[order ? order[to - 1]! : to - 1]!;
  const offsets = new Float64Array(rowCount);
  const lengths = new Uint32Array(rowCount);
  for (let i = 0; i < rowCount; i++) {
    const row = order ? order[from + i]! : from + i;
    offsets[i] = offsetsNs[row]! - first;
    lengths[i] = lineEnds[row]! - (row === 0 ? 0 : lineEnds[row - 1]!);
  }
  const lines = gatherLines(head, order, from, to, lineBytes);
  const columns: StoredColumn[] = [
    encodeTimestamps(offsets),
    compressColumn(KIND_LENGTHS, NO_NAME, encodeLengths(lengths)),
  ];
  for (const column of metadata) {
    columns.push(compressColumn(KIND_METADATA, Buffer.from(column.name, 'latin1'), encodeMetadataColumn(column)));
  }
  const filter = encodeFilter(lines, metadata);
  columns.push(compressColumn(KIND_LINES, NO_NAME, lines, isWorthMore(lines, filter)));
  const minNs = head.baseNs + BigInt(first);
  const maxNs = head.baseNs + BigInt(last);
  const bytes = encodeBlock({ rowCount, ascii: isAscii(lines), lineBytes, metadataBytes, minNs, maxNs }, columns);
  const stats = { minNs, maxNs, rowCount, lineBytes, metadataBytes, encodedBytes: bytes.length };
  return { bytes, stats, filter };
}

/**
 * Whether lines become much smaller when more is done to compress them: those of few words, such as access logs, whose
 * fields go together in ever new ways, so that of many earlier places one goes on longer. Lines of many words come again
 * as a whole, which the fast way finds as well.
 */
function isWorthMore(lines: Uint8Array, filter: Uint8Array): boolean {
  return lines.length >= MIN_WORTH_MORE_BYTES && letterGramsOf(filter) <= MAX_LETTER_GRAMS;
}

/** Lines of rows `from .. to` touching each other: a view of the head when they already do. */
export function gatherLines(
  head: HeadColumns,
  order: Uint32Array | null,
  from: number,
  to: number,
  lineBytes: number,
): Buffer {
  const { bytes, lineEnds } = head;
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (order === null) {
    const start = from === 0 ? 0 : lineEnds[from - 1]!;
    return source.subarray(start, start + lineBytes);
  }
  const lines = Buffer.allocUnsafeSlow(lineBytes);
  let at = 0;
  for (let i = from; i < to; ) {
    // Rows that also stand side by side in the head are copied at once.
    const row = order[i]!;
    let last = row;
    for (i++; i < to && order[i] === last + 1; i++) last++;
    const start = row === 0 ? 0 : lineEnds[row - 1]!;
    const end = lineEnds[last]!;
    source.copy(lines, at, start, end);
    at += end - start;
  }
  return lines;
}

/** `u8 width  planes(rowCount lengths)`. */
function encodeLengths(lengths: Uint32Array): Uint8Array {
  const width = planeWidth(lengths, lengths.length);
  const out = new Uint8Array(1 + width * lengths.length);
  out[0] = width;
  writePlanes(out, 1, lengths, lengths.length, width);
  return out;
}
