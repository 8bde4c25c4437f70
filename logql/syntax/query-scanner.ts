import { parseBytes, parseGoDuration, parsePrometheusDuration, UnitError, unquoteGo } from '../units/index.ts';
import { EOF, GoScanner } from './go-scanner.ts';
import { type ParseError, queryError } from './parse-error.ts';
import { FUNCTIONS, KEYWORDS, QueryToken, SIGNS, type Terminal } from './tokens.ts';

const SIGN_TERMINALS: ReadonlyMap<string, Terminal> = new Map(Object.entries(SIGNS));
const KEYWORD_TERMINALS: ReadonlyMap<string, Terminal> = new Map(Object.entries(KEYWORDS));
const FUNCTION_TERMINALS: ReadonlyMap<string, Terminal> = new Map(Object.entries(FUNCTIONS));

const PARSER_FLAGS: ReadonlySet<string> = new Set(['--strict', '--keep-empty']);

const DURATION_TAIL = /[\p{N}nuµmshdwy.]+/uy;
const BYTES_TAIL = /[\p{N}BikKMGTP.]+/uy;
const FLAG_TAIL = /[\p{L}-]+/uy;
const SPACES = /[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*/y;
const GROUPING = /by|without/iy;

/** An escape, with the surrogate that it names if it does. Prometheus reads those as U+FFFD, Go refuses them. */
const LONE_SURROGATE = /\\(?:u|U0000)([dD][89a-fA-F][0-9a-fA-F]{2})|\\[\s\S]/g;

function replaceSurrogate(sequence: string, surrogate: string | undefined): string {
  return surrogate === undefined ? sequence : '\\ufffd';
}

/**
 * Tokens of LogQL, one at a time, with Loki's rules: a number swallows a duration or size that follows it, a function
 * name is a function only before a parenthesis or a grouping, anything unknown is an identifier. After a mistake in a
 * literal the scanner goes on; the first mistake is the query's error. Tokens after a syntax error are never read, so
 * that mistakes in them are not reported.
 */
export class QueryScanner {
  /** In order of discovery. */
  readonly errors: ParseError[] = [];
  readonly #text: string;
  readonly #scanner: GoScanner;

  constructor(text: string) {
    this.#text = text;
    this.#scanner = new GoScanner(text, (message) => this.reportError(message));
  }

  /** Records an error at the current token. */
  reportError(message: string): void {
    this.errors.push(queryError(message, this.#scanner.tokenLine, this.#scanner.tokenColumn));
  }

  /** Null at the end of the text, and where a literal is so broken that reading stops. */
  next(): QueryToken | null {
    const scanner = this.#scanner;
    for (;;) {
      const kind = scanner.scan();
      switch (kind) {
        case 'eof':
          return null;
        case 'number':
          return this.#number();
        case 'string':
        case 'raw string':
          return this.#string();
        case 'identifier':
          return this.#word();
        case 'char':
          return this.#token('IDENTIFIER', scanner.tokenText);
        case 'other': {
          const char = scanner.tokenText;
          if (char === '#') {
            for (let next = scanner.peek; next !== 10 && next !== EOF; next = scanner.skip());
            continue;
          }
          if (char === '-') return this.#minus();
          if (char === '[') return this.#range();
          return this.#sign(char);
        }
        default:
          kind satisfies never;
      }
    }
  }

  #token(terminal: Terminal, value: string | number): QueryToken {
    const start = this.#scanner.tokenOffset;
    return new QueryToken(terminal, this.#text.slice(start, this.#scanner.offset), start, value);
  }

  #string(): QueryToken | null {
    const text = this.#scanner.tokenText;
    // Unlike Go, Prometheus' raw strings keep carriage returns.
    if (text[0] === '`' && text.length > 1 && text.endsWith('`')) return this.#token('STRING', text.slice(1, -1));
    try {
      return this.#token('STRING', unquoteGo(text.replace(LONE_SURROGATE, replaceSurrogate)));
    } catch (error: unknown) {
      if (!(error instanceof UnitError)) throw error;
      this.reportError(error.message);
      return null;
    }
  }

  #number(): QueryToken {
    const text = this.#scanner.tokenText;
    return (
      this.#withTail(text, 'DURATION', DURATION_TAIL, parseDuration) ??
      this.#withTail(text, 'BYTES', BYTES_TAIL, parseBytes) ??
      this.#token('NUMBER', text)
    );
  }

  #minus(): QueryToken {
    if (this.#scanner.peek === 45) {
      const tail = this.#match(FLAG_TAIL);
      if (PARSER_FLAGS.has(`-${tail}`)) {
        this.#skip(tail);
        return this.#token('FUNCTION_FLAG', `-${tail}`);
      }
    }
    return this.#withTail('-', 'DURATION', DURATION_TAIL, parseDuration) ?? this.#token('SUB', '-');
  }

  /** A token whose text goes on in `tail`, if the whole can be read. */
  #withTail(text: string, terminal: Terminal, tail: RegExp, read: (text: string) => number): QueryToken | null {
    const rest = this.#match(tail);
    if (rest === '') return null;
    let value: number;
    try {
      value = read(text + rest);
    } catch (error: unknown) {
      // Not a duration or size after all: then it is a number, and an identifier follows.
      if (error instanceof UnitError) return null;
      throw error;
    }
    this.#skip(rest);
    return this.#token(terminal, value);
  }

  #range(): QueryToken | null {
    const start = this.#scanner.offset;
    for (;;) {
      const end = this.#scanner.offset;
      const char = this.#scanner.skip();
      if (char === EOF) {
        this.reportError("missing closing ']' in duration");
        return null;
      }
      if (char !== 93) continue;
      try {
        return this.#token('RANGE', parsePrometheusDuration(this.#text.slice(start, end)));
      } catch (error: unknown) {
        if (!(error instanceof UnitError)) throw error;
        this.reportError(error.message);
        return null;
      }
    }
  }

  #word(): QueryToken {
    const text = this.#scanner.tokenText;
    const lower = text.toLowerCase();
    const fn = FUNCTION_TERMINALS.get(lower);
    if (fn !== undefined) return this.#isCalled() ? this.#token(fn, lower) : this.#token('IDENTIFIER', text);
    const keyword = KEYWORD_TERMINALS.get(lower);
    return keyword === undefined ? this.#token('IDENTIFIER', text) : this.#token(keyword, lower);
  }

  #sign(char: string): QueryToken {
    const pair = char + this.#text.charAt(this.#scanner.offset);
    const double = pair.length === 2 ? SIGN_TERMINALS.get(pair) : undefined;
    if (double !== undefined) {
      this.#scanner.skip();
      return this.#token(double, pair);
    }
    const single = SIGN_TERMINALS.get(char);
    return this.#token(single ?? 'IDENTIFIER', char);
  }

  /** Whether `(`, or `by` or `without` and then `(`, comes next. */
  #isCalled(): boolean {
    const text = this.#text;
    const from = this.#skipSpaces(this.#scanner.offset);
    if (text[from] === '(') return true;
    GROUPING.lastIndex = from;
    const grouping = GROUPING.exec(text);
    return grouping !== null && text[this.#skipSpaces(GROUPING.lastIndex)] === '(';
  }

  #skipSpaces(from: number): number {
    SPACES.lastIndex = from;
    SPACES.exec(this.#text);
    return SPACES.lastIndex;
  }

  /** What `pattern` matches from the next character on; `` when nothing. */
  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#scanner.offset;
    return pattern.exec(this.#text)?.[0] ?? '';
  }

  #skip(text: string): void {
    for (const _ of text) this.#scanner.skip();
  }
}

/** A duration in a filter or offset: Prometheus' form first, then Go's, which knows fractions, signs and `ns`. */
function parseDuration(text: string): number {
  try {
    return parsePrometheusDuration(text);
  } catch (error: unknown) {
    if (error instanceof UnitError) return parseGoDuration(text);
    throw error;
  }
}

/** Whether reading stopped at the end of the text and not at a mistake. */
export function scanAll(text: string): { tokens: QueryToken[]; isClean: boolean } {
  const scanner = new QueryScanner(text);
  const tokens: QueryToken[] = [];
  for (let token = scanner.next(); token !== null; token = scanner.next()) tokens.push(token);
  return { tokens, isClean: scanner.errors.length === 0 };
}
