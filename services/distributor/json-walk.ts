/**
 * Finds the first member, in document order, whose value is a string and whose name is one of some names. It reads as
 * tolerantly as the parser that Loki uses (`buger/jsonparser`): only what has to be passed is checked, an error ends the
 * search, and the value is what stands between the quotes, escapes and all.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Nested objects that are entered at most, whatever a tenant configured: the walk is recursive. */
const MAX_DEPTH = 512;

export class JsonWalk {
  readonly #names: readonly Uint8Array[];
  /** Bit n: a name of n bytes exists. Names of 31 and more share bit 31. */
  readonly #lengths: number;
  readonly #maxDepth: number;
  /** Where the value lies, after `find` answered true. */
  valueStart = 0;
  valueEnd = 0;

  constructor(names: readonly string[], maxDepth: number) {
    this.#names = names.map((name) => Buffer.from(name));
    let lengths = 0;
    for (const name of this.#names) lengths |= 1 << Math.min(31, name.length);
    this.#lengths = lengths;
    this.#maxDepth = maxDepth > 0 ? Math.min(maxDepth, MAX_DEPTH) : MAX_DEPTH;
  }

  find(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#object(bytes, start, end, 1) === FOUND;
  }

  #object(bytes: Uint8Array, at: number, end: number, depth: number): typeof FOUND | typeof DONE | typeof BROKEN {
    at = skipSpace(bytes, at, end);
    if (at === end || bytes[at] !== OPEN_BRACE) return BROKEN;
    at = skipSpace(bytes, at + 1, end);
    for (;;) {
      if (at >= end) return BROKEN;
      if (bytes[at] === CLOSE_BRACE) return DONE;
      if (bytes[at] !== QUOTE) return BROKEN;
      const nameStart = at + 1;
      at = stringEnd(bytes, nameStart, end);
      if (at < 0) return BROKEN;
      const nameEnd = at - 1;
      at = skipSpace(bytes, at, end);
      if (at === end || bytes[at] !== 0x3a) return BROKEN;
      at = skipSpace(bytes, at + 1, end);
      if (at === end) return BROKEN;
      const first = bytes[at]!;
      if (first === QUOTE) {
        const valueStart = at + 1;
        at = stringEnd(bytes, valueStart, end);
        if (at < 0) return BROKEN;
        if (this.#isName(bytes, nameStart, nameEnd)) {
          this.valueStart = valueStart;
          this.valueEnd = at - 1;
          return FOUND;
        }
      } else if (first === OPEN_BRACE) {
        const stop = blockEnd(bytes, at, end, OPEN_BRACE, CLOSE_BRACE);
        if (stop < 0) return BROKEN;
        if (depth < this.#maxDepth) {
          const inner = this.#object(bytes, at, stop, depth + 1);
          if (inner !== DONE) return inner;
        }
        at = stop;
      } else if (first === OPEN_BRACKET) {
        at = blockEnd(bytes, at, end, OPEN_BRACKET, CLOSE_BRACKET);
        if (at < 0) return BROKEN;
      } else {
        const stop = tokenEnd(bytes, at, end);
        if (stop < 0 || !isScalar(bytes, at, stop)) return BROKEN;
        at = stop;
      }
      at = skipSpace(bytes, at, end);
      if (at === end) return BROKEN;
      if (bytes[at] === CLOSE_BRACE) return DONE;
      if (bytes[at] !== 0x2c) return BROKEN;
      at = skipSpace(bytes, at + 1, end);
    }
  }

  #isName(bytes: Uint8Array, start: number, end: number): boolean {
    for (let i = start; i < end; i++) if (bytes[i] === BACKSLASH) return this.#isEscapedName(bytes, start, end);
    const length = end - start;
    if ((this.#lengths & (1 << Math.min(31, length))) === 0) return false;
    next: for (const name of this.#names) {
      if (name.length !== length) continue;
      for (let i = 0; i < length; i++) if (bytes[start + i] !== name[i]) continue next;
      return true;
    }
    return false;
  }

  #isEscapedName(bytes: Uint8Array, start: number, end: number): boolean {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
    let name: unknown;
    try {
      name = JSON.parse(`"${text}"`);
    } catch {
      return false; // an escape that means nothing is no name
    }
    return typeof name === 'string' && this.#names.some((known) => Buffer.from(name).equals(known));
  }
}

const FOUND = 1;
const DONE = 2;
const BROKEN = 3;

export function skipSpace(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const byte = bytes[at]!;
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    at++;
  }
  return at;
}

/** The place after the closing quote of the string whose text starts at `at`; -1 without one. */
export function stringEnd(bytes: Uint8Array, at: number, end: number): number {
  for (; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH) at++;
  }
  return -1;
}

/** The place after the bracket that closes the one at `at`. Only this kind of bracket is counted, outside of strings. */
export function blockEnd(bytes: Uint8Array, at: number, end: number, open: number, close: number): number {
  let depth = 0;
  while (at < end) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      at = stringEnd(bytes, at + 1, end);
      if (at < 0) return -1;
      continue;
    }
    if (byte === open) depth++;
    else if (byte === close && --depth === 0) return at + 1;
    at++;
  }
  return -1;
}

export function tokenEnd(bytes: Uint8Array, at: number, end: number): number {
  for (; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09 || byte === 0x2c) return at;
    if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) return at;
  }
  return -1;
}

/** A number by its first byte, or one of the three words. */
export function isScalar(bytes: Uint8Array, start: number, end: number): boolean {
  const first = bytes[start]!;
  if (first === 0x2d || (first >= 0x30 && first <= 0x39)) return true;
  const word = first === 0x74 ? 'true' : first === 0x66 ? 'false' : first === 0x6e ? 'null' : '';
  if (word.length === 0 || end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word.charCodeAt(i)) return false;
  return true;
}
