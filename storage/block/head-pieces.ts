/**
 * Rows of one stream as an ingester takes them: records, one a push or a part of one, in pieces of shared memory. Nothing
 * of it moves while it grows. A thread that wants to look at the rows makes columns of them first.
 *
 *     piece   := record*
 *     record  := u32 rowCount  u32 lineBytes  u32 setCount  u32 metaBytes  f64 delta
 *                f64 offsetsNs[rowCount]  u32 lineLengths[rowCount]  u32 metaIndexes[rowCount]  u32 metaEnds[setCount]
 *                metaBytes  lineBytes        (padded to a multiple of 8)
 *
 * As in a push (`services/rpc/push-batch.ts`), but `delta` is added to each offset. `metaIndexes` count within the record.
 */
import { type ColumnMemory, freshMemory } from './column-memory.ts';
import type { HeadColumns } from './types.ts';

export const RECORD_HEADER_BYTES = 24;

/** A consistent view: what it names never changes, while more is written behind it. */
export interface HeadPieces {
  readonly rowCount: number;
  readonly lineBytes: number;
  readonly setCount: number;
  readonly metaBytes: number;
  readonly baseNs: bigint;
  readonly minNs: bigint;
  /** Inclusive. */
  readonly maxNs: bigint;
  /** As in `HeadColumns`. */
  readonly ascending: boolean;
  /** As in `HeadColumns`. */
  readonly metadataBytes: number;
  /** Of each piece, in order of arrival. */
  readonly memories: readonly (SharedArrayBuffer | ArrayBuffer)[];
  /** Of each piece where in its memory it starts and where the records in it end. */
  readonly bounds: readonly number[];
}

/** The rows of a head, in whichever form they came: columns when they crossed a wire. */
export type HeadRows = HeadColumns | HeadPieces;

/** What a record takes, its padding included. */
export const recordBytes = (rowCount: number, lineBytes: number, setCount: number, metaBytes: number): number =>
  (RECORD_HEADER_BYTES + 16 * rowCount + 4 * setCount + metaBytes + lineBytes + 7) & ~7;

/** Columns of the rows; of pieces in `memory`, which they fill without spare room. */
export function columnsOfHead(head: HeadRows, memory: ColumnMemory = freshMemory): HeadColumns {
  return 'memories' in head ? gather(head, memory) : head;
}

/**
 * The same heads in one memory of their own, a copy: for many small ones, of which each would take part in many shared
 * ones. Heads that came as columns stay as they are. `allocate` gives at least as many bytes, whatever is in them.
 */
export function packHeads(heads: readonly HeadRows[], allocate: (bytes: number) => SharedArrayBuffer): HeadRows[] {
  let size = 0;
  for (const head of heads) {
    if ('memories' in head)
      for (let i = 0; i < head.bounds.length; i += 2) size += head.bounds[i + 1]! - head.bounds[i]!;
  }
  const memory = allocate(size);
  const bytes = new Uint8Array(memory);
  let at = 0;
  return heads.map((head): HeadRows => {
    if (!('memories' in head)) return head;
    const start = at;
    head.memories.forEach((source, i) => {
      const from = head.bounds[2 * i]!;
      const length = head.bounds[2 * i + 1]! - from;
      Buffer.from(source, from, length).copy(bytes, at);
      at += length;
    });
    return { ...head, memories: [memory], bounds: [start, at] };
  });
}

function gather(head: HeadPieces, memory: ColumnMemory): HeadColumns {
  const { rowCount, baseNs, ascending, metadataBytes, memories, bounds } = head;
  const offsetsNs = memory.floats(rowCount);
  const lineEnds = memory.words(rowCount);
  const metaIndexes = memory.words(rowCount);
  const metaEnds = memory.words(head.setCount);
  const metaBytes = memory.bytes(head.metaBytes);
  const bytes = memory.bytes(head.lineBytes);
  let row = 0;
  let lineEnd = 0;
  let set = 0;
  let metaEnd = 0;
  for (let piece = 0; piece < memories.length; piece++) {
    const shared = memories[piece]!;
    const end = bounds[2 * piece + 1]!;
    const words = new Uint32Array(shared);
    const doubles = new Float64Array(shared);
    // Its `copy` is a memmove; setting an array to bytes of shared memory goes byte by byte, five times as long.
    const source = Buffer.from(shared);
    for (let at = bounds[2 * piece]!; at < end; ) {
      const rows = words[at >>> 2]!;
      const lineLength = words[(at >>> 2) + 1]!;
      const sets = words[(at >>> 2) + 2]!;
      const metaLength = words[(at >>> 2) + 3]!;
      const delta = doubles[(at >>> 3) + 2]!;
      const next = at + recordBytes(rows, lineLength, sets, metaLength);
      at += RECORD_HEADER_BYTES;
      const offsetsAt = at >>> 3;
      const lengthsAt = (at + 8 * rows) >>> 2;
      const indexesAt = lengthsAt + rows;
      const endsAt = indexesAt + rows;
      for (let i = 0; i < rows; i++) {
        offsetsNs[row] = doubles[offsetsAt + i]! + delta;
        lineEnd += words[lengthsAt + i]!;
        lineEnds[row] = lineEnd;
        const index = words[indexesAt + i]!;
        metaIndexes[row++] = index === 0 ? 0 : set + index;
      }
      for (let i = 0; i < sets; i++) metaEnds[set++] = metaEnd + words[endsAt + i]!;
      at = 4 * (endsAt + sets);
      source.copy(metaBytes, metaEnd, at, at + metaLength);
      metaEnd += metaLength;
      at += metaLength;
      source.copy(bytes, lineEnd - lineLength, at, at + lineLength);
      at = next;
    }
  }
  return { rowCount, baseNs, offsetsNs, lineEnds, bytes, metaIndexes, metaEnds, metaBytes, ascending, metadataBytes };
}
