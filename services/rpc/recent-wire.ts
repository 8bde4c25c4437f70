import { columnsOfHead, type HeadRows } from '../../storage/block/index.ts';
import { isMetadataSet } from '../../storage/block/metadata-set.ts';
import type { EncodedBlock, HeadColumns } from '../../storage/block/types.ts';
import type { FilterTest } from '../../storage/filter/index.ts';
import type { RecentStream } from './ingester.ts';
import {
  type BlockMessage,
  CorruptMessageError,
  decodeLabels,
  encodeLabels,
  fromInt64,
  type HeadMessage,
  messages,
  type RecentItemMessage,
  toCount,
  toInt64,
} from './ingester-messages.ts';

/** Of a message, about: such calls cost least for each byte. */
const MESSAGE_BYTES = 1024 * 1024;
/** What a small item takes, about, beside its data. */
const ITEM_BYTES = 48;
/** Below this, one copy more is cheaper than an item for each column. */
const SMALL_BYTES = 16 * 1024;
/** From here on memory is shared, so that workers need no copy. */
const SHARED_BYTES = 16 * 1024;

/** More than a reader is ready to hold. */
export class RecentTooLargeError extends Error {
  readonly code = 'resource_exhausted';
}

/**
 * The messages of an answer, the next one made when it is asked for. Blocks that `test` denies are left out. What heads
 * hold may grow meanwhile: only the rows are read that were there.
 */
export function* encodeRecent(
  streams: readonly RecentStream[],
  test: FilterTest | null,
  segments: readonly string[],
): Generator<Buffer> {
  let items: RecentItemMessage[] = [];
  let room = MESSAGE_BYTES;
  const take = (): Buffer => {
    const message = messages.recentResponse.encode({ items });
    items = [];
    room = MESSAGE_BYTES;
    return message;
  };
  for (const { labels, blocks, heads } of streams) {
    items.push({ stream: encodeLabels(labels) });
    room -= ITEM_BYTES;
    for (const [name, value] of labels) room -= name.length + value.length;
    const wanted = test === null ? blocks : blocks.filter(({ filter }) => test(labels, filter));
    for (const [item, columns] of [...wanted.map(blockItem), ...heads.map(headItem)]) {
      items.push(item);
      room -= ITEM_BYTES + (item.block ?? item.head)!.data!.length;
      for (const column of columns) {
        for (let at = 0; at < column.length; ) {
          if (room <= 0) yield take();
          const piece = column.subarray(at, at + room);
          items.push({ piece });
          at += piece.length;
          room -= ITEM_BYTES + piece.length;
        }
      }
      if (room <= 0) yield take();
    }
    if (room <= 0) yield take();
  }
  yield messages.recentResponse.encode({ items, segments });
}

type ItemAndColumns = readonly [item: RecentItemMessage, columns: readonly Uint8Array[]];

function blockItem({ stats, bytes, filter }: EncodedBlock): ItemAndColumns {
  const { minNs, maxNs, rowCount, lineBytes, metadataBytes, encodedBytes } = stats;
  const [data, columns] = small([bytes, filter]);
  const block: BlockMessage = {
    minNs: toInt64(minNs),
    maxNs: toInt64(maxNs),
    rowCount,
    lineBytes,
    metadataBytes,
    encodedBytes,
    blockLength: bytes.length,
    filterLength: filter.length,
    data,
  };
  return [{ block }, columns];
}

function headItem(rows: HeadRows): ItemAndColumns {
  const head = columnsOfHead(rows);
  const { rowCount, baseNs, ascending, metadataBytes, metaEnds } = head;
  const metaIndexes = head.metaIndexes.subarray(0, rowCount);
  // Columns have room for more than is in them.
  let setCount = 0;
  for (let row = 0; row < rowCount; row++) if (metaIndexes[row]! > setCount) setCount = metaIndexes[row]!;
  const setLength = setCount === 0 ? 0 : metaEnds[setCount - 1]!;
  const lineLength = rowCount === 0 ? 0 : head.lineEnds[rowCount - 1]!;
  const [data, columns] = small([
    bytesOf(head.offsetsNs.subarray(0, rowCount)),
    bytesOf(head.lineEnds.subarray(0, rowCount)),
    bytesOf(metaIndexes),
    bytesOf(metaEnds.subarray(0, setCount)),
    head.metaBytes.subarray(0, setLength),
    head.bytes.subarray(0, lineLength),
  ]);
  const message: HeadMessage = {
    baseNs: toInt64(baseNs),
    rowCount,
    setCount,
    setLength,
    lineLength,
    ascending,
    metadataBytes,
    data,
  };
  return [{ head: message }, columns];
}

const bytesOf = (column: Float64Array | Uint32Array): Uint8Array =>
  new Uint8Array(column.buffer, column.byteOffset, column.byteLength);

/** All columns in one when they are small, else nothing and the columns. */
function small(columns: readonly Uint8Array[]): readonly [data: Uint8Array, columns: readonly Uint8Array[]] {
  const length = columns.reduce((sum, column) => sum + column.length, 0);
  return length < SMALL_BYTES ? [Buffer.concat(columns, length), []] : [NOTHING, columns];
}

const NOTHING = new Uint8Array(0);

type Memory = ArrayBuffer | SharedArrayBuffer;

interface Stream extends RecentStream {
  readonly blocks: EncodedBlock[];
  readonly heads: HeadColumns[];
}

/**
 * Puts an answer together. Each block and each head gets memory of its own of exactly its size: a view that is posted to
 * a worker takes all of the memory behind it along. Throws CorruptMessageError and RecentTooLargeError.
 */
export class RecentDecoder {
  readonly #maxBytes: number;
  #bytes = 0;
  readonly #streams: Stream[] = [];
  readonly #segments: string[] = [];
  /** Where the next data go. */
  readonly #targets: Uint8Array[] = [];
  #filled = 0;
  /** Called when the last target is full. */
  #onFull: () => void = nothing;

  /** `maxBytes`: of memory, for the whole answer. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(bytes: Buffer): void {
    const { items = [], segments = [] } = messages.recentResponse.decode(bytes);
    for (const item of items) this.#add(item);
    for (const segment of segments) {
      this.#take(segment.length);
      this.#segments.push(segment);
    }
  }

  /** The whole answer. */
  finish(): { readonly streams: readonly RecentStream[]; readonly segments: readonly string[] } {
    this.#assertFull();
    return { streams: this.#streams, segments: this.#segments };
  }

  #add({ item, stream, block, head, piece }: RecentItemMessage): void {
    switch (item) {
      case 'stream': {
        this.#assertFull();
        const labels = decodeLabels(stream);
        this.#take(labels.reduce((sum, [name, value]) => sum + name.length + value.length, 0));
        this.#streams.push({ labels, blocks: [], heads: [] });
        break;
      }
      case 'block':
        this.#assertFull();
        this.#block(this.#stream(), block!);
        break;
      case 'head':
        this.#assertFull();
        this.#head(this.#stream(), head!);
        break;
      case 'piece':
        this.#fill(piece!);
        break;
      case undefined:
        throw new CorruptMessageError('an item of no kind');
      default:
        item satisfies never;
    }
  }

  #block(stream: Stream, message: BlockMessage): void {
    const stats = {
      minNs: fromInt64(message.minNs),
      maxNs: fromInt64(message.maxNs),
      rowCount: toCount(message.rowCount),
      lineBytes: toCount(message.lineBytes),
      metadataBytes: toCount(message.metadataBytes),
      encodedBytes: toCount(message.encodedBytes),
    };
    this.#take(message.blockLength + message.filterLength);
    const bytes = new Uint8Array(memoryOf(message.blockLength));
    const filter = new Uint8Array(message.filterLength);
    this.#expect([bytes, filter], message.data, () => stream.blocks.push({ bytes, stats, filter }));
  }

  #head(stream: Stream, message: HeadMessage): void {
    const { rowCount, setCount, setLength, lineLength, ascending } = message;
    const length = 16 * rowCount + 4 * setCount + setLength + lineLength;
    this.#take(length);
    const memory = memoryOf(length);
    const head: HeadColumns = {
      rowCount,
      baseNs: fromInt64(message.baseNs),
      offsetsNs: new Float64Array(memory, 0, rowCount),
      lineEnds: new Uint32Array(memory, 8 * rowCount, rowCount),
      metaIndexes: new Uint32Array(memory, 12 * rowCount, rowCount),
      metaEnds: new Uint32Array(memory, 16 * rowCount, setCount),
      metaBytes: new Uint8Array(memory, 16 * rowCount + 4 * setCount, setLength),
      bytes: new Uint8Array(memory, 16 * rowCount + 4 * setCount + setLength, lineLength),
      ascending,
      metadataBytes: toCount(message.metadataBytes),
    };
    this.#expect([new Uint8Array(memory)], message.data, () => {
      checkHead(head);
      stream.heads.push(head);
    });
  }

  #stream(): Stream {
    const stream = this.#streams.at(-1);
    if (stream === undefined) throw new CorruptMessageError('rows of no stream');
    return stream;
  }

  #expect(targets: readonly Uint8Array[], data: Uint8Array | undefined, onFull: () => void): void {
    this.#onFull = onFull;
    this.#targets.push(...targets.filter((target) => target.length > 0));
    if (data !== undefined && data.length > 0) this.#fill(data);
    else if (this.#targets.length === 0) this.#full();
  }

  #fill(data: Uint8Array): void {
    for (let at = 0; at < data.length; ) {
      const target = this.#targets[0];
      if (target === undefined) throw new CorruptMessageError('more data than was named');
      const part = data.subarray(at, at + target.length - this.#filled);
      target.set(part, this.#filled);
      at += part.length;
      this.#filled += part.length;
      if (this.#filled < target.length) return;
      this.#filled = 0;
      this.#targets.shift();
      if (this.#targets.length === 0) this.#full();
    }
  }

  #full(): void {
    const onFull = this.#onFull;
    this.#onFull = nothing;
    onFull();
  }

  #assertFull(): void {
    if (this.#targets.length > 0) throw new CorruptMessageError('less data than was named');
  }

  /** Counts before memory is taken. */
  #take(bytes: number): void {
    this.#bytes += ITEM_BYTES + bytes;
    if (this.#bytes <= this.#maxBytes) return;
    throw new RecentTooLargeError(
      `the rows that an ingester holds for this query take more than ${this.#maxBytes} bytes`,
    );
  }
}

function nothing(): void {}

const memoryOf = (bytes: number): Memory =>
  bytes < SHARED_BYTES ? new ArrayBuffer(bytes) : new SharedArrayBuffer(bytes);

/** Rows that do not lie where they say would end the worker that reads them. */
function checkHead({ rowCount, offsetsNs, lineEnds, bytes, metaIndexes, metaEnds, metaBytes }: HeadColumns): void {
  let isGood = true;
  let end = 0;
  for (let row = 0; row < rowCount; row++) {
    const lineEnd = lineEnds[row]!;
    if (lineEnd < end || metaIndexes[row]! > metaEnds.length || !Number.isSafeInteger(offsetsNs[row]!)) isGood = false;
    end = lineEnd;
  }
  if (!isGood || end !== bytes.length) throw new CorruptMessageError('rows outside of their head');
  end = 0;
  for (const setEnd of metaEnds) {
    if (setEnd < end || setEnd > metaBytes.length || !isMetadataSet(metaBytes, end, setEnd)) {
      throw new CorruptMessageError('metadata that is none');
    }
    end = setEnd;
  }
  if (end !== metaBytes.length) throw new CorruptMessageError('metadata outside of its head');
}
