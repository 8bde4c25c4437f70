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
const VALUES: readonly Word[] = NAMED.map(toWord);

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
const CLASS: Uint8Array = (() => {
  const table = new Uint8Array(256);
  for (const character of ' \t\n[({"=') table[character.charCodeAt(0)]! |= BEFORE_WORD;
  for (const character of ' \t\n[](){}:,!"=') table[character.charCodeAt(0)]! |= AFTER_WORD;
  for (let byte = 0; byte < 256; byte++) if (BY_INITIAL[byte] !== undefined) table[byte]! |= INITIAL;
  return table;
})();

/**
 * By two neighbouring bytes `first | second << 8`: whether a keyword starts with them, or has them after its first letter.
 * As every keyword has three letters, looking at every second pair of a line finds all of them, in half the time that
 * it takes to look at every byte.
 */
const STARTS_WITH = 1;
const GOES_ON_WITH = 2;
const PAIRS: Uint8Array = (() => {
  const table = new Uint8Array(1 << 16);
  const cases = (letter: number): number[] => [letter, letter & ~0x20];
  const mark = (first: number, second: number, bit: number): void => {
    for (const a of cases(first)) for (const b of cases(second)) table[a | (b << 8)]! |= bit;
  };
  for (const { bytes } of KEYWORDS) {
    mark(bytes[0]!, bytes[1]!, STARTS_WITH);
    mark(bytes[1]!, bytes[2]!, GOES_ON_WITH);
  }
  return table;
})();

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

/** Finds levels with one tenant's names of fields; keep it as long as they do not change. */
export class LevelDetector {
  readonly #walk: JsonWalk;
  readonly #scan: LogfmtScan;
  /** Where the next `=` stands in the bytes that were looked at last. */
  #source: Uint8Array | null = null;
  #equals = 0;
  #from = 0;

  /** `maxJsonDepth`: objects that are looked into, counting the outermost; 0 or less: all. */
  constructor(fields: readonly string[], maxJsonDepth: number) {
    this.#walk = new JsonWalk(fields, maxJsonDepth);
    this.#scan = new LogfmtScan(fields);
  }

  /** Index into LEVELS for the line `source[start, end)`. */
  detect(source: Uint8Array, start: number, end: number): number {
    let level = NONE;
    if (looksLikeJson(source, start, end)) {
      if (this.#walk.find(source, start, end)) level = valueLevel(source, this.#walk.valueStart, this.#walk.valueEnd);
    } else if (this.#hasEquals(source, start, end) && this.#scan.find(source, start, end)) {
      level = valueLevel(this.#scan.value, this.#scan.valueStart, this.#scan.valueEnd);
    }
    return level === NONE ? keywordLevel(source, start, end) : level;
  }

  /** To be called when bytes were changed or are no longer needed. */
  forget(): void {
    this.#source = null;
  }

  /** Whether the line has a `=`. Lines are asked for in the order in which they stand, mostly: then each byte is searched once. */
  #hasEquals(source: Uint8Array, start: number, end: number): boolean {
    if (source !== this.#source || start < this.#from || start > this.#equals) {
      this.#source = source;
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
  if (length < 3 || length > 11) return NONE;
  for (const word of VALUES) {
    if (word.bytes.length === length && startsWithFolded(bytes, start, word.bytes)) return word.level;
  }
  return NONE;
}

/** The first word that names a level and stands alone. */
function keywordLevel(source: Uint8Array, start: number, end: number): number {
  for (let at = start + 1; at + 1 < end; at += 2) {
    const pair = PAIRS[source[at]! | (source[at + 1]! << 8)]!;
    if (pair === 0) continue;
    const isWordBefore = (pair & GOES_ON_WITH) !== 0 && (CLASS[source[at - 1]!]! & INITIAL) !== 0;
    if (isWordBefore && (at - 1 === start || (CLASS[source[at - 2]!]! & BEFORE_WORD) !== 0)) {
      const level = keywordAt(source, at - 1, end);
      if (level !== NONE) return level;
    }
    if ((pair & STARTS_WITH) !== 0 && (CLASS[source[at - 1]!]! & BEFORE_WORD) !== 0) {
      const level = keywordAt(source, at, end);
      if (level !== NONE) return level;
    }
  }
  return UNKNOWN;
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
