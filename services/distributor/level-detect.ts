import { JsonWalk } from './json-walk.ts';
import { LogfmtScan } from './logfmt-scan.ts';

/**
 * The level of a line, read from its bytes: from a JSON member, from a logfmt key, or from the first word that names a
 * level. Nothing is allocated for a line without escapes. The rules are those of Loki's distributor (3.7).
 */
export type Level = 'unknown' | 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'critical' | 'fatal';

/** `detectLevel` answers with an index into this. */
export const LEVELS: readonly Level[] = ['unknown', 'trace', 'debug', 'info', 'warn', 'error', 'critical', 'fatal'];
const UNKNOWN = 0;
const EQUALS = 0x3d;
const NONE = -1;

const NAMED: readonly (readonly [word: string, level: Level])[] = [
  ['trace', 'trace'],
  ['trc', 'trace'],
  ['debug', 'debug'],
  ['dbg', 'debug'],
  ['info', 'info'],
  ['inf', 'info'],
  ['information', 'info'],
  ['warn', 'warn'],
  ['wrn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['err', 'error'],
  ['critical', 'critical'],
  ['fatal', 'fatal'],
];

interface Word {
  readonly bytes: Uint8Array;
  readonly level: number;
}
const toWord = ([word, level]: readonly [string, Level]): Word => ({
  bytes: Buffer.from(word),
  level: LEVELS.indexOf(level),
});
/** By length. */
const VALUES: readonly (readonly Word[] | undefined)[] = (() => {
  const table: Word[][] = [];
  for (const word of NAMED.map(toWord)) (table[word.bytes.length] ??= []).push(word);
  return Array.from(table);
})();

/** What the keyword scan looks for; of two words at one place the longer fits, as its neighbours decide. */
const KEYWORDS: readonly Word[] = (
  [
    ['trace', 'trace'],
    ['debug', 'debug'],
    ['fatal', 'fatal'],
    ['critical', 'critical'],
    ['error', 'error'],
    ['err', 'error'],
    ['warning', 'warn'],
    ['warn', 'warn'],
    ['info', 'info'],
  ] as const
).map(toWord);

/** By lower-case first letter. */
const BY_INITIAL: readonly (readonly Word[] | undefined)[] = (() => {
  const table: Word[][] = [];
  for (const word of KEYWORDS) (table[word.bytes[0]!] ??= []).push(word);
  return Array.from({ length: 256 }, (_, byte) => table[byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte]);
})();

const BEFORE_WORD = 1;
const AFTER_WORD = 2;
const INITIAL = 4;
const LAST = 8;
const BEFORE = Buffer.from(' \t\n[({"=');
const AFTER = Buffer.from(' \t\n[](){}:,!"=');
const CLASS: Uint8Array = (() => {
  const table = new Uint8Array(256);
  for (const byte of BEFORE) table[byte]! |= BEFORE_WORD;
  for (const byte of AFTER) table[byte]! |= AFTER_WORD;
  for (let byte = 0; byte < 256; byte++) if (BY_INITIAL[byte] !== undefined) table[byte]! |= INITIAL;
  for (const { bytes } of KEYWORDS) for (const byte of bothCases(bytes.at(-1)!)) table[byte]! |= LAST;
  return table;
})();

function bothCases(letter: number): number[] {
  return [letter, letter & ~0x20];
}

/**
 * A keyword inside of a line has five bytes or more with those beside it. Of four bytes in a row, beginning at every fourth
 * of a line, one begins therefore one place before these, or with them, or one or two places behind. What such four bytes
 * may be is looked up by pairs: a bit for each of these places, twice, as half of the keywords have bits of their own. Looking
 * at the bytes one by one takes four times as long.
 */
const PLACES = 4;
const [FIRST_PAIRS, SECOND_PAIRS]: readonly [Uint8Array, Uint8Array] = (() => {
  const tables = [new Uint8Array(1 << 16), new Uint8Array(1 << 16)] as const;
  const any = Array.from({ length: 256 }, (_, byte) => byte);
  KEYWORDS.forEach(({ bytes }, index) => {
    const text = [any, BEFORE, ...Array.from(bytes, bothCases), AFTER, any];
    for (let place = 0; place < PLACES; place++) {
      const bit = 1 << (index < KEYWORDS.length / 2 ? place : PLACES + place);
      tables.forEach((table, half) => {
        for (const a of text[place + 2 * half]!)
          for (const b of text[place + 2 * half + 1]!) table[a | (b << 8)]! |= bit;
      });
    }
  });
  return tables;
})();
/** What is looked at in one go, from a place in the line on. */
const GO_BYTES = 8;

/** What `level` stands for (`WRN` is `warn`); a word that is not known stays as it is. */
export function normaliseLevel(level: string): string {
  const folded = foldKelvinAndLongS(level).toLowerCase();
  for (const [word, standard] of NAMED) if (word === folded) return standard;
  return level;
}

/** `severity_number` of OpenTelemetry as a level. */
export function levelOfSeverityNumber(text: string): Level {
  if (!/^[-+]?\d+$/.test(text)) return 'info';
  const number = Number(text);
  if (number === 0 || number > 24) return 'unknown';
  if (number <= 4) return 'trace';
  if (number <= 8) return 'debug';
  if (number <= 12) return 'info';
  if (number <= 16) return 'warn';
  if (number <= 20) return 'error';
  return 'fatal';
}

const NO_BYTES = new DataView(new ArrayBuffer(0));

/** Finds levels with one tenant's names of fields; keep it as long as they do not change. */
export class LevelDetector {
  readonly #walk: JsonWalk;
  readonly #scan: LogfmtScan;
  /** The bytes that were looked at last, and where the next `=` stands in them. */
  #source: Uint8Array | null = null;
  #view: DataView = NO_BYTES;
  #equals = 0;
  #from = 0;

  /** `maxJsonDepth`: objects that are looked into, counting the outermost; 0 or less: all. */
  constructor(fields: readonly string[], maxJsonDepth: number) {
    this.#walk = new JsonWalk(fields, maxJsonDepth);
    this.#scan = new LogfmtScan(fields);
  }

  /** Index into LEVELS for the line `source[start, end)`. */
  detect(source: Uint8Array, start: number, end: number): number {
    if (source !== this.#source) this.#turnTo(source);
    let level = NONE;
    if (looksLikeJson(source, start, end)) {
      if (this.#walk.find(source, start, end)) level = valueLevel(source, this.#walk.valueStart, this.#walk.valueEnd);
    } else if (
      this.#hasEquals(source, start, end) &&
      this.#scan.mayFind(source, this.#equals, end) &&
      this.#scan.find(source, start, end)
    ) {
      level = valueLevel(this.#scan.value, this.#scan.valueStart, this.#scan.valueEnd);
    }
    return level === NONE ? keywordLevel(source, this.#view, start, end) : level;
  }

  /** To be called when bytes were changed or are no longer needed. */
  forget(): void {
    this.#source = null;
    this.#view = NO_BYTES;
  }

  #turnTo(source: Uint8Array): void {
    this.#source = source;
    this.#view = new DataView(source.buffer, source.byteOffset, source.length);
    this.#from = 0;
    this.#equals = -1;
  }

  /** Whether the line has a `=`. Lines are asked for in the order in which they stand, mostly: then each byte is searched once. */
  #hasEquals(source: Uint8Array, start: number, end: number): boolean {
    if (start < this.#from || start > this.#equals) {
      this.#from = start;
      const at = source.indexOf(EQUALS, start);
      this.#equals = at < 0 ? source.length : at;
    }
    return this.#equals < end;
  }
}

/** Whether the first character that is not white space is `{` and the last is `}`. */
export function looksLikeJson(source: Uint8Array, start: number, end: number): boolean {
  while (end > start && isSpaceFromTheEnd(source[end - 1]!)) end--;
  if (end === start || source[end - 1] !== 0x7d) return false;
  for (;;) {
    const byte = source[start];
    if (byte === 0x7b) return start < end;
    const width = spaceWidth(source, start, end);
    if (width === 0) return false;
    start += width;
  }
}

/** Go reads backwards by byte, where 0x85 and 0xa0 alone count as Unicode white space. */
function isSpaceFromTheEnd(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d) || byte === 0x85 || byte === 0xa0;
}

/** Bytes of the white-space character that starts here, 0 if it is none. */
function spaceWidth(source: Uint8Array, at: number, end: number): number {
  const byte = source[at];
  if (at >= end || byte === undefined) return 0;
  if (byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)) return 1;
  if (byte === 0xc2 && (source[at + 1] === 0x85 || source[at + 1] === 0xa0)) return 2;
  if (byte < 0xe1 || byte > 0xe3) return 0;
  const point = ((byte & 15) << 12) | ((source[at + 1]! & 63) << 6) | (source[at + 2]! & 63);
  const isSpace =
    point === 0x1680 ||
    (point >= 0x2000 && point <= 0x200a) ||
    point === 0x2028 ||
    point === 0x2029 ||
    point === 0x202f ||
    point === 0x205f ||
    point === 0x3000;
  return isSpace ? 3 : 0;
}

function valueLevel(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  const words = length < VALUES.length ? VALUES[length] : undefined;
  if (words === undefined) return NONE;
  for (const word of words) if (startsWithFolded(bytes, start, word.bytes)) return word.level;
  return NONE;
}

/** The first word that names a level and stands alone. `view` is of `source`. */
function keywordLevel(source: Uint8Array, view: DataView, start: number, end: number): number {
  if (end === start) return UNKNOWN;
  if ((CLASS[source[start]!]! & INITIAL) !== 0) {
    const level = keywordAt(source, start, end);
    if (level !== NONE) return level;
  }
  // Bytes behind the line may be looked at, where there are any.
  const stop = Math.min(end - 1, source.length - GO_BYTES + 1);
  let at = start;
  for (; at < stop; at += GO_BYTES) {
    const left = view.getInt32(at, true);
    const right = view.getInt32(at + 4, true);
    const leftPlaces = FIRST_PAIRS[left & 0xffff]! & SECOND_PAIRS[left >>> 16]!;
    const rightPlaces = FIRST_PAIRS[right & 0xffff]! & SECOND_PAIRS[right >>> 16]!;
    if ((leftPlaces | rightPlaces) === 0) continue;
    let level = keywordNear(source, at, leftPlaces, start, end);
    if (level === NONE) level = keywordNear(source, at + 4, rightPlaces, start, end);
    if (level !== NONE) return level;
  }
  for (at = Math.max(start + 1, at - 1); stop < end - 1 && at < end; at++) {
    const level = wordAt(source, at, end);
    if (level !== NONE) return level;
  }
  return (CLASS[source[end - 1]!]! & LAST) === 0 ? UNKNOWN : keywordAtEnd(source, start, end);
}

/** The first keyword of those that four bytes may belong to. */
function keywordNear(source: Uint8Array, at: number, places: number, start: number, end: number): number {
  for (let place = PLACES - 1; place >= 0; place--) {
    const first = at + 2 - place;
    if ((places & ((1 | (1 << PLACES)) << place)) === 0 || first <= start || first >= end) continue;
    const level = wordAt(source, first, end);
    if (level !== NONE) return level;
  }
  return NONE;
}

/** Behind which nothing stands that belongs to the line. */
function keywordAtEnd(source: Uint8Array, start: number, end: number): number {
  for (const { bytes, level } of KEYWORDS) {
    const at = end - bytes.length;
    if (at > start && (CLASS[source[at - 1]!]! & BEFORE_WORD) !== 0 && startsWithFolded(source, at, bytes))
      return level;
  }
  return UNKNOWN;
}

/** The level of a keyword that begins here, behind another byte of the line. */
function wordAt(source: Uint8Array, at: number, end: number): number {
  const isStart = (CLASS[source[at]!]! & INITIAL) !== 0 && (CLASS[source[at - 1]!]! & BEFORE_WORD) !== 0;
  return isStart ? keywordAt(source, at, end) : NONE;
}

function keywordAt(source: Uint8Array, at: number, end: number): number {
  for (const word of BY_INITIAL[source[at]!]!) {
    const stop = at + word.bytes.length;
    if (stop > end || (stop < end && (CLASS[source[stop]!]! & AFTER_WORD) === 0)) continue;
    if (startsWithFolded(source, at, word.bytes)) return word.level;
  }
  return NONE;
}

/** Whether the bytes at `at` are `word` (lower-case ASCII letters) in any case. */
function startsWithFolded(bytes: Uint8Array, at: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if ((bytes[at + i]! | 0x20) !== word[i]) return false;
  return true;
}

/** Go's EqualFold also takes the Kelvin sign for a k and the long s for an s. */
function foldKelvinAndLongS(text: string): string {
  return text.replaceAll('\u212a', 'k').replaceAll('\u017f', 's');
}
