/**
 * Go's `text/scanner` as Loki uses it: identifiers, numbers, strings, comments, and everything else a character at a
 * time. LogQL inherits its lexical rules, messages and positions, so they are kept: a position is that of the token's
 * first character, and reading single characters beyond a token forgets the line but not the column.
 */

export const EOF = -1;

export type ScanKind = 'eof' | 'identifier' | 'number' | 'char' | 'string' | 'raw string' | 'other';

const LETTER = /\p{L}/u;
const DIGIT = /\p{Nd}/u;
function isLetter(point: number): boolean {
  if (point < 0x80) return (point >= 97 && point <= 122) || (point >= 65 && point <= 90) || point === 95;
  return LETTER.test(String.fromCodePoint(point));
}

function isDecimal(point: number): boolean {
  return point >= 48 && point <= 57;
}

function isIdentifierPart(point: number): boolean {
  if (point < 0x80) return isLetter(point) || isDecimal(point);
  const char = String.fromCodePoint(point);
  return LETTER.test(char) || DIGIT.test(char);
}

function lowerCase(point: number): number {
  return point | 0x20;
}

function digitValue(point: number): number {
  if (isDecimal(point)) return point - 48;
  const lower = lowerCase(point);
  return lower >= 97 && lower <= 102 ? lower - 87 : 16;
}

const BOM = 0xfeff;
const NEWLINE = 10;
const QUOTE = 34;
const APOSTROPHE = 39;
const STAR = 42;
const DOT = 46;
const SLASH = 47;
const BACKSLASH = 92;
const BACKTICK = 96;
const UNDERSCORE = 95;

/** Hexadecimal digits of an escape, by its letter. */
const ESCAPE_LENGTHS = { x: 2, u: 4, U: 8 } as const;

export class GoScanner {
  /** Line and column of the current token; both 0 before the first. Line 0 after `skip`. */
  tokenLine = 0;
  tokenColumn = 0;
  readonly #text: string;
  readonly #onError: (message: string) => void;
  /** The character that is read but not yet part of a token, and where it starts and ends in the text. */
  #char = EOF;
  #charStart = 0;
  #charEnd = 0;
  #line = 1;
  #column = 0;
  #lastLineLength = 0;
  #ended = false;
  #tokenStart = 0;

  constructor(text: string, onError: (message: string) => void) {
    this.#text = text;
    this.#onError = onError;
  }

  /** The next character, not consumed. */
  get peek(): number {
    return this.#char;
  }

  /** Offset of `peek` in the text. */
  get offset(): number {
    return this.#charStart;
  }

  get tokenOffset(): number {
    return this.#tokenStart;
  }

  get tokenText(): string {
    return this.#text.slice(this.#tokenStart, this.#charStart);
  }

  /** Consumes one character outside of any token. */
  skip(): number {
    this.tokenLine = 0;
    const char = this.#char;
    if (char !== EOF) this.#advance();
    return char;
  }

  scan(): ScanKind {
    this.tokenLine = 0;
    if (this.#column === 0 && this.#charEnd === 0) {
      this.#advance();
      if (this.#char === BOM) this.#advance();
    }
    for (;;) {
      while (this.#char === 32 || this.#char === 9 || this.#char === NEWLINE || this.#char === 13) this.#advance();
      this.#tokenStart = this.#charStart;
      if (this.#column > 0) {
        this.tokenLine = this.#line;
        this.tokenColumn = this.#column;
      } else {
        this.tokenLine = this.#line - 1;
        this.tokenColumn = this.#lastLineLength;
      }
      const kind = this.#scanToken();
      if (kind !== null) return kind;
    }
  }

  /** Null after a comment. */
  #scanToken(): ScanKind | null {
    const char = this.#char;
    if (char === EOF) return 'eof';
    if (isLetter(char)) {
      do this.#advance();
      while (this.#char !== EOF && isIdentifierPart(this.#char));
      return 'identifier';
    }
    if (isDecimal(char)) {
      this.#number(false);
      return 'number';
    }
    switch (char) {
      case QUOTE:
        this.#string(QUOTE);
        this.#advance();
        return 'string';
      case APOSTROPHE:
        if (this.#string(APOSTROPHE) !== 1) this.#onError('invalid char literal');
        this.#advance();
        return 'char';
      case BACKTICK:
        this.#rawString();
        this.#advance();
        return 'raw string';
      case DOT:
        this.#advance();
        if (!isDecimal(this.#char)) return 'other';
        this.#number(true);
        return 'number';
      case SLASH:
        this.#advance();
        if (this.#char !== SLASH && this.#char !== STAR) return 'other';
        this.#comment();
        return null;
      default:
        this.#advance();
        return 'other';
    }
  }

  #advance(): void {
    this.#charStart = this.#charEnd;
    const point = this.#text.codePointAt(this.#charEnd);
    if (point === undefined) {
      if (!this.#ended) this.#column++;
      this.#ended = true;
      this.#char = EOF;
      if (this.#text.length === 0) this.#column = 0;
      return;
    }
    this.#charEnd += point > 0xffff ? 2 : 1;
    this.#char = point;
    this.#column++;
    if (point === 0) this.#onError('invalid character NUL');
    if (point === NEWLINE) {
      this.#line++;
      this.#lastLineLength = this.#column;
      this.#column = 0;
    }
  }

  #isNext(point: number): boolean {
    return this.#char === point;
  }

  #comment(): void {
    if (this.#char === SLASH) {
      do this.#advance();
      while (!this.#isNext(NEWLINE) && !this.#isNext(EOF));
      return;
    }
    this.#advance();
    for (;;) {
      if (this.#char === EOF) {
        this.#onError('comment not terminated');
        return;
      }
      const previous = this.#char;
      this.#advance();
      if (previous === STAR && this.#char === SLASH) {
        this.#advance();
        return;
      }
    }
  }

  /** Leaves the closing quote as the next character. Returns the number of characters between the quotes. */
  #string(quote: number): number {
    this.#advance();
    let count = 0;
    while (this.#char !== quote) {
      if (this.#char === NEWLINE || this.#char === EOF) {
        this.#onError('literal not terminated');
        return count;
      }
      if (this.#char === BACKSLASH) this.#escape(quote);
      else this.#advance();
      count++;
    }
    return count;
  }

  #rawString(): void {
    this.#advance();
    while (this.#char !== BACKTICK) {
      if (this.#char === EOF) {
        this.#onError('literal not terminated');
        return;
      }
      this.#advance();
    }
  }

  #escape(quote: number): void {
    this.#advance();
    const char = this.#char;
    const letter = char === EOF ? '' : String.fromCodePoint(char);
    if (char === quote || (letter !== '' && 'abfnrtv\\'.includes(letter))) {
      this.#advance();
    } else if (letter >= '0' && letter <= '7') {
      this.#escapeDigits(8, 3);
    } else if (letter === 'x' || letter === 'u' || letter === 'U') {
      this.#advance();
      this.#escapeDigits(16, ESCAPE_LENGTHS[letter]);
    } else {
      this.#onError('invalid char escape');
    }
  }

  #escapeDigits(base: number, count: number): void {
    for (; count > 0 && digitValue(this.#char) < base; count--) this.#advance();
    if (count > 0) this.#onError('invalid char escape');
  }

  /** Digits and separators; bit 0 of the answer tells of digits, bit 1 of separators. */
  #digits(base: number): { seen: number; invalid: number } {
    let seen = 0;
    let invalid = 0;
    for (;;) {
      const char = this.#char;
      if (char === UNDERSCORE) {
        seen |= 2;
      } else if (base <= 10 ? isDecimal(char) : digitValue(char) < 16) {
        seen |= 1;
        if (base < 10 && char >= 48 + base && invalid === 0) invalid = char;
      } else {
        return { seen, invalid };
      }
      this.#advance();
    }
  }

  #number(afterDot: boolean): void {
    let base = 10;
    let prefix = '';
    let seen = 0;
    let invalid = 0;
    let float = afterDot;
    if (!afterDot) {
      if (this.#char === 48) {
        this.#advance();
        const letter = this.#isNext(EOF) ? '' : String.fromCodePoint(lowerCase(this.#char));
        if (letter === 'x') [base, prefix] = [16, 'x'];
        else if (letter === 'o') [base, prefix] = [8, 'o'];
        else if (letter === 'b') [base, prefix] = [2, 'b'];
        if (prefix !== '') this.#advance();
        else [base, prefix, seen] = [8, '0', 1];
      }
      const digits = this.#digits(base);
      seen |= digits.seen;
      invalid = digits.invalid;
      if (this.#char === DOT) {
        this.#advance();
        float = true;
      }
    }
    if (float) {
      if (prefix === 'o' || prefix === 'b') this.#onError(`invalid radix point in ${literalName(prefix)}`);
      const digits = this.#digits(base);
      seen |= digits.seen;
      if (invalid === 0) invalid = digits.invalid;
    }
    if ((seen & 1) === 0) this.#onError(`${literalName(prefix)} has no digits`);
    const exponent = this.#char === EOF ? '' : String.fromCodePoint(lowerCase(this.#char));
    if (exponent === 'e' || exponent === 'p') {
      const sign = `'${String.fromCodePoint(this.#char)}'`;
      if (exponent === 'e' && prefix !== '' && prefix !== '0') {
        this.#onError(`${sign} exponent requires decimal mantissa`);
      } else if (exponent === 'p' && prefix !== 'x') {
        this.#onError(`${sign} exponent requires hexadecimal mantissa`);
      }
      this.#advance();
      float = true;
      if (this.#char === 43 || this.#char === 45) this.#advance();
      const digits = this.#digits(10);
      seen |= digits.seen;
      if ((digits.seen & 1) === 0) this.#onError('exponent has no digits');
    } else if (prefix === 'x' && float) {
      this.#onError("hexadecimal mantissa requires a 'p' exponent");
    }
    if (!float && invalid !== 0) {
      this.#onError(`invalid digit '${String.fromCodePoint(invalid)}' in ${literalName(prefix)}`);
    }
    if ((seen & 2) !== 0 && hasStraySeparator(this.tokenText)) this.#onError("'_' must separate successive digits");
  }
}

function literalName(prefix: string): string {
  if (prefix === 'x') return 'hexadecimal literal';
  if (prefix === 'o' || prefix === '0') return 'octal literal';
  return prefix === 'b' ? 'binary literal' : 'decimal literal';
}

/** A separator stands between two digits, or between a base prefix and a digit. */
function hasStraySeparator(text: string): boolean {
  const hex = /^0x/i.test(text);
  const prefixed = /^0[xob]/i.test(text);
  const body = prefixed ? `0${text.slice(2)}` : text;
  const digit = hex ? '0-9a-fA-F' : '0-9';
  return new RegExp(`(^|[^${digit}])_|_([^${digit}]|$)`).test(body);
}
