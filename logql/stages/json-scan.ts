import { decodeLabelValue, decodeUtf8 } from './text.ts';

/**
 * Steps over JSON in bytes without building values. The notion of JSON is that of the scanner that Loki uses
 * (github.com/buger/jsonparser): strings end at the first quote that is not escaped, brackets are counted, a bare
 * token is judged by its first character, and nothing is checked that need not be looked at. Its error texts are part
 * of answers (`__error_details__`).
 */
export const JSON_ERRORS = {
  malformed: 'Malformed JSON error',
  string: `Value is string, but can't find closing '"' symbol`,
  array: "Value is array, but can't find closing ']' symbol",
  object: "Value looks like object, but can't find closing '}' symbol",
  bare: 'Unknown value type',
  escape: 'Encountered an invalid escape sequence in a string',
} as const;

export const QUOTE = 0x22;
export const COLON = 0x3a;
export const COMMA = 0x2c;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;
export const OPEN_BRACKET = 0x5b;
export const CLOSE_BRACKET = 0x5d;
export const BACKSLASH = 0x5c;
const SPACE = 0x20;

export type JsonType = 'string' | 'number' | 'boolean' | 'null' | 'object' | 'array';

/** Index of the first character at or after `at` that is no white space; -1 when there is none. */
export function skipSpace(bytes: Uint8Array, at: number, end: number): number {
  for (; at < end; at++) {
    const c = bytes[at]!;
    if (c > 0x20) return at;
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return at;
  }
  return -1;
}

/** Index of the quote that closes the string whose content starts at `at`; -1 when there is none. */
export function closingQuote(bytes: Uint8Array, at: number, end: number): number {
  for (; at < end; at++) {
    const c = bytes[at];
    if (c === QUOTE) return at;
    if (c === BACKSLASH) at++;
  }
  return -1;
}

/** Index after the bracket that closes the one at `at`; -1 when there is none. Brackets in strings do not count. */
export function blockEnd(bytes: Uint8Array, at: number, end: number, open: number, close: number): number {
  let level = 0;
  for (; at < end; at++) {
    const c = bytes[at];
    if (c === QUOTE) {
      at = closingQuote(bytes, at + 1, end);
      if (at < 0) return -1;
    } else if (c === open) {
      level++;
    } else if (c === close && --level === 0) {
      return at + 1;
    }
  }
  return -1;
}

/** What `readValue` found; one object is used again and again. */
export interface JsonValue {
  type: JsonType;
  /** Whether there is a backslash in the string. */
  hasEscapes: boolean;
  /** Content: without quotes for strings, with brackets for arrays and objects. */
  start: number;
  end: number;
  /** Index after the value. */
  next: number;
}

/** Reads the extent of the value that starts at the first non-space at or after `at`. Returns an error text or null. */
export function readValue(bytes: Uint8Array, at: number, end: number, value: JsonValue): string | null {
  if (at >= end || bytes[at]! <= SPACE) {
    at = skipSpace(bytes, at, end);
    if (at < 0) return JSON_ERRORS.malformed;
  }
  const c = bytes[at]!;
  value.start = at;
  if (c === QUOTE) {
    value.start = ++at;
    value.hasEscapes = false;
    for (; at < end; at++) {
      const b = bytes[at];
      if (b === QUOTE) break;
      if (b === BACKSLASH) {
        value.hasEscapes = true;
        at++;
      }
    }
    if (at >= end) return JSON_ERRORS.string;
    value.type = 'string';
    value.end = at;
    value.next = at + 1;
    return null;
  }
  if (c === OPEN_BRACE || c === OPEN_BRACKET) {
    const isObject = c === OPEN_BRACE;
    const after = blockEnd(bytes, at, end, c, isObject ? CLOSE_BRACE : CLOSE_BRACKET);
    if (after < 0) return isObject ? JSON_ERRORS.object : JSON_ERRORS.array;
    value.type = isObject ? 'object' : 'array';
    value.end = after;
    value.next = after;
    return null;
  }
  const after = bareEnd(bytes, at, end);
  value.end = after;
  value.next = after;
  if ((c >= 0x30 && c <= 0x39) || c === 0x2d) value.type = 'number';
  else if (isWord(bytes, at, after, 'true') || isWord(bytes, at, after, 'false')) value.type = 'boolean';
  else if (isWord(bytes, at, after, 'null')) value.type = 'null';
  else return JSON_ERRORS.bare;
  return null;
}

function bareEnd(bytes: Uint8Array, at: number, end: number): number {
  for (; at < end; at++) {
    const c = bytes[at];
    if (
      c === 0x20 ||
      c === 0x0a ||
      c === 0x0d ||
      c === 0x09 ||
      c === COMMA ||
      c === CLOSE_BRACE ||
      c === CLOSE_BRACKET
    ) {
      return at;
    }
  }
  return end;
}

function isWord(bytes: Uint8Array, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word.charCodeAt(i)) return false;
  return true;
}

/** A value for `readValue` to set. */
export function newJsonValue(): JsonValue {
  return { type: 'null', hasEscapes: false, start: 0, end: 0, next: 0 };
}

/** The text of a string that `readValue` found; '' when an escape is invalid. `source`: what it read, as a byte string. */
export function unquoteJson(source: string, { start, end, hasEscapes }: JsonValue): string {
  return unquotedText(source.slice(start, end), hasEscapes);
}

/** The same of what stands between the quotes. */
export function unquotedText(raw: string, hasEscapes: boolean): string {
  if (!hasEscapes) return decodeLabelValue(raw);
  const bytes = unescapeJson(raw);
  return bytes === null ? '' : decodeLabelValue(bytes);
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** Resolves the escapes of a byte string; null when one is invalid. */
export function unescapeJson(raw: string): string | null {
  let result = '';
  let at = 0;
  for (;;) {
    const backslash = raw.indexOf('\\', at);
    if (backslash < 0) return result + raw.slice(at);
    result += raw.slice(at, backslash);
    const c = raw[backslash + 1];
    if (c === 'u') {
      const unit = hexUnit(raw, backslash);
      if (unit < 0) return null;
      at = backslash + 6;
      let point = unit;
      if (unit >= 0xd800 && unit <= 0xdfff) {
        const low = hexUnit(raw, at);
        if (low < 0xdc00) return null;
        point = 0x10000 + (unit - 0xd800) * 0x400 + (low - 0xdc00);
        at += 6;
      }
      const text = point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff) ? '\ufffd' : String.fromCodePoint(point);
      result += point < 0x80 ? text : Buffer.from(text, 'utf8').toString('latin1');
    } else {
      const simple = c === undefined ? undefined : SIMPLE_ESCAPES[c];
      if (simple === undefined) return null;
      result += simple;
      at = backslash + 2;
    }
  }
}

/** The code unit of `\uXXXX` at `at`, or -1. */
function hexUnit(raw: string, at: number): number {
  const hex = raw.slice(at + 2, at + 6);
  return raw.startsWith('\\u', at) && /^[0-9a-fA-F]{4}$/.test(hex) ? Number.parseInt(hex, 16) : -1;
}

/** The text of a key's raw content; null when an escape is invalid. */
export function keyText(raw: string): string | null {
  const bytes = raw.includes('\\') ? unescapeJson(raw) : raw;
  return bytes === null ? null : decodeUtf8(bytes);
}
