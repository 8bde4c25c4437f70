import { decodeLabelValue } from './text.ts';

/** Something with the pieces of a byte string: the string, or what makes them when asked. */
export interface Pieces {
  slice(start: number, end: number): string;
}

/**
 * Reads `key=value key2="quoted \"value\"" bare` pair by pair. A pair ends at a byte up to 0x20. After an error
 * `next` goes on behind the next such byte, which is what a lenient reader wants; a strict one stops.
 */
export class LogfmtScanner {
  keyStart = 0;
  keyEnd = 0;
  /** The first error, with its 1-based byte position: `logfmt syntax error at pos 4 : unexpected '='`. */
  error = '';
  #source: Pieces = '';
  #bytes: Uint8Array = NO_BYTES;
  #lineStart = 0;
  #end = 0;
  #at = 0;
  /** The value of the pair at hand, unless it has escapes (`isPlain`). */
  valueStart = 0;
  valueEnd = 0;
  #unescaped: string | null = null;

  /** The line is `[start, end)` of `source`, a byte string; `bytes` are the same. */
  reset(source: Pieces, start: number, end: number, bytes: Uint8Array): void {
    this.#source = source;
    this.#bytes = bytes;
    this.#lineStart = start;
    this.#at = start;
    this.#end = end;
    this.error = '';
  }

  /** Moves to the next pair: 1 found, 0 end of line, -1 a pair that is none. */
  next(): 1 | 0 | -1 {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#at;
    while (at < end && bytes[at]! <= SPACE) at++;
    this.#unescaped = null;
    this.valueStart = 0;
    this.valueEnd = 0;
    this.keyStart = at;
    if (at >= end) return 0;
    let isAscii = true;
    for (; at < end; at++) {
      const c = bytes[at]!;
      if (c <= SPACE || c === EQUALS || c === QUOTE) break;
      if (c >= 0x80) isAscii = false;
    }
    this.keyEnd = at;
    const c = at < end ? bytes[at]! : SPACE;
    if (c === QUOTE || (c === EQUALS && at === this.keyStart)) return this.#unexpected(at);
    if (!isAscii && decodeKey(this.#source.slice(this.keyStart, at)).includes('\ufffd'))
      return this.#fail(at, 'invalid key');
    if (c !== EQUALS) {
      this.#at = at;
      return 1;
    }
    at++;
    if (at < end && bytes[at]! === QUOTE) return this.#quoted(at);
    const start = at;
    for (; at < end; at++) {
      const v = bytes[at]!;
      if (v <= SPACE) break;
      if (v === EQUALS || v === QUOTE) return this.#unexpected(at);
    }
    this.valueStart = start;
    this.valueEnd = at;
    this.#at = at;
    return 1;
  }

  /** Whether the pair at hand has a value with at least one character. */
  get hasValue(): boolean {
    return this.#unescaped === null ? this.valueEnd > this.valueStart : this.#unescaped !== '';
  }

  /** Whether the value is a piece of the line as it stands there. */
  get isPlain(): boolean {
    return this.#unescaped === null;
  }

  value(): string {
    return this.#unescaped === null
      ? decodeLabelValue(this.#source.slice(this.valueStart, this.valueEnd))
      : decodeLabelValue(this.#unescaped);
  }

  #quoted(quote: number): 1 | -1 {
    const bytes = this.#bytes;
    let hasEscapes = false;
    for (let at = quote + 1; at < this.#end; at++) {
      const c = bytes[at];
      if (c === BACKSLASH) {
        hasEscapes = true;
        at++;
      } else if (c === QUOTE) {
        this.#at = at + 1;
        if (hasEscapes) {
          this.#unescaped = unquote(this.#source.slice(quote + 1, at));
          if (this.#unescaped === null) return this.#fail(at + 1, 'invalid quoted value');
        } else {
          this.valueStart = quote + 1;
          this.valueEnd = at;
        }
        return 1;
      }
    }
    return this.#fail(this.#end, 'unterminated quoted value');
  }

  #unexpected(at: number): -1 {
    return this.#fail(at, `unexpected '${this.#source.slice(at, at + 1)}'`);
  }

  #fail(at: number, message: string): -1 {
    if (this.error === '') this.error = `logfmt syntax error at pos ${at - this.#lineStart + 1} : ${message}`;
    while (at < this.#end && this.#bytes[at]! > SPACE) at++;
    this.#at = at;
    return -1;
  }
}

const NO_BYTES = new Uint8Array(0);
const SPACE = 0x20;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function decodeKey(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** Resolves escapes as Go's encoding/json does: lone surrogates become U+FFFD, control characters are refused. */
function unquote(raw: string): string | null {
  if (/[\x00-\x1f]/.test(raw)) return null;
  let result = '';
  for (let at = 0; at < raw.length; ) {
    const backslash = raw.indexOf('\\', at);
    if (backslash < 0) return result + raw.slice(at);
    result += raw.slice(at, backslash);
    const c = raw[backslash + 1]!;
    if (c !== 'u') {
      const simple = ESCAPES[c];
      if (simple === undefined) return null;
      result += simple;
      at = backslash + 2;
      continue;
    }
    const unit = hexUnit(raw, backslash);
    if (unit < 0) return null;
    at = backslash + 6;
    let text = String.fromCharCode(unit);
    if (unit >= 0xd800 && unit <= 0xdfff) {
      const low = hexUnit(raw, at);
      if (unit < 0xdc00 && low >= 0xdc00 && low <= 0xdfff) {
        text += String.fromCharCode(low);
        at += 6;
      } else {
        text = '\ufffd';
      }
    }
    result += unit < 0x80 ? text : Buffer.from(text, 'utf8').toString('latin1');
  }
  return result;
}

function hexUnit(raw: string, at: number): number {
  const hex = raw.slice(at + 2, at + 6);
  return raw.startsWith('\\u', at) && /^[0-9a-fA-F]{4}$/.test(hex) ? Number.parseInt(hex, 16) : -1;
}
