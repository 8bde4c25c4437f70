import { LEVELS } from './level-detect.ts';
import { normaliseMetadataName } from './metadata-name.ts';
import type { PushRows } from './push-rows.ts';
import { repairUtf8 } from './utf8-repair.ts';

/** The name under which the level of a line is kept. */
export const DETECTED_LEVEL = 'detected_level';

/** One piece of metadata of a row as it is stored. */
interface Slot {
  /** uvarint(length of name) and the name, as `storage/block/metadata-set.ts` wants it. */
  readonly head: Uint8Array;
  readonly nameLength: number;
  /** Which pair of the row it takes its value from; -1: the level. */
  readonly pair: number;
}

/** What the names of a row's metadata say; rows with the same names in the same order share it. */
export interface Shape {
  readonly rawNames: readonly Uint8Array[];
  /** Normalised names, by pair. */
  readonly names: readonly string[];
  /** By name. */
  readonly slots: readonly Slot[];
  /** Bytes that the slots need beside the values, at most. */
  readonly headBytes: number;
  /** Pair that is called `detected_level`, -1 for none. */
  readonly levelPair: number;
  /** Pair that comes first in `log_level_fields`, -1 for none. */
  readonly fieldPair: number;
  readonly severityPair: number;
}

/** Kept per tenant; a client that makes up names must not fill the memory. */
const MAX_SHAPES = 1000;

/** Finds the shape of a row, mostly by comparing it with that of the row before. */
export class Shapes {
  readonly #levelFields: readonly string[];
  readonly #known = new Map<string, Shape>();
  #last: Shape | null = null;

  constructor(levelFields: readonly string[]) {
    this.#levelFields = levelFields;
  }

  /** Throws PushError when a name cannot be kept. */
  of(rows: PushRows, row: number): Shape {
    const last = this.#last;
    if (last !== null && this.#fits(last, rows, row)) return last;
    const names: Buffer[] = [];
    const { source, pairs } = rows;
    const first = 4 * rows.firstPairs[row]!;
    for (let i = 0; i < rows.pairCounts[row]!; i++) {
      const start = pairs[first + 4 * i]!;
      names.push(source.subarray(start, start + pairs[first + 4 * i + 1]!));
    }
    const key = names.map((name) => `${name.length}:${name.toString('latin1')}`).join('');
    let shape = this.#known.get(key);
    if (shape === undefined) {
      if (this.#known.size >= MAX_SHAPES) this.#known.clear();
      shape = makeShape(names, this.#levelFields);
      this.#known.set(key, shape);
    }
    this.#last = shape;
    return shape;
  }

  #fits(shape: Shape, rows: PushRows, row: number): boolean {
    const { rawNames } = shape;
    if (rawNames.length !== rows.pairCounts[row]) return false;
    const { source, pairs } = rows;
    let at = 4 * rows.firstPairs[row]!;
    for (const name of rawNames) {
      if (name.length !== pairs[at + 1]) return false;
      const start = pairs[at]!;
      for (let i = 0; i < name.length; i++) if (source[start + i] !== name[i]) return false;
      at += 4;
    }
    return true;
  }
}

function makeShape(raw: readonly Buffer[], levelFields: readonly string[]): Shape {
  const names = raw.map((name) => normaliseMetadataName(name.toString('utf8')));
  const pairOf = pairsByName(raw, names);
  const slots: Slot[] = [...new Set([...pairOf.keys(), DETECTED_LEVEL])]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => ({
      head: withLength(Buffer.from(name)),
      nameLength: name.length,
      pair: name === DETECTED_LEVEL ? -1 : pairOf.get(name)!,
    }));
  const field = levelFields.find((name) => pairOf.has(name));
  return {
    rawNames: raw.map((name) => Uint8Array.from(name)),
    names,
    slots,
    headBytes: slots.reduce((sum, slot) => sum + slot.head.length + 5, 0),
    levelPair: pairOf.get(DETECTED_LEVEL) ?? -1,
    fieldPair: field === undefined ? -1 : pairOf.get(field)!,
    severityPair: pairOf.get('severity_number') ?? -1,
  };
}

/** Of equal names the last counts; one that was made equal before one that was so from the start. */
function pairsByName(raw: readonly Buffer[], names: readonly string[]): Map<string, number> {
  const pairOf = new Map<string, number>();
  const isMade = names.map((name, pair) => raw[pair]!.toString('utf8') !== name);
  for (const made of [false, true]) {
    names.forEach((name, pair) => {
      if (isMade[pair] === made) pairOf.set(name, pair);
    });
  }
  return pairOf;
}

function withLength(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + 5);
  const start = writeUvarint(out, 0, bytes.length);
  out.set(bytes, start);
  return out.slice(0, start + bytes.length);
}

function writeUvarint(out: Uint8Array, at: number, value: number): number {
  while (value >= 0x80) {
    out[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  out[at++] = value;
  return at;
}

const levelSet = (level: string): Uint8Array =>
  Buffer.concat([withLength(Buffer.from(DETECTED_LEVEL)), withLength(Buffer.from(level))]);
/** Sets of the levels that are found in lines. A level that somebody sent may be any text. */
const LEVEL_SETS: ReadonlyMap<string, Uint8Array> = new Map(LEVELS.map((level) => [level, levelSet(level)]));

/** What sets that are used again may keep. */
const MAX_KEPT_SETS = 256;
const MAX_KEPT_BYTES = 16 * 1024;
/** Any text may be sent as a level. */
const MAX_KEPT_LEVELS = 16;

/** Places that remember recent sets, to find equal ones. A power of two. */
const RECENT = 64;

/** The metadata sets of one stream of a push: bytes one after the other, equal ones mostly once. */
export class MetadataSets {
  setCount = 0;
  ends = new Uint32Array(16);
  bytes: Buffer = Buffer.allocUnsafe(256);
  /** Bytes of names and values of the set added last, without the level's. */
  lastSize = 0;
  #used = 0;
  /** 1 + set, by hash. */
  readonly #recent = new Uint32Array(RECENT);
  #hasRecent = false;
  /**
   * Sets that hold only a level: the level, and 1 + the index. Few; the first `#levelCount` count. The arrays keep their room:
   * it would be made anew for each stream of a push, and what an old object holds is not found dead soon.
   */
  readonly #levels: string[] = [];
  readonly #levelIndexes: number[] = [];
  #levelCount = 0;

  /** Forgets all sets. The memory stays, unless there is much of it. */
  clear(): void {
    this.setCount = 0;
    this.lastSize = 0;
    this.#used = 0;
    if (this.#hasRecent) this.#recent.fill(0);
    this.#hasRecent = false;
    this.#levelCount = 0;
    if (this.#levels.length > MAX_KEPT_LEVELS) this.#levels.length = 0;
    if (this.ends.length > MAX_KEPT_SETS) this.ends = new Uint32Array(16);
    if (this.bytes.length > MAX_KEPT_BYTES) this.bytes = Buffer.allocUnsafe(256);
  }

  /** 1 + the index of a set that holds only a level; 0 for no level. */
  addLevel(level: string): number {
    this.lastSize = 0;
    if (level === '') return 0;
    for (let i = 0; i < this.#levelCount; i++) if (this.#levels[i] === level) return this.#levelIndexes[i]!;
    const set = LEVEL_SETS.get(level) ?? levelSet(level);
    this.#reserve(set.length);
    for (let i = 0; i < set.length; i++) this.bytes[this.#used + i] = set[i]!;
    const index = this.#close(this.#used + set.length);
    this.#levels[this.#levelCount] = level;
    this.#levelIndexes[this.#levelCount++] = index;
    return index;
  }

  /** 1 + the index of a row's set, with `level` in it unless that is empty; 0 for an empty set. */
  addRow(rows: PushRows, row: number, shape: Shape, level: string): number {
    const { source, pairs } = rows;
    const first = 4 * rows.firstPairs[row]!;
    let room = shape.headBytes + 3 * level.length;
    for (let i = 0; i < shape.rawNames.length; i++) room += pairs[first + 4 * i + 3]!;
    this.#reserve(room);
    const out = this.bytes;
    let at = this.#used;
    let size = 0;
    let hash = 0;
    for (const slot of shape.slots) {
      if (slot.pair < 0) {
        if (level === '') continue;
        const encoded = LEVEL_SETS.get(level) ?? levelSet(level);
        for (let i = 0; i < encoded.length; i++) out[at++] = encoded[i]!;
        hash = (hash * 31 + encoded.length) | 0;
        continue;
      }
      const start = pairs[first + 4 * slot.pair + 2]!;
      const length = pairs[first + 4 * slot.pair + 3]!;
      if (length === 0) continue; // an empty value is no value
      const { head } = slot;
      for (let i = 0; i < head.length; i++) out[at++] = head[i]!;
      at = writeUvarint(out, at, length);
      let wide = 0;
      for (let i = 0; i < length; i++) {
        const byte = source[start + i]!;
        out[at + i] = byte;
        wide |= byte;
        hash = (hash * 31 + byte) | 0;
      }
      size += slot.nameLength + length;
      if (wide < 0x80) {
        at += length;
        continue;
      }
      const value = repairUtf8(source.subarray(start, start + length));
      at = writeUvarint(out, at - uvarintLength(length), value.length);
      out.set(value, at);
      at += value.length;
      size += value.length - length;
    }
    this.lastSize = size;
    if (at === this.#used) return 0;
    return this.#findOrClose(at, hash);
  }

  /** 1 + the index of a set given as encoded bytes; 0 for an empty one. */
  addEncoded(set: Uint8Array): number {
    if (set.length === 0) return 0;
    this.#reserve(set.length);
    this.bytes.set(set, this.#used);
    return this.#close(this.#used + set.length);
  }

  #findOrClose(end: number, hash: number): number {
    const place = (hash ^ (hash >>> 15)) & (RECENT - 1);
    const known = this.#recent[place]!;
    if (known > 0) {
      const start = known > 1 ? this.ends[known - 2]! : 0;
      const length = end - this.#used;
      if (this.ends[known - 1]! - start === length) {
        const { bytes } = this;
        let i = 0;
        while (i < length && bytes[start + i] === bytes[this.#used + i]) i++;
        if (i === length) return known;
      }
    }
    const index = this.#close(end);
    this.#recent[place] = index;
    this.#hasRecent = true;
    return index;
  }

  #close(end: number): number {
    if (this.setCount === this.ends.length) {
      const larger = new Uint32Array(2 * this.ends.length);
      larger.set(this.ends);
      this.ends = larger;
    }
    this.ends[this.setCount++] = end;
    this.#used = end;
    return this.setCount;
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.bytes.length, this.#used + bytes));
    larger.set(this.bytes.subarray(0, this.#used));
    this.bytes = larger;
  }
}

function uvarintLength(value: number): number {
  let length = 1;
  for (; value >= 0x80; value >>>= 7) length++;
  return length;
}
