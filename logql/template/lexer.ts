import { isPrintable, quoteGo } from '../units/index.ts';

export type TokenKind =
  | 'error'
  | 'bool'
  | 'char'
  | 'charConstant'
  | 'complex'
  | 'assign'
  | 'declare'
  | 'eof'
  | 'field'
  | 'identifier'
  | 'leftDelim'
  | 'leftParen'
  | 'number'
  | 'pipe'
  | 'rawString'
  | 'rightDelim'
  | 'rightParen'
  | 'space'
  | 'string'
  | 'text'
  | 'variable'
  | 'dot'
  | Keyword;

const KEYWORDS = [
  'block',
  'break',
  'continue',
  'define',
  'else',
  'end',
  'if',
  'range',
  'nil',
  'template',
  'with',
] as const;
export type Keyword = (typeof KEYWORDS)[number];
const isKeyword: ReadonlySet<string> = new Set(KEYWORDS);

export interface Token {
  readonly kind: TokenKind;
  /** Offset in the source. */
  readonly at: number;
  /** The source text; for `error` the message. */
  readonly text: string;
  /** Line of its start, from 1. */
  readonly line: number;
}

/** A token as Go shows it in `unexpected …`. */
export function showToken(token: Token): string {
  if (token.kind === 'eof') return 'EOF';
  if (token.kind === 'error') return token.text;
  if (token.kind === 'dot' || isKeyword.has(token.kind)) return `<${token.text}>`;
  const chars = [...token.text];
  return Buffer.byteLength(token.text) > 10 ? `${quoteGo(chars.slice(0, 10).join(''))}...` : quoteGo(token.text);
}

const ALPHANUMERIC = /[\p{L}\p{Nd}_]/u;
const WORD = /[\p{L}\p{Nd}_]*/uy;
const SPACES = /[ \t\r\n]*/y;
const TRAILING_SPACES = /[ \t\r\n]+$/;

/**
 * Splits a template into tokens, one a call, as Go's lexer does: text outside of `{{ }}`, and inside words, literals
 * and single spaces runs, since a space separates operands. After an `error` or `eof` it has no more.
 */
export class Lexer {
  readonly #source: string;
  #pos = 0;
  #insideAction = false;
  #parenDepth = 0;
  #line = 1;
  #lineAt = 0;

  constructor(source: string) {
    this.#source = source;
  }

  next(): Token {
    return this.#insideAction ? this.#action() : this.#text();
  }

  #emit(kind: TokenKind, start: number, text = this.#source.slice(start, this.#pos)): Token {
    for (; this.#lineAt < start; this.#lineAt++) if (this.#source.charCodeAt(this.#lineAt) === 0x0a) this.#line++;
    return { kind, at: start, text, line: this.#line };
  }

  #error(start: number, message: string): Token {
    return this.#emit('error', start, message);
  }

  #text(): Token {
    const source = this.#source;
    for (;;) {
      const start = this.#pos;
      const open = source.indexOf('{{', start);
      if (open < 0) {
        this.#pos = source.length;
        return start < source.length ? this.#emit('text', start) : this.#emit('eof', start);
      }
      if (open > start) {
        this.#pos = open;
        const text = source.slice(start, open);
        const kept = hasLeftTrim(source, open + 2) ? text.replace(TRAILING_SPACES, '') : text;
        if (kept !== '') return this.#emit('text', start, kept);
        continue;
      }
      const afterTrim = open + 2 + (hasLeftTrim(source, open + 2) ? 2 : 0);
      if (!source.startsWith('/*', afterTrim)) {
        this.#pos = open + 2;
        const token = this.#emit('leftDelim', open);
        this.#pos = afterTrim;
        this.#insideAction = true;
        this.#parenDepth = 0;
        return token;
      }
      const close = source.indexOf('*/', afterTrim + 2);
      if (close < 0) return this.#error(open, 'unclosed comment');
      this.#pos = close + 2;
      const end = this.#rightDelimWidth();
      if (end === 0) return this.#error(open, 'comment ends before closing delimiter');
      this.#closeAction(end);
    }
  }

  /** Width of `}}` or ` -}}` here, 0 when there is none. */
  #rightDelimWidth(): number {
    if (this.#source.startsWith('}}', this.#pos)) return 2;
    return isSpace(this.#source.charCodeAt(this.#pos)) && this.#source.startsWith('-}}', this.#pos + 1) ? 4 : 0;
  }

  #closeAction(width: number): void {
    this.#insideAction = false;
    this.#pos += width;
    if (width === 2) return;
    SPACES.lastIndex = this.#pos;
    SPACES.test(this.#source);
    this.#pos = SPACES.lastIndex;
  }

  #action(): Token {
    const source = this.#source;
    const start = this.#pos;
    const closing = this.#rightDelimWidth();
    if (closing > 0) {
      if (this.#parenDepth > 0) return this.#error(start, 'unclosed left paren');
      const at = start + closing - 2;
      this.#pos = at + 2;
      const token = this.#emit('rightDelim', at);
      this.#pos = start;
      this.#closeAction(closing);
      return token;
    }
    if (start >= source.length) return this.#error(start, 'unclosed action');
    const char = String.fromCodePoint(source.codePointAt(start)!);
    this.#pos += char.length;
    switch (char) {
      case ' ':
      case '\t':
      case '\r':
      case '\n':
        return this.#space(start);
      case '=':
        return this.#emit('assign', start);
      case ':':
        if (source[this.#pos] !== '=') return this.#error(start, 'expected :=');
        this.#pos++;
        return this.#emit('declare', start);
      case '|':
        return this.#emit('pipe', start);
      case '"':
        return this.#quoted(start, '"', 'string', 'unterminated quoted string');
      case "'":
        return this.#quoted(start, "'", 'charConstant', 'unterminated character constant');
      case '`': {
        const end = source.indexOf('`', this.#pos);
        if (end < 0) return this.#error(start, 'unterminated raw quoted string');
        this.#pos = end + 1;
        return this.#emit('rawString', start);
      }
      case '$':
        return this.#fieldOrVariable(start, 'variable', 'variable');
      case '(':
        this.#parenDepth++;
        return this.#emit('leftParen', start);
      case ')':
        if (--this.#parenDepth < 0) return this.#error(start, 'unexpected right paren');
        return this.#emit('rightParen', start);
      default:
    }
    if (char === '.' && !/^[0-9]/.test(source.slice(this.#pos, this.#pos + 1))) {
      return this.#fieldOrVariable(start, 'field', 'dot');
    }
    if (/[.+\-0-9]/.test(char)) return this.#number(start);
    if (ALPHANUMERIC.test(char)) return this.#identifier(start);
    if (char >= ' ' && char <= '~') return this.#emit('char', start);
    return this.#error(start, `unrecognized character in action: ${showChar(char)}`);
  }

  /** A run of spaces ends before the space of a trimming ` -}}`. */
  #space(start: number): Token {
    this.#pos = start;
    while (isSpace(this.#source.charCodeAt(this.#pos)) && this.#rightDelimWidth() === 0) this.#pos++;
    return this.#emit('space', start);
  }

  #quoted(start: number, quote: string, kind: TokenKind, unterminated: string): Token {
    const source = this.#source;
    for (let i = this.#pos; ; i++) {
      let char = source[i];
      if (char === '\\') {
        char = source[++i];
        if (char !== undefined && char !== '\n') continue;
      }
      if (char === undefined || char === '\n') return this.#error(start, unterminated);
      if (char !== quote) continue;
      this.#pos = i + 1;
      return this.#emit(kind, start);
    }
  }

  #skipWord(): void {
    WORD.lastIndex = this.#pos;
    WORD.test(this.#source);
    this.#pos = WORD.lastIndex;
  }

  #fieldOrVariable(start: number, kind: TokenKind, bare: TokenKind): Token {
    if (this.#atTerminator()) return this.#emit(bare, start);
    this.#skipWord();
    if (!this.#atTerminator()) return this.#badCharacter(start);
    return this.#emit(kind, start);
  }

  #identifier(start: number): Token {
    this.#pos = start;
    this.#skipWord();
    if (!this.#atTerminator()) return this.#badCharacter(start);
    const word = this.#source.slice(start, this.#pos);
    if (word === 'true' || word === 'false') return this.#emit('bool', start);
    return this.#emit(isKeyword.has(word) ? (word as Keyword) : 'identifier', start);
  }

  #badCharacter(start: number): Token {
    return this.#error(start, `bad character ${showChar(String.fromCodePoint(this.#source.codePointAt(this.#pos)!))}`);
  }

  /** What may follow a word: `.x.y` is two fields, `$x+2` is none. */
  #atTerminator(): boolean {
    const char = this.#source[this.#pos];
    if (char === undefined || ' \t\r\n.,|:()'.includes(char)) return true;
    return this.#source.startsWith('}}', this.#pos);
  }

  #number(start: number): Token {
    this.#pos = start;
    let good = this.#scanNumber();
    let kind: TokenKind = 'number';
    const sign = this.#source[this.#pos];
    if (good && (sign === '+' || sign === '-')) {
      good = this.#scanNumber() && this.#source[this.#pos - 1] === 'i';
      kind = 'complex';
    }
    if (!good) return this.#error(start, `bad number syntax: ${quoteGo(this.#source.slice(start, this.#pos))}`);
    return this.#emit(kind, start);
  }

  /** Takes what looks like a number; whether it is one, the parser finds. Nothing alphanumeric may follow. */
  #scanNumber(): boolean {
    NUMBER.lastIndex = this.#pos;
    NUMBER.test(this.#source);
    this.#pos = NUMBER.lastIndex;
    const next = this.#source.codePointAt(this.#pos);
    if (next === undefined || !ALPHANUMERIC.test(String.fromCodePoint(next))) return true;
    this.#pos += next > 0xffff ? 2 : 1;
    return false;
  }
}

const NUMBER =
  /[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?/y;

function hasLeftTrim(source: string, at: number): boolean {
  return source[at] === '-' && isSpace(source.charCodeAt(at + 1));
}

function isSpace(unit: number): boolean {
  return unit === 0x20 || unit === 0x09 || unit === 0x0d || unit === 0x0a;
}

/** Go's `%#U`: `U+0040 '@'`. */
export function showChar(char: string): string {
  const code = `U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
  return isPrintable(char) ? `${code} '${char}'` : code;
}
