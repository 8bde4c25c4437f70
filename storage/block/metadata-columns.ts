/**
 * Turns metadata sets, one a row, into a column a name, each with a dictionary of its values. Text stays bytes here
 * (`latin1` strings: one character a byte), so that what is not UTF-8 survives.
 */
import type { HeadColumns } from './types.ts';

export interface RawMetadataColumn {
  /** UTF-8 as a byte string. */
  readonly name: string;
  /** Distinct byte strings in order of first use; `values[0]` is '' and stands for absence. */
  readonly values: string[];
  /** Per row of the range. */
  readonly indexes: Uint32Array;
}

export interface MetadataColumns {
  /** Ascending by name. */
  readonly columns: readonly RawMetadataColumn[];
  /** Names and values of all rows, without those of `detected_level`. */
  readonly metadataBytes: number;
}

interface GrowingColumn extends RawMetadataColumn {
  readonly nameBytes: Buffer;
  readonly ids: Map<string, number>;
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
  #decoded: number[] = [];
  #columns: GrowingColumn[] = [];
  #byName = new Map<string, GrowingColumn>();
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
    this.#decoded = [];
    this.#columns = [];
    this.#byName = new Map();
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
    const columns = this.#columns.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { columns, metadataBytes };
  }

  #decodeSet(set: number): number {
    const { metaEnds } = this.#head;
    const sets = this.#sets;
    const end = metaEnds[set - 1]!;
    let at = set > 1 ? metaEnds[set - 2]! : 0;
    const uvarint = (): number => {
      let value = 0;
      let factor = 1;
      for (;;) {
        const byte = sets[at++];
        if (byte === undefined || at > end || factor > 2 ** 28) throw new RangeError('metadata set: bad length');
        value += (byte & 0x7f) * factor;
        if (byte < 0x80) break;
        factor *= 128;
      }
      if (at + value > end) throw new RangeError('metadata set: cut short');
      return value;
    };
    const decoded = this.#decoded;
    const start = decoded.length;
    let bytes = 0;
    let pairs = 0;
    decoded.push(0, 0);
    while (at < end) {
      const nameLength = uvarint();
      const column = this.#columnAt(pairs, at, nameLength);
      at += nameLength;
      const valueLength = uvarint();
      const value = sets.toString('latin1', at, at + valueLength);
      at += valueLength;
      const known = this.#columns[column]!;
      let id = known.ids.get(value);
      if (id === undefined) {
        id = known.values.push(value) - 1;
        known.ids.set(value, id);
      }
      decoded.push(column, id);
      pairs++;
      if (known.name !== UNCOUNTED_NAME) bytes += nameLength + valueLength;
    }
    decoded[start] = bytes;
    decoded[start + 1] = pairs;
    this.#decodedAt[set] = start + 1;
    return start + 1;
  }

  /** The column named by the bytes at `at`. Sets are alike: the one at the same place in the set is tried first. */
  #columnAt(place: number, at: number, length: number): number {
    const guess = this.#columns[place];
    if (
      guess &&
      guess.nameBytes.length === length &&
      this.#sets.compare(guess.nameBytes, 0, length, at, at + length) === 0
    )
      return place;
    const name = this.#sets.toString('latin1', at, at + length);
    const known = this.#byName.get(name);
    if (known) return this.#columns.indexOf(known);
    const column: GrowingColumn = {
      name,
      nameBytes: Buffer.from(name, 'latin1'),
      values: [''],
      ids: new Map(),
      indexes: new Uint32Array(this.#rowCount),
    };
    this.#byName.set(name, column);
    return this.#columns.push(column) - 1;
  }
}
