import { type HeadPieces, RECORD_HEADER_BYTES, recordBytes } from '../../storage/block/index.ts';
import type { StreamBatch } from '../rpc/push-batch.ts';
import { entryBytesOf, totalEntryBytes } from './entry-bytes.ts';
import { type HeadMemory, MAX_PIECE_BYTES } from './head-memory.ts';

/**
 * Rows of one stream, growing: records as `HeadPieces` describes them, the columns of each push as they came. Nothing is
 * moved or looked for while rows come in; the thread that encodes or scans them makes one set of columns of them.
 */

/** What idles in a head is at most about this part of it. */
const PIECES_A_HEAD = 4;
/** Less room than this part of a piece stays empty rather than that a push is divided. */
const SMALL_REST = 1 / 8;
/** Offsets within a head stay below this in size, so that any difference of two is exact in a double. ns. */
const MAX_OFFSET_NS = 2 ** 51;
/** Line ends are u32. */
const MAX_BYTES = 2 ** 32 - 1;
/** Elements up to which a loop is faster than `set`. */
const FEW = 32;

export class Head {
  readonly baseNs: bigint;
  #rowCount = 0;
  #lineBytes = 0;
  #metadataBytes = 0;
  #setCount = 0;
  #metaBytes = 0;
  #memoryBytes = 0;
  #minOffset = Number.POSITIVE_INFINITY;
  #maxOffset = Number.NEGATIVE_INFINITY;
  #lastOffset = Number.NEGATIVE_INFINITY;
  #ascending = true;
  /** Of each piece its address and the bytes that records take. */
  #pieces: number[] = [];
  /** Left in the last piece. */
  #room = 0;
  /** Where in the last piece its last record starts. */
  #lastRecord = 0;
  readonly #memory: HeadMemory;
  readonly #expectedBytes: number;
  #readers = 0;
  #isReleased = false;

  /** `expectedBytes`: of lines; a guess. */
  constructor(baseNs: bigint, expectedBytes: number, memory: HeadMemory) {
    this.baseNs = baseNs;
    this.#expectedBytes = expectedBytes;
    this.#memory = memory;
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  get lineBytes(): number {
    return this.#lineBytes;
  }

  /** Counted as in `BlockStats`. */
  get metadataBytes(): number {
    return this.#metadataBytes;
  }

  /** What the pieces occupy, spare room included. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  get minNs(): bigint {
    return this.baseNs + BigInt(this.#minOffset);
  }

  get maxNs(): bigint {
    return this.baseNs + BigInt(this.#maxOffset);
  }

  /** Whether rows with offsets in `[min, max]` after `baseNs`, `bytes` long in all, can be held here. */
  fits(baseNs: bigint, min: number, max: number, bytes: number): boolean {
    const delta = Number(baseNs - this.baseNs);
    return (
      Math.abs(delta) <= Number.MAX_SAFE_INTEGER &&
      Math.abs(delta + min) < MAX_OFFSET_NS &&
      Math.abs(delta + max) < MAX_OFFSET_NS &&
      this.#lineBytes + bytes <= MAX_BYTES
    );
  }

  /**
   * Appends rows `[from, to)` of a batch, whose lines touch each other there. `fits` must hold. Where memory cannot be had
   * it throws, and has taken the rows up to some of them.
   */
  append(batch: StreamBatch, from: number, to: number, lineStart: number, lineEnd: number): void {
    const { metaEnds, metaBytes, rowCount } = batch;
    this.#observe(batch, from, to);
    const lineBytes = lineEnd - lineStart;
    if (from === 0 && to === rowCount) {
      const bytes = recordBytes(rowCount, lineBytes, metaEnds.length, metaBytes.length);
      this.#metadataBytes += totalEntryBytes(batch) - lineBytes;
      if (bytes <= MAX_PIECE_BYTES && bytes > this.#room && this.#isFull()) this.#grow(bytes);
      if (bytes <= this.#room) {
        this.#write(batch, 0, rowCount, lineStart, lineBytes, null);
        return;
      }
    } else {
      const entryBytes = entryBytesOf(batch);
      for (let row = from; row < to; row++) this.#metadataBytes += entryBytes.of(row) - batch.lineLengths[row]!;
    }
    let row = from;
    let start = lineStart;
    while (row < to) {
      let part = choose(batch, row, to, this.#room);
      if (part.to === row) {
        this.#grow(recordBytes(to - row, lineEnd - start, metaEnds.length, metaBytes.length));
        part = choose(batch, row, to, this.#room);
        if (part.to === row) {
          // One row that no piece of the usual sizes holds.
          part = choose(batch, row, row + 1, Number.POSITIVE_INFINITY);
          this.#take(recordBytes(1, part.lineBytes, part.setCount, part.metaBytes));
        }
      }
      this.#write(batch, row, part.to, start, part.lineBytes, part);
      row = part.to;
      start += part.lineBytes;
    }
  }

  /** What is there now. It stays as it is until the head is released, and longer for those who `hold` it. */
  pieces(): HeadPieces {
    const all = this.#pieces;
    // Of their length at once: `push` would make room for sixteen more, and most heads have three pieces.
    const memories = new Array<SharedArrayBuffer>(all.length / 2);
    const bounds = new Array<number>(all.length);
    for (let i = 0; i < all.length; i += 2) {
      const address = all[i]!;
      const start = this.#memory.startOf(address);
      memories[i / 2] = this.#memory.slabOf(address).memory;
      bounds[i] = start;
      bounds[i + 1] = start + all[i + 1]!;
    }
    return {
      rowCount: this.#rowCount,
      lineBytes: this.#lineBytes,
      setCount: this.#setCount,
      metaBytes: this.#metaBytes,
      baseNs: this.baseNs,
      minNs: this.minNs,
      maxNs: this.maxNs,
      ascending: this.#ascending,
      metadataBytes: this.#metadataBytes,
      memories,
      bounds,
    };
  }

  /** Line and metadata of the row appended last; views, valid until the head is released. */
  lastRow(): [line: Buffer, metadata: Buffer] {
    // Behind it there is an empty one where the memory for a row could not be had.
    let last = this.#pieces.length - 2;
    while (this.#pieces[last + 1] === 0) last -= 2;
    const address = this.#pieces[last]!;
    const { bytes, words } = this.#memory.slabOf(address);
    const record = this.#memory.startOf(address) + this.#lastRecord;
    const rows = words[record >>> 2]!;
    const lineBytes = words[(record >>> 2) + 1]!;
    const sets = words[(record >>> 2) + 2]!;
    const metaBytes = words[(record >>> 2) + 3]!;
    const lengths = (record + RECORD_HEADER_BYTES + 8 * rows) >>> 2;
    const ends = lengths + 2 * rows;
    const sources = 4 * (ends + sets);
    const lineEnd = sources + metaBytes + lineBytes;
    const set = words[lengths + 2 * rows - 1]!;
    const setStart = set < 2 ? 0 : words[ends + set - 2]!;
    const setEnd = set === 0 ? setStart : words[ends + set - 1]!;
    return [
      bytes.subarray(lineEnd - words[lengths + rows - 1]!, lineEnd),
      bytes.subarray(sources + setStart, sources + setEnd),
    ];
  }

  /** A reader looks at `pieces()` until it says `letGo`. */
  hold(): void {
    this.#readers++;
  }

  letGo(): void {
    this.#readers--;
    if (this.#isReleased && this.#readers === 0) this.#give();
  }

  /** Lets others have the memory as soon as nobody holds it. */
  release(): void {
    this.#isReleased = true;
    if (this.#readers === 0) this.#give();
  }

  #give(): void {
    for (let i = 0; i < this.#pieces.length; i += 2) this.#memory.give(this.#pieces[i]!);
    this.#pieces = [];
  }

  #observe(batch: StreamBatch, from: number, to: number): void {
    const { offsetsNs } = batch;
    const delta = Number(batch.baseNs - this.baseNs);
    if (batch.ascending) {
      const first = offsetsNs[from]! + delta;
      const last = offsetsNs[to - 1]! + delta;
      if (first <= this.#lastOffset) this.#ascending = false;
      if (first < this.#minOffset) this.#minOffset = first;
      if (last > this.#maxOffset) this.#maxOffset = last;
      this.#lastOffset = last;
    } else {
      let last = this.#lastOffset;
      for (let row = from; row < to; row++) {
        const offset = offsetsNs[row]! + delta;
        if (offset <= last) this.#ascending = false;
        if (offset < this.#minOffset) this.#minOffset = offset;
        if (offset > this.#maxOffset) this.#maxOffset = offset;
        last = offset;
      }
      this.#lastOffset = last;
    }
  }

  /** Whether little is lost when the last piece takes no more. */
  #isFull(): boolean {
    const last = this.#pieces.at(-1);
    return last === undefined || this.#room < SMALL_REST * (last + this.#room);
  }

  /** Room for a record of `bytes`, or for a part of it. */
  #grow(bytes: number): void {
    const usual = Math.max(this.#memoryBytes, this.#expectedBytes / 2) / PIECES_A_HEAD;
    this.#take(Math.min(MAX_PIECE_BYTES, Math.max(bytes, usual)));
  }

  #take(bytes: number): void {
    const address = this.#memory.take(bytes);
    // `push` would make room for sixteen more: most heads have three.
    this.#pieces = this.#pieces.concat(address, 0);
    this.#room = this.#memory.bytesOf(address);
    this.#memoryBytes += this.#room;
  }

  /** `part` is null for all sets of the batch as they are. There is room. */
  #write(batch: StreamBatch, from: number, to: number, lineStart: number, lineBytes: number, part: Part | null): void {
    const { metaEnds, metaIndexes, offsetsNs, lineLengths } = batch;
    const address = this.#pieces.at(-2)!;
    const { bytes, words, doubles } = this.#memory.slabOf(address);
    const rows = to - from;
    const setCount = part === null ? metaEnds.length : part.setCount;
    const metaBytes = part === null ? batch.metaBytes.length : part.metaBytes;
    const used = this.#pieces.at(-1)!;
    let at = this.#memory.startOf(address) + used;
    words[at >>> 2] = rows;
    words[(at >>> 2) + 1] = lineBytes;
    words[(at >>> 2) + 2] = setCount;
    words[(at >>> 2) + 3] = metaBytes;
    doubles[(at >>> 3) + 2] = Number(batch.baseNs - this.baseNs);
    at += RECORD_HEADER_BYTES;
    copyRows(offsetsNs, from, to, doubles, at >>> 3);
    at += 8 * rows;
    copyRows(lineLengths, from, to, words, at >>> 2);
    at += 4 * rows;
    if (part === null) {
      copyRows(metaIndexes, from, to, words, at >>> 2);
      at += 4 * rows;
      copyRows(metaEnds, 0, setCount, words, at >>> 2);
      at += 4 * setCount;
      copyBytes(batch.metaBytes, 0, metaBytes, bytes, at);
    } else {
      for (let row = from; row < to; row++) words[(at >>> 2) + row - from] = numbers[metaIndexes[row]!]!;
      at += 4 * rows;
      let end = 0;
      for (let set = 0; set < setCount; set++) {
        const index = chosen[set]!;
        const start = index === 1 ? 0 : metaEnds[index - 2]!;
        copyBytes(batch.metaBytes, start, metaEnds[index - 1]!, bytes, at + 4 * setCount + end);
        end += metaEnds[index - 1]! - start;
        words[(at >>> 2) + set] = end;
      }
      at += 4 * setCount;
    }
    at += metaBytes;
    copyBytes(batch.lineBytes, lineStart, lineStart + lineBytes, bytes, at);
    const taken = recordBytes(rows, lineBytes, setCount, metaBytes);
    this.#lastRecord = used;
    this.#pieces[this.#pieces.length - 1] = used + taken;
    this.#room -= taken;
    this.#rowCount += rows;
    this.#lineBytes += lineBytes;
    this.#setCount += setCount;
    this.#metaBytes += metaBytes;
  }
}

/** Rows up to `to`, and the sets that they use: `numbers` and `chosen` are about these until the next choice. */
interface Part {
  readonly to: number;
  readonly lineBytes: number;
  readonly setCount: number;
  readonly metaBytes: number;
}

/** By index of a set in the batch its index in the part, 0 while it has none. */
let numbers = new Uint32Array(256);
/** The other way round, from 0. */
let chosen = new Uint32Array(256);

/** As many rows of `[from, to)` as a record of `room` bytes holds. */
function choose({ metaIndexes, metaEnds, lineLengths }: StreamBatch, from: number, to: number, room: number): Part {
  const sets = metaEnds.length;
  if (sets >= numbers.length) {
    numbers = new Uint32Array(2 * sets);
    chosen = new Uint32Array(2 * sets);
  }
  numbers.fill(0, 0, sets + 1);
  let row = from;
  let lineBytes = 0;
  let setCount = 0;
  let metaBytes = 0;
  for (; row < to; row++) {
    const set = metaIndexes[row]!;
    const isNew = set !== 0 && numbers[set] === 0;
    const setLength = isNew ? metaEnds[set - 1]! - (set === 1 ? 0 : metaEnds[set - 2]!) : 0;
    const sum = recordBytes(
      row + 1 - from,
      lineBytes + lineLengths[row]!,
      setCount + (isNew ? 1 : 0),
      metaBytes + setLength,
    );
    if (sum > room) break;
    lineBytes += lineLengths[row]!;
    if (!isNew) continue;
    chosen[setCount++] = set;
    numbers[set] = setCount;
    metaBytes += setLength;
  }
  return { to: row, lineBytes, setCount, metaBytes };
}

function copyRows<T extends Uint32Array | Float64Array>(
  source: T,
  from: number,
  to: number,
  target: T,
  at: number,
): void {
  if (to - from <= FEW) for (let i = from; i < to; i++) target[at + i - from] = source[i]!;
  else target.set(from === 0 && to === source.length ? source : source.subarray(from, to), at);
}

function copyBytes(source: Buffer, from: number, to: number, target: Buffer, at: number): void {
  if (to - from <= FEW) for (let i = from; i < to; i++) target[at + i - from] = source[i]!;
  // Into shared memory `set` takes twice as long: it moves words that other threads may look at.
  else source.copy(target, at, from, to);
}
