/**
 * Finds a key in `key=value key="value" …`. Of several names the one that stands first in the list wins, wherever it
 * stands in the line; keys are compared without case. A mistake in the line ends the search with what was found so far.
 */
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

interface Name {
  readonly bytes: Uint8Array;
  readonly rank: number;
}

export class LogfmtScan {
  /** The names in lower case; a name that differs from an earlier one only in case can never win. */
  readonly #names: readonly string[];
  /** By length in bytes. */
  readonly #byLength: readonly (readonly Name[] | undefined)[];
  /** Bit n: a name of n bytes exists. Names of 31 and more share bit 31. */
  readonly #lengths: number;
  /** By byte: whether a key that is one of the names may end with it. */
  readonly #lastBytes: Uint8Array;
  /** What the value lies in, after `find` answered true: the line itself unless the value held escapes. */
  value: Uint8Array = new Uint8Array(0);
  valueStart = 0;
  valueEnd = 0;

  constructor(names: readonly string[]) {
    this.#names = names.map(fold);
    const byLength: Name[][] = [];
    this.#names.forEach((name, rank) => {
      const bytes = Buffer.from(name);
      if (this.#names.indexOf(name) === rank) (byLength[bytes.length] ??= []).push({ bytes, rank });
    });
    this.#byLength = Array.from(byLength);
    this.#lastBytes = lastBytes(this.#names);
    this.#lengths = byLength.reduce((bits, _, length) => bits | (1 << Math.min(31, length)), 0);
  }

  /**
   * False when `find` would be. `at`: where the first `=` stands. Most lines that have one are not logfmt, and their words
   * need not be looked at: what is found stands behind a `=`, and that behind a name.
   */
  mayFind(line: Uint8Array, at: number, end: number): boolean {
    for (at = Math.max(1, at); at < end; at++) {
      if (line[at] === EQUALS && this.#lastBytes[line[at - 1]!] !== 0) return true;
    }
    return false;
  }

  /** Whether one of the names is there with a value that is not empty. */
  find(line: Uint8Array, start: number, end: number): boolean {
    let best = this.#names.length;
    let found = false;
    let at = start;
    while (best > 0) {
      while (at < end && line[at]! <= 0x20) at++;
      if (at >= end) break;
      const keyStart = at;
      let byte = 0;
      let wide = 0;
      for (; at < end; at++) {
        byte = line[at]!;
        if (byte === EQUALS || byte === QUOTE || byte <= 0x20) break;
        wide |= byte;
      }
      if (at < end && (byte === QUOTE || at === keyStart)) break; // a quote in a key, or a sign without a key
      const isWide = wide >= 0x80;
      const mayMatch = isWide || (this.#lengths & (1 << Math.min(31, at - keyStart))) !== 0;
      const rank = mayMatch ? this.#rank(line, keyStart, at, isWide, best) : best;
      let valueStart = at;
      let valueEnd = at;
      let hasEscape = false;
      if (at < end && byte === EQUALS) {
        valueStart = valueEnd = ++at;
        if (at < end && line[at] === QUOTE) {
          valueStart = ++at;
          for (; at < end && line[at] !== QUOTE; at++) {
            if (line[at] === BACKSLASH) {
              hasEscape = true;
              at++;
            }
          }
          if (at >= end) break; // no closing quote
          valueEnd = at++;
        } else {
          while (at < end && line[at]! > 0x20 && line[at] !== EQUALS && line[at] !== QUOTE) at++;
          if (at < end && line[at]! > 0x20) break; // a sign or a quote inside of a value
          valueEnd = at;
        }
      }
      if (hasEscape) {
        const text = undoEscapes(line, valueStart, valueEnd);
        if (text === null) break; // an escape that means nothing
        if (rank < best) {
          this.value = text;
          this.valueStart = 0;
          this.valueEnd = text.length;
        }
      } else if (rank < best) {
        this.value = line;
        this.valueStart = valueStart;
        this.valueEnd = valueEnd;
      }
      if (rank < best) {
        best = rank;
        found = this.valueEnd > this.valueStart;
      }
    }
    return found;
  }

  /** Place of the key among the first `below` names; `below` when it is none of them. */
  #rank(line: Uint8Array, start: number, end: number, isWide: boolean, below: number): number {
    if (isWide) {
      const rank = this.#names.indexOf(fold(text(line, start, end)));
      return rank < 0 || rank > below ? below : rank;
    }
    const length = end - start;
    const names = length < this.#byLength.length ? this.#byLength[length] : undefined;
    if (names === undefined) return below;
    for (const { bytes, rank } of names) {
      if (rank >= below) break;
      let i = 0;
      for (; i < length; i++) {
        const byte = line[start + i]!;
        if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== bytes[i]) break;
      }
      if (i === length) return rank;
    }
    return below;
  }
}

const text = (bytes: Uint8Array, start: number, end: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');

/** Beyond ASCII there are other forms of the same letters. */
function lastBytes(names: readonly string[]): Uint8Array {
  const table = new Uint8Array(256).fill(1, 0x80);
  for (const name of names) for (const form of [name, name.toUpperCase()]) table[Buffer.from(form).at(-1) ?? 0] = 1;
  return table;
}

/** As Go's EqualFold compares: the Kelvin sign is a k, the long s an s. */
const fold = (name: string): string => name.replaceAll('\u212a', 'k').replaceAll('\u017f', 's').toLowerCase();

/** A quoted value knows JSON's escapes and `\'`. */
function undoEscapes(line: Uint8Array, start: number, end: number): Uint8Array | null {
  let value: unknown;
  try {
    value = JSON.parse(
      `"${text(line, start, end).replace(/\\(.)/gs, (all, letter: string) => (letter === "'" ? "'" : all))}"`,
    );
  } catch {
    return null; // not an escape of JSON: Loki's reader gives up on such a line, too
  }
  return Buffer.from(value as string);
}
