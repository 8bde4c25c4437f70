import { quoteGo, quoteGoRune, unquoteGo, utf8Length } from '../units/index.ts';
import { ParseError } from './parse-error.ts';

/** What a label string is made of, as Prometheus' lexer sees it; `other` is anything that no label string has. */
export type LabelTokenKind =
  | 'end'
  | 'identifier'
  | 'string'
  | 'metric'
  | 'comma'
  | 'equals'
  | 'operator'
  | 'open brace'
  | 'close brace'
  | 'other';

export interface LabelToken {
  readonly kind: LabelTokenKind;
  readonly text: string;
  readonly start: number;
  /** How an error message names the token. */
  readonly description: string;
}

const SPACE_AND_COMMENTS = /(?:[ \t\r\n]+|#[^\r\n]*)*/y;
const IDENTIFIER = /[A-Za-z_][A-Za-z0-9_]*/y;
const WORD = /[A-Za-z_:][A-Za-z0-9_:]*/y;
const NUMBER = /(?:0[xX][0-9a-fA-F_]+|[0-9]*\.?[0-9_]*(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_.])/y;
const DURATION = /[0-9]+[smhdwy]s?(?:[0-9]+[smhdw]s?)*(?![A-Za-z0-9_])/y;
const BAD_NUMBER = /[0-9.]+[A-Za-z_]?/y;
const BRACED_SIGN = /=~|=|!~|!=|,|\}|\{/y;
const OPEN_SIGN = /==|!=|<=|>=|<\/|>\/|[-,*/%+^=<>(){}[\]@]/y;

/** Words that Prometheus does not take for a metric's name, and how it names them. */
const RESERVED: Readonly<Record<string, (word: string) => string>> = {
  on: (word) => `<${word}>`,
  ignoring: (word) => `<${word}>`,
  group_left: (word) => `<${word}>`,
  group_right: (word) => `<${word}>`,
  bool: (word) => `<${word}>`,
  atan2: (word) => `<op:${word}>`,
  inf: (word) => `number ${quoteGo(word)}`,
  nan: (word) => `number ${quoteGo(word)}`,
};

const OPERATORS: ReadonlySet<string> = new Set('== != <= >= < > + - * / % ^ @ </ >/ =~ !~'.split(' '));

export class LabelScanner {
  readonly #text: string;
  #at = 0;
  #isInBraces = false;

  constructor(text: string) {
    this.#text = text;
  }

  /** Throws `ParseError` with Prometheus' text. */
  next(): LabelToken {
    this.#match(SPACE_AND_COMMENTS);
    const start = this.#at;
    const char = this.#text[start];
    if (char === undefined) {
      if (this.#isInBraces) throw this.errorAt(start, 'unexpected end of input inside braces');
      return { kind: 'end', text: '', start, description: 'end of input' };
    }
    if (char === '"' || char === "'" || char === '`') return this.#string(char);
    return this.#isInBraces ? this.#braced(char) : this.#open(char);
  }

  /** An error with line and column, 1-based, the column in bytes. */
  errorAt(offset: number, message: string): ParseError {
    const before = this.#text.slice(0, offset);
    const lineStart = before.lastIndexOf('\n') + 1;
    const line = before.split('\n').length;
    const column = utf8Length(before.slice(lineStart)) + 1;
    return new ParseError(`${line}:${column}: parse error: ${message}`, line, column);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += text.length;
    return text;
  }

  #braced(char: string): LabelToken {
    const start = this.#at;
    const name = this.#match(IDENTIFIER);
    if (name !== '') return { kind: 'identifier', text: name, start, description: `identifier ${quoteGo(name)}` };
    const sign = this.#match(BRACED_SIGN);
    if (sign === '{') throw this.errorAt(start, "unexpected left brace '{'");
    if (sign !== '') {
      if (sign === '}') this.#isInBraces = false;
      return this.#sign(sign, start);
    }
    if (char === '!') {
      const after = quoteGoRune(this.#text.codePointAt(start + 1) ?? -1);
      throw this.errorAt(start, `unexpected character after '!' inside braces: ${after}`);
    }
    throw this.errorAt(start, `unexpected character inside braces: ${quoteGoRune(this.#text.codePointAt(start)!)}`);
  }

  #open(char: string): LabelToken {
    const start = this.#at;
    const word = this.#match(WORD);
    if (word !== '') {
      const describe = RESERVED[word.toLowerCase()];
      if (describe !== undefined) return { kind: 'other', text: word, start, description: describe(word) };
      const kind = word.includes(':') ? 'metric identifier' : 'identifier';
      return { kind: 'metric', text: word, start, description: `${kind} ${quoteGo(word)}` };
    }
    if (/[0-9]/.test(char) || (char === '.' && /[0-9]/.test(this.#text.charAt(start + 1)))) return this.#number();
    const sign = this.#match(OPEN_SIGN);
    if (char === '=' && this.#text[start + 1] === '~') throw this.errorAt(start, "unexpected character after '=': '~'");
    if (sign === '') {
      if (char === '!') {
        const after = quoteGoRune(this.#text.codePointAt(start + 1) ?? -1);
        throw this.errorAt(start, `unexpected character after '!': ${after}`);
      }
      throw this.errorAt(start, `unexpected character: ${quoteGoRune(this.#text.codePointAt(start)!)}`);
    }
    if (sign === '}') throw this.errorAt(start, "unexpected character: '}'");
    if (sign === ']') throw this.errorAt(start, "unexpected right bracket ']'");
    if (sign === '{') this.#isInBraces = true;
    return this.#sign(sign, start);
  }

  #sign(sign: string, start: number): LabelToken {
    const description = OPERATORS.has(sign) ? `<op:${sign}>` : quoteGo(sign);
    const kinds: Readonly<Record<string, LabelTokenKind>> = {
      ',': 'comma',
      '=': 'equals',
      '{': 'open brace',
      '}': 'close brace',
    };
    return { kind: kinds[sign] ?? (OPERATORS.has(sign) ? 'operator' : 'other'), text: sign, start, description };
  }

  #number(): LabelToken {
    const start = this.#at;
    const number = this.#match(NUMBER);
    if (number !== '') return { kind: 'other', text: number, start, description: `number ${shortQuote(number)}` };
    const duration = this.#match(DURATION);
    if (duration !== '')
      return { kind: 'other', text: duration, start, description: `duration ${shortQuote(duration)}` };
    throw this.errorAt(start, `bad number or duration syntax: ${quoteGo(this.#match(BAD_NUMBER))}`);
  }

  /** The token's text is what the string stands for. */
  #string(quote: string): LabelToken {
    const start = this.#at++;
    while (this.#text[this.#at] !== quote) {
      const char = this.#text[this.#at];
      if (char === undefined || (char === '\n' && quote !== '`')) {
        throw this.errorAt(start, quote === '`' ? 'unterminated raw string' : 'unterminated quoted string');
      }
      if (char === '\ufffd') throw this.errorAt(start, 'invalid UTF-8 rune');
      this.#at++;
      if (char === '\\' && quote !== '`') this.#escape(start, quote);
    }
    this.#at++;
    const source = this.#text.slice(start, this.#at);
    return { kind: 'string', text: unquote(source), start, description: `string ${shortQuote(source)}` };
  }

  /** Passes over an escape, whose backslash is read. */
  #escape(start: number, quote: string): void {
    const point = this.#text.codePointAt(this.#at);
    if (point === undefined) throw this.errorAt(start, 'escape sequence not terminated');
    const char = String.fromCodePoint(point);
    if ('abfnrtv\\'.includes(char) || char === quote) {
      this.#at++;
      return;
    }
    const octal = char >= '0' && char <= '7';
    const count = octal ? 3 : ESCAPE_LENGTHS[char];
    if (count === undefined) throw this.errorAt(start, `unknown escape sequence ${unicodeName(point)}`);
    if (!octal) this.#at++;
    let value = 0;
    for (let i = 0; i < count; i++) {
      const digitPoint = this.#text.codePointAt(this.#at);
      if (digitPoint === undefined) throw this.errorAt(start, 'escape sequence not terminated');
      const digit = Number.parseInt(String.fromCodePoint(digitPoint), octal ? 8 : 16);
      if (Number.isNaN(digit)) {
        throw this.errorAt(start, `illegal character ${unicodeName(digitPoint)} in escape sequence`);
      }
      value = value * (octal ? 8 : 16) + digit;
      this.#at++;
    }
    const most = octal || char === 'x' ? 255 : 0x10ffff;
    if (value > most || (value >= 0xd800 && value < 0xe000)) {
      throw this.errorAt(start, 'escape sequence is an invalid Unicode code point');
    }
  }
}

const ESCAPE_LENGTHS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** Go wants one character in single quotes, Prometheus any number; raw strings keep carriage returns. */
function unquote(source: string): string {
  const body = source.slice(1, -1);
  if (source[0] === '`') return body;
  if (source[0] === '"') return unquoteGo(source);
  return unquoteGo(`"${body.replace(/\\[\s\S]|"/g, (part) => (part === '"' ? '\\"' : part === "\\'" ? "'" : part))}"`);
}

/** Go's `%U` with the character itself. */
function unicodeName(point: number): string {
  const hex = point.toString(16).toUpperCase().padStart(4, '0');
  return `U+${hex} '${String.fromCodePoint(point)}'`;
}

function shortQuote(text: string): string {
  return utf8Length(text) > 10 ? `${quoteGo([...text].slice(0, 10).join(''))}...` : quoteGo(text);
}
