import { UnitError } from './unit-error.ts';
import { decodeUtf8 } from './utf8.ts';

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u;
const PLAIN = /^[ !#-[\]-~]*$/;

const SHORT: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
};

/** Go's `strconv.Quote`. */
export function quoteGo(text: string): string {
  return quoteWith(text, '"', false);
}

/** Go's `strconv.QuoteToASCII`. */
export function quoteGoAscii(text: string): string {
  return quoteWith(text, '"', true);
}

/** Go's `strconv.QuoteRune` and, with `ascii`, `QuoteRuneToASCII`. A number that is no character reads as U+FFFD. */
export function quoteGoRune(point: number, ascii = false): string {
  const valid = point >= 0 && point <= 0x10ffff && !(point >= 0xd800 && point <= 0xdfff);
  return quoteWith(valid ? String.fromCodePoint(point) : '\ufffd', "'", ascii);
}

/** Whether Go's `unicode.IsPrint` holds: letters, marks, numbers, punctuation, symbols and the ASCII space. */
export function isPrintable(char: string): boolean {
  return char === ' ' || PRINTABLE.test(char);
}

function quoteWith(text: string, quote: '"' | "'", ascii: boolean): string {
  if (quote === '"' && PLAIN.test(text)) return `"${text}"`;
  let out: string = quote;
  for (const char of text) out += char === quote ? `\\${quote}` : escapeChar(char, ascii);
  return out + quote;
}

function escapeChar(char: string, ascii: boolean): string {
  const short = SHORT[char];
  if (short !== undefined) return short;
  const point = char.codePointAt(0)!;
  if (point >= 0xd800 && point <= 0xdfff) return ascii ? '\\ufffd' : '\ufffd';
  if (ascii ? point >= 0x20 && point < 0x7f : isPrintable(char)) return char;
  if (point < 0x20 || point === 0x7f) return `\\x${hex(point, 2)}`;
  return point < 0x10000 ? `\\u${hex(point, 4)}` : `\\U${hex(point, 8)}`;
}

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, '0');
}

/**
 * Go's `strconv.Unquote`: a text in double quotes, backticks, or a single character in single quotes. Throws
 * `UnitError` with the message `invalid syntax`.
 */
export function unquoteGo(text: string): string {
  const quote = text[0];
  if (text.length < 2 || quote !== text[text.length - 1]) throw invalid();
  const body = text.slice(1, -1);
  if (quote === '`') {
    if (body.includes('`')) throw invalid();
    return body.includes('\r') ? body.replaceAll('\r', '') : body;
  }
  if (quote !== '"' && quote !== "'") throw invalid();
  if (body.includes('\n')) throw invalid();
  if (quote === '"' && !body.includes('\\')) {
    if (body.includes('"')) throw invalid();
    return body;
  }
  const { value, characters } = unescapeBody(body, quote);
  if (quote === "'" && characters !== 1) throw invalid();
  return value;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};

/** `\x` and octal escapes name bytes, which may form characters only together: such texts go through bytes. */
function unescapeBody(body: string, quote: string): { value: string; characters: number } {
  const chunks: Buffer[] = [];
  let text = '';
  let characters = 0;
  for (let i = 0; i < body.length; characters++) {
    const char = String.fromCodePoint(body.codePointAt(i)!);
    if (char === quote) throw invalid();
    i += char.length;
    if (char !== '\\') {
      text += char;
      continue;
    }
    const kind = body[i++];
    if (kind === undefined) throw invalid();
    const simple = kind === quote ? quote : ESCAPES[kind];
    if (simple !== undefined) {
      text += simple;
    } else if (kind === 'u' || kind === 'U') {
      const width = kind === 'u' ? 4 : 8;
      const point = digits(body, i, width, 16);
      if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) throw invalid();
      i += width;
      text += String.fromCodePoint(point);
    } else {
      const isHex = kind === 'x';
      const byte = isHex ? digits(body, i, 2, 16) : digits(body, i - 1, 3, 8);
      if (byte > 0xff) throw invalid();
      i += 2;
      if (byte < 0x80 || quote === "'") {
        text += String.fromCharCode(byte);
      } else {
        chunks.push(Buffer.from(text), Buffer.of(byte));
        text = '';
      }
    }
  }
  if (chunks.length === 0) return { value: text, characters };
  chunks.push(Buffer.from(text));
  return { value: decodeUtf8(Buffer.concat(chunks)), characters };
}

function digits(text: string, from: number, width: number, base: 8 | 16): number {
  const part = text.slice(from, from + width);
  if (part.length !== width || !(base === 16 ? /^[0-9a-fA-F]+$/ : /^[0-7]+$/).test(part)) throw invalid();
  return Number.parseInt(part, base);
}

function invalid(): UnitError {
  return new UnitError('invalid syntax');
}
