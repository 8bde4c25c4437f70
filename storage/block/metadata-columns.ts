/**
 * Turns metadata sets, one a row, into a column a name, each with a dictionary of its values. Values stay bytes, at their
 * place in the sets: what is not UTF-8 survives, and a trace id that no other row has makes no string.
 */
import type { HeadColumns } from './types.ts';

/** Places in the table of a column's values, at first. A power of two. */
const FIRST_PLACES = 32;

/** One name's values. Value 0 is absence, value v is `source[starts[v - 1], ends[v - 1])`, in order of first use. */
export class RawMetadataColumn {
  /** UTF-8 as a byte string: one character a byte (`latin1`). */
  readonly name: string;
  readonly nameBytes: Buffer;
  readonly source: Buffer;
  starts = new Uint32Array(FIRST_PLACES / 2);
  ends = new Uint32Array(FIRST_PLACES / 2);
  /** Distinct values, absence left out. */
  valueCount = 0;
  /** Per row of the range. */
  readonly indexes: Uint32Array;
  /** Open addressing: value numbers, 0 for a free place. At most half full. */
  #table = new Uint32Array(FIRST_PLACES);
  #hashes = new Uint32Array(FIRST_PLACES / 2);
  #values: string[] | null = null;

  constructor(name: string, source: Buffer, rowCount: number) {
    this.name = name;
    this.nameBytes = Buffer.from(name, 'latin1');
    this.source = source;
    this.indexes = new Uint32Array(rowCount);
  }

  /** Byte strings by number; `values[0]` is ''. */
  get values(): readonly string[] {
    if (this.#values === null) {
      this.#values = [''];
      for (let v = 0; v < this.valueCount; v++) {
        this.#values.push(this.source.toString('latin1', this.starts[v], this.ends[v]));
      }
    }
    return this.#values;
  }

  /** The number of the value that stands at `[start, end)` of the source. */
  numberOf(start: number, end: number): number {
    const { source, starts, ends } = this;
    const hash = hashOf(source, start, end);
    const table = this.#table;
    const mask = table.length - 1;
    let place = (hash ^ (hash >>> 15)) & mask;
    for (; table[place] !== 0; place = (place + 1) & mask) {
      const v = table[place]! - 1;
      if (this.#hashes[v] === hash && sameBytes(source, starts[v]!, ends[v]!, start, end)) return v + 1;
    }
    if (this.valueCount === starts.length) this.#grow();
    const v = this.valueCount++;
    this.starts[v] = start;
    this.ends[v] = end;
    this.#hashes[v] = hash;
    this.#insert(v);
    return v + 1;
  }

  #insert(v: number): void {
    const table = this.#table;
    const mask = table.length - 1;
    const hash = this.#hashes[v]!;
    let place = (hash ^ (hash >>> 15)) & mask;
    while (table[place] !== 0) place = (place + 1) & mask;
    table[place] = v + 1;
  }

  #grow(): void {
    this.starts = doubled(this.starts);
    this.ends = doubled(this.ends);
    this.#hashes = doubled(this.#hashes);
    this.#table = new Uint32Array(2 * this.#table.length);
    for (let v = 0; v < this.valueCount; v++) this.#insert(v);
  }
}

function doubled(column: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * column.length);
  larger.set(column);
  return larger;
}

/** As FNV-1a, but four bytes at a time, and each time the high bits take part in what comes next. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 ^ (end - start);
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const four = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul(hash ^ four, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash >>> 0;
}

function sameBytes(bytes: Uint8Array, startA: number, endA: number, startB: number, endB: number): boolean {
  if (endA - startA !== endB - startB) return false;
  for (let a = startA, b = startB; a < endA; a++, b++) if (bytes[a] !== bytes[b]) return false;
  return true;
}

/** A length of several bytes, and where it ends. */
function lengthAt(sets: Uint8Array, at: number, end: number): [length: number, at: number] {
  let length = 0;
  let factor = 1;
  for (;;) {
    const byte = sets[at++];
    if (byte === undefined || at > end || factor > 2 ** 28) throw new RangeError('metadata set: bad length');
    length += (byte & 0x7f) * factor;
    if (byte < 0x80) return [length, at];
    factor *= 128;
  }
}

export interface MetadataColumns {
  /** Ascending by name. */
  readonly columns: readonly RawMetadataColumn[];
  /** Names and values of all rows, without those of `detected_level`. */
  readonly metadataBytes: number;
}

/** Loki does not count this label, which it adds itself, to a stream's volume. */
const UNCOUNTED_NAME = 'detected_level';

/** Reads ranges of one head's rows. Each distinct set is decoded once a range. */
export class MetadataCollector {
  readonly #head: HeadColumns;
  readonly #sets: Buffer;
  /** Per set 1 + where its decoded form starts in `#decoded`, 0 when it is not decoded yet. */
  readonly #decodedAt: Uint32Array;
  /** `bytes pairCount (column value)*` a set. */
  #decoded = new Uint32Array(256);
  #decodedLength = 0;
  #columns: RawMetadataColumn[] = [];
  #rowCount = 0;

  constructor(head: HeadColumns) {
    const { metaBytes } = head;
    this.#head = head;
    this.#sets = Buffer.from(metaBytes.buffer, metaBytes.byteOffset, metaBytes.byteLength);
    let setCount = 0;
    for (let r = 0; r < head.rowCount; r++) if (head.metaIndexes[r]! > setCount) setCount = head.metaIndexes[r]!;
    this.#decodedAt = new Uint32Array(setCount + 1);
  }

  /** Rows `from .. to` of `order`, or of the head itself when that is null. */
  collect(order: Uint32Array | null, from: number, to: number): MetadataColumns {
    const { metaIndexes } = this.#head;
    this.#decodedLength = 0;
    this.#columns = [];
    this.#rowCount = to - from;
    let metadataBytes = 0;
    for (let i = from; i < to; i++) {
      const set = metaIndexes[order ? order[i]! : i]!;
      if (set === 0) continue;
      let at = this.#decodedAt[set]!;
      if (at === 0) at = this.#decodeSet(set);
      const decoded = this.#decoded;
      metadataBytes += decoded[at - 1]!;
      const end = at + 1 + 2 * decoded[at]!;
      for (let p = at + 1; p < end; p += 2) this.#columns[decoded[p]!]!.indexes[i - from] = decoded[p + 1]!;
    }
    for (let i = from; i < to; i++) this.#decodedAt[metaIndexes[order ? order[i]! : i]!] = 0;
    const columns = this.#columns.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return { columns, metadataBytes };
  }

  #decodeSet(set: number): number {
    const { metaEnds } = this.#head;
    const sets = this.#sets;
    const end = metaEnds[set - 1]!;
    let at = set > 1 ? metaEnds[set - 2]! : 0;
    const start = this.#decodedLength;
    let bytes = 0;
    let pairs = 0;
    let to = start + 2;
    while (at < end) {
      // Nearly all lengths are of one byte.
      let nameLength = sets[at]!;
      if (nameLength < 0x80) at++;
      else [nameLength, at] = lengthAt(sets, at, end);
      if (at + nameLength >= end) throw new RangeError('metadata set: cut short');
      const column = this.#columnAt(pairs, at, nameLength);
      at += nameLength;
      let valueLength = sets[at]!;
      if (valueLength < 0x80) at++;
      else [valueLength, at] = lengthAt(sets, at, end);
      if (at + valueLength > end) throw new RangeError('metadata set: cut short');
      const known = this.#columns[column]!;
      if (to + 2 > this.#decoded.length) this.#decoded = doubled(this.#decoded);
      this.#decoded[to++] = column;
      this.#decoded[to++] = known.numberOf(at, at + valueLength);
      at += valueLength;
      pairs++;
      if (known.name !== UNCOUNTED_NAME) bytes += nameLength + valueLength;
    }
    if (to > this.#decoded.length) this.#decoded = doubled(this.#decoded);
    this.#decoded[start] = bytes;
    this.#decoded[start + 1] = pairs;
    this.#decodedLength = to;
    this.#decodedAt[set] = start + 1;
    return start + 1;
  }

  /** The column named by the bytes at `at`. Sets are alike: the one at the same place in the set is tried first. */
  #columnAt(place: number, at: number, length: number): number {
    const guess = this.#columns[place];
    if (guess?.nameBytes.length === length && this.#isName(guess, at)) return place;
    const name = this.#sets.toString('latin1', at, at + length);
    const known = this.#columns.findIndex((column) => column.name === name);
    if (known >= 0) return known;
    return this.#columns.push(new RawMetadataColumn(name, this.#sets, this.#rowCount)) - 1;
  }

  #isName({ nameBytes }: RawMetadataColumn, at: number): boolean {
    for (let i = 0; i < nameBytes.length; i++) if (nameBytes[i] !== this.#sets[at + i]) return false;
    return true;
  }
}
