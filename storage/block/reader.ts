import type { BlockColumns, MetadataColumn } from '../../logql/source.ts';
import { type ColumnMemory, freshMemory } from './column-memory.ts';
import { decompressColumn } from './compress.ts';
import { CorruptBlockError } from './corrupt-block-error.ts';
import {
  type BlockHeader,
  type ColumnPlace,
  decodeBlockHeader,
  KIND_LENGTHS,
  KIND_LINES,
  KIND_METADATA,
  KIND_TIMESTAMPS,
} from './format.ts';
import { decodeMetadataColumn } from './metadata-codec.ts';
import { readPlanes } from './planes.ts';
import { decodeTimestamps } from './timestamps.ts';
import type { BlockStats } from './types.ts';

/** Which columns a reader opens; timestamps are always among them. */
export interface WantedColumns {
  readonly lines: boolean;
  /** With `false`, and without lines, `lineStarts` may be all 0. */
  readonly lengths?: boolean;
  /** Names of metadata columns; null for all. */
  readonly metadata: ReadonlySet<string> | null;
}

/**
 * Checks header and directory; columns are read and checked on demand. `bytes` stays the caller's and must not change
 * while the reader or what it returned is used. Throws CorruptBlockError.
 */
export function openBlock(bytes: Uint8Array): BlockReader {
  return new BlockReader(bytes);
}

export class BlockReader {
  readonly stats: BlockStats;
  readonly ascii: boolean;
  /** Enough of the block, in bytes from its start, for everything but its lines. */
  readonly linesOffset: number;
  readonly #bytes: Uint8Array;
  readonly #header: BlockHeader;
  readonly #places: readonly ColumnPlace[];

  constructor(bytes: Uint8Array) {
    const { header, columns } = decodeBlockHeader(bytes);
    this.#bytes = bytes;
    this.#header = header;
    this.#places = columns;
    this.ascii = header.ascii;
    const { minNs, maxNs, rowCount, lineBytes, metadataBytes, encodedBytes } = header;
    this.stats = { minNs, maxNs, rowCount, lineBytes, metadataBytes, encodedBytes };
    this.linesOffset = this.#place(KIND_LINES, 'lines').offset;
  }

  /** Names of the metadata columns, in order. */
  get metadataNames(): string[] {
    return this.#places.filter((p) => p.kind === KIND_METADATA).map((p) => p.name);
  }

  /** How much of the block, from its start, holds the wanted columns. */
  bytesFor(want: WantedColumns): number {
    let end = 0;
    for (const place of this.#places) if (isWanted(place, want)) end = Math.max(end, place.offset + place.storedBytes);
    return end;
  }

  /** Decodes the wanted columns into `memory`, as far as they are no views of the block. Throws CorruptBlockError. */
  columns(want: WantedColumns, memory: ColumnMemory = freshMemory): BlockColumns {
    const { rowCount, minNs, maxNs, ascii } = this.#header;
    const times = this.#place(KIND_TIMESTAMPS, 'timestamps');
    const offsetsNs = memory.floats(rowCount);
    decodeTimestamps(this.#read(times, memory), offsetsNs, maxNs - minNs, times.offset, memory);
    const lineStarts = memory.words(rowCount + 1);
    if (wantsLengths(want)) this.#readLineStarts(lineStarts, memory);
    else lineStarts.fill(0);
    const metadata: MetadataColumn[] = [];
    for (const place of this.#places) {
      if (place.kind !== KIND_METADATA || !isWanted(place, want)) continue;
      metadata.push(decodeMetadataColumn(place.name, this.#read(place, memory), rowCount, place.offset, memory));
    }
    metadata.sort((a, b) => (a.name < b.name ? -1 : 1));
    const bytes = want.lines ? this.#lines(memory) : null;
    return { rowCount, baseNs: minNs, offsetsNs, lineStarts, bytes, ascii, metadata };
  }

  #readLineStarts(starts: Uint32Array, memory: ColumnMemory): void {
    const { rowCount, lineBytes } = this.#header;
    const place = this.#place(KIND_LENGTHS, 'line lengths');
    const raw = this.#read(place, memory);
    const width = raw[0];
    if (width === undefined || width > 4 || raw.length !== 1 + width * rowCount) {
      throw new CorruptBlockError('line lengths of a wrong length', place.offset);
    }
    starts[0] = 0;
    readPlanes(raw, 1, starts.subarray(1), rowCount, width);
    let total = 0;
    for (let r = 1; r <= rowCount; r++) starts[r] = total += starts[r]!;
    if (total !== lineBytes) throw new CorruptBlockError('line lengths do not add up', place.offset);
  }

  #lines(memory: ColumnMemory): Buffer {
    const place = this.#place(KIND_LINES, 'lines');
    if (place.rawBytes !== this.#header.lineBytes) throw new CorruptBlockError('lines of a wrong length', place.offset);
    return this.#read(place, memory);
  }

  #place(kind: number, what: string): ColumnPlace {
    const place = this.#places.find((p) => p.kind === kind);
    if (place === undefined) throw new CorruptBlockError(`no column of ${what}`, 12);
    return place;
  }

  #read(place: ColumnPlace, memory: ColumnMemory): Buffer {
    return decompressColumn(this.#bytes, place, memory);
  }
}

function isWanted({ kind, name }: ColumnPlace, want: WantedColumns): boolean {
  switch (kind) {
    case KIND_TIMESTAMPS:
      return true;
    case KIND_LENGTHS:
      return wantsLengths(want);
    case KIND_METADATA:
      return want.metadata === null || want.metadata.has(name);
    case KIND_LINES:
      return want.lines;
    default:
      return false;
  }
}

function wantsLengths({ lines, lengths }: WantedColumns): boolean {
  return lines || lengths !== false;
}
