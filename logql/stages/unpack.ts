import {
  CLOSE_BRACE,
  COLON,
  COMMA,
  closingQuote,
  JSON_ERRORS,
  keyText,
  newJsonValue,
  OPEN_BRACE,
  QUOTE,
  readValue,
  skipSpace,
  unescapeJson,
  unquoteJson,
} from './json-scan.ts';
import { sanitizeLabelName } from './label-name.ts';
import type { NeededLabels } from './needed-labels.ts';
import { JSON_PARSER_ERROR } from './parse-json.ts';
import type { Row, RowStage } from './row.ts';

const ENTRY_KEY = '_entry';

/** `| unpack`: undoes Promtail's pack stage. Labels count only when the object has the line, as a string. */
export class UnpackStage implements RowStage {
  readonly #needed: NeededLabels | null;
  readonly #value = newJsonValue();
  readonly #found: [id: number, value: string][] = [];

  constructor(needed: NeededLabels | null) {
    this.#needed = needed;
  }

  run(row: Row): boolean {
    if (row.start === row.end) return true;
    const error = this.#unpack(row);
    if (error !== null) row.fail(JSON_PARSER_ERROR, error);
    return true;
  }

  #unpack(row: Row): string | null {
    const { source, bytes, end } = row;
    const value = this.#value;
    const found = this.#found;
    found.length = 0;
    let entry: string | null = null;
    const first = bytes[row.start];
    if (first !== OPEN_BRACE) return NOT_AN_OBJECT;
    let at = skipSpace(bytes, row.start + 1, end);
    for (;;) {
      if (at < 0) return JSON_ERRORS.malformed;
      if (bytes[at] === CLOSE_BRACE) break;
      if (bytes[at] !== QUOTE) return JSON_ERRORS.object;
      const close = closingQuote(bytes, at + 1, end);
      if (close < 0) return JSON_ERRORS.malformed;
      const key = keyText(source.slice(at + 1, close));
      if (key === null) return JSON_ERRORS.escape;
      at = skipSpace(bytes, close + 1, end);
      if (at < 0 || bytes[at] !== COLON) return JSON_ERRORS.malformed;
      const error = readValue(bytes, at + 1, end, value);
      if (error !== null) return error;
      if (value.type === 'string') {
        if (key === ENTRY_KEY) entry = unescapeJson(source.slice(value.start, value.end)) ?? '';
        else this.#find(row, key, unquoteJson(source, value));
      }
      at = skipSpace(bytes, value.next, end);
      if (at < 0) return JSON_ERRORS.array;
      const c = bytes[at];
      if (c === CLOSE_BRACE) break;
      if (c !== COMMA) return JSON_ERRORS.object;
      at = skipSpace(bytes, at + 1, end);
      if (at < 0) return JSON_ERRORS.array;
    }
    if (entry === null) return null;
    for (const [id, text] of found) row.setParsed(id, text);
    row.setLineBytes(entry);
    return null;
  }

  #find(row: Row, key: string, value: string): void {
    const name = sanitizeLabelName(key);
    if (name === '') return;
    const id = row.parserId(row.id(name));
    if (row.isParsed(id) || (this.#needed !== null && !this.#needed.has(row.names[id]!))) return;
    this.#found.push([id, value]);
  }
}

/** 6 is the scanner's number for an object. */
const NOT_AN_OBJECT = 'expecting json object(6), but it is not';
