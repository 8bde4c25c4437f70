import { PushError } from './push-error.ts';

/**
 * JSON (RFC 8259) read from bytes, without building values. Escapes in a string are undone in place: a JSON string is
 * never shorter than what it stands for, so the text moves left inside its own quotes. Bytes that are not UTF-8 pass.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** Objects and arrays in each other, in values that nobody reads. */
const MAX_DEPTH = 10_000;

export type JsonKind = 'string' | 'object' | 'array' | 'null' | 'other';

export class JsonBytes {
  readonly bytes: Buffer;
  at = 0;
  /** The string that `string()` read last. */
  textStart = 0;
  textLength = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  fail(what: string): PushError {
    const at = Math.min(this.at, this.bytes.length);
    const near = JSON.stringify(this.bytes.toString('latin1', Math.max(0, at - 10), at + 10));
    return new PushError(400, `invalid JSON in push request: ${what}, error found in #${at} byte near ${near}`);
  }

  /** The next byte that is not white space, without taking it; -1 at the end. */
  peek(): number {
    const bytes = this.bytes;
    let at = this.at;
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) {
        this.at = at;
        return byte;
      }
    }
    this.at = at;
    return -1;
  }

  /** The kind of the value that starts here. */
  kind(): JsonKind {
    switch (this.peek()) {
      case QUOTE:
        return 'string';
      case OPEN_BRACE:
        return 'object';
      case OPEN_BRACKET:
        return 'array';
      case 0x6e:
        return 'null';
      default:
        return 'other';
    }
  }

  /** Goes into an object; false when it is empty (and passed). */
  enterObject(): boolean {
    return this.#enter(OPEN_BRACE, CLOSE_BRACE, 'expect { or n');
  }

  enterArray(): boolean {
    return this.#enter(OPEN_BRACKET, CLOSE_BRACKET, 'expect [ or n');
  }

  /** After a member: true when another follows, false when the object ended (and is passed). */
  nextMember(): boolean {
    return this.#next(CLOSE_BRACE, 'expect , or } after a member');
  }

  nextElement(): boolean {
    return this.#next(CLOSE_BRACKET, 'expect , or ] after an element');
  }

  /** Reads a member's name into `textStart` and `textLength`, and the colon. */
  key(): void {
    this.string();
    if (this.peek() !== COLON) throw this.fail('expect : after object field');
    this.at++;
  }

  /** Reads a string into `textStart` and `textLength`; undoes escapes in place. */
  string(): void {
    if (this.peek() !== QUOTE) throw this.fail('expect "');
    const bytes = this.bytes;
    const end = bytes.length;
    let at = this.at + 1;
    this.textStart = at;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        this.textLength = at - this.textStart;
        this.at = at + 1;
        return;
      }
      if (byte === BACKSLASH) {
        this.at = at;
        this.#unescape();
        return;
      }
      if (byte < 0x20) {
        this.at = at;
        throw this.fail('invalid control character found');
      }
    }
    this.at = end;
    throw this.fail('unexpected end of input');
  }

  /** Passes one value without changing its bytes. */
  skip(): void {
    let depth = 0;
    for (;;) {
      const byte = this.peek();
      if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (++depth > MAX_DEPTH) throw this.fail('exceeded max depth');
        if (byte === OPEN_BRACE ? this.enterObject() : this.enterArray()) {
          this.#stack[depth] = byte;
          if (byte === OPEN_BRACE) this.#skipKey();
          continue;
        }
        depth--;
      } else this.#skipScalar(byte);
      for (;;) {
        if (depth === 0) return;
        if (this.#stack[depth] === OPEN_BRACE) {
          if (this.nextMember()) {
            this.#skipKey();
            break;
          }
        } else if (this.nextElement()) break;
        depth--;
      }
    }
  }
  #stack: number[] = [];

  #skipKey(): void {
    if (this.peek() !== QUOTE) throw this.fail('expect " at the start of a name');
    this.#skipString();
    if (this.peek() !== COLON) throw this.fail('expect : after object field');
    this.at++;
  }

  #skipScalar(byte: number): void {
    if (byte === QUOTE) this.#skipString();
    else if (byte === 0x74) this.#literal('true');
    else if (byte === 0x66) this.#literal('false');
    else if (byte === 0x6e) this.#literal('null');
    else this.#number();
  }

  #skipString(): void {
    const bytes = this.bytes;
    for (let at = this.at + 1; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        this.at = at + 1;
        return;
      }
      if (byte === BACKSLASH) {
        const letter = bytes[++at];
        this.at = at;
        if (letter === 0x75) this.#hex(at + 1);
        else if (letter === undefined || UNESCAPED[letter] === undefined)
          throw this.fail('invalid escape char after \\');
      } else if (byte < 0x20) {
        this.at = at;
        throw this.fail('invalid control character found');
      }
    }
    this.at = bytes.length;
    throw this.fail('unexpected end of input');
  }

  #literal(word: string): void {
    if (this.bytes.toString('latin1', this.at, this.at + word.length) !== word) throw this.fail(`expect ${word}`);
    this.at += word.length;
  }

  #number(): void {
    let end = this.at;
    const bytes = this.bytes;
    while (end < bytes.length && end - this.at < 1000 && /[-+.0-9eE]/.test(String.fromCharCode(bytes[end]!))) end++;
    if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(bytes.toString('latin1', this.at, end))) {
      throw this.fail('unexpected character');
    }
    this.at = end;
  }

  #enter(open: number, close: number, what: string): boolean {
    const byte = this.peek();
    if (byte !== open) {
      const found = byte < 0 ? 'the end' : String.fromCharCode(byte);
      throw this.fail(`${what}, but found ${found}`);
    }
    this.at++;
    if (this.peek() !== close) return true;
    this.at++;
    return false;
  }

  #next(close: number, what: string): boolean {
    const byte = this.peek();
    if (byte !== COMMA && byte !== close) throw this.fail(what);
    this.at++;
    return byte === COMMA;
  }

  /** From the first backslash of a string on. */
  #unescape(): void {
    const bytes = this.bytes;
    const end = bytes.length;
    let at = this.at;
    let to = at;
    while (at < end) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        this.textLength = to - this.textStart;
        this.at = at + 1;
        return;
      }
      if (byte < 0x20) {
        this.at = at;
        throw this.fail('invalid control character found');
      }
      if (byte !== BACKSLASH) {
        bytes[to++] = byte;
        at++;
        continue;
      }
      const letter = bytes[at + 1];
      if (letter === 0x75) {
        let point = this.#hex(at + 2);
        at += 6;
        if (point >= 0xd800 && point < 0xe000) {
          const isPair = point < 0xdc00 && bytes[at] === BACKSLASH && bytes[at + 1] === 0x75;
          const low = isPair ? this.#hex(at + 2) : 0;
          this.at = at;
          if (low < 0xdc00 || low >= 0xe000) throw this.fail('half of a surrogate pair');
          point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
          at += 6;
        }
        to = writeUtf8(bytes, to, point);
        continue;
      }
      const plain = letter === undefined ? undefined : UNESCAPED[letter];
      this.at = at;
      if (plain === undefined) throw this.fail('invalid escape char after \\');
      bytes[to++] = plain;
      at += 2;
    }
    this.at = end;
    throw this.fail('unexpected end of input');
  }

  #hex(at: number): number {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const byte = this.bytes[at + i] ?? 0;
      const digit =
        byte >= 0x30 && byte <= 0x39
          ? byte - 0x30
          : (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66
            ? (byte | 0x20) - 0x57
            : -1;
      if (digit < 0) {
        this.at = at + i;
        throw this.fail('expects 0~9 or a~f');
      }
      value = value * 16 + digit;
    }
    return value;
  }
}

/** What the letter after a backslash stands for. */
const UNESCAPED: Readonly<Record<number, number>> = {
  34: 0x22,
  92: 0x5c,
  47: 0x2f,
  98: 0x08,
  102: 0x0c,
  110: 0x0a,
  114: 0x0d,
  116: 0x09,
};

function writeUtf8(bytes: Buffer, to: number, point: number): number {
  if (point < 0x80) bytes[to++] = point;
  else if (point < 0x800) {
    bytes[to++] = 0xc0 | (point >> 6);
    bytes[to++] = 0x80 | (point & 63);
  } else if (point < 0x10000) {
    bytes[to++] = 0xe0 | (point >> 12);
    bytes[to++] = 0x80 | ((point >> 6) & 63);
    bytes[to++] = 0x80 | (point & 63);
  } else {
    bytes[to++] = 0xf0 | (point >> 18);
    bytes[to++] = 0x80 | ((point >> 12) & 63);
    bytes[to++] = 0x80 | ((point >> 6) & 63);
    bytes[to++] = 0x80 | (point & 63);
  }
  return to;
}
