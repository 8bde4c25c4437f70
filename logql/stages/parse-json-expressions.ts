import type { JsonParser } from '../syntax/ast.ts';
import { type JsonStep, parseJsonPath } from './json-path.ts';
import {
  blockEnd,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  closingQuote,
  JSON_ERRORS,
  type JsonValue,
  keyText,
  newJsonValue,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  readValue,
  skipSpace,
  unquoteJson,
} from './json-scan.ts';
import { JSON_PARSER_ERROR } from './parse-json.ts';
import type { Row, RowStage } from './row.ts';
import { decodeLabelValue, encodeUtf8 } from './text.ts';

interface Extraction {
  readonly id: number;
  readonly steps: readonly JsonStep[];
  /** By step, the key as bytes; '' for an index. */
  readonly keys: readonly string[];
}

/**
 * `| json x="b.c", y="d[1].e"`: the first value at each path. All labels are there afterwards, '' where nothing was
 * found.
 *
 * One pass over the line finds all paths. It follows quotes and brackets only, so that it finds what is there also in
 * lines that are not quite JSON.
 */
export class JsonExpressionStage implements RowStage {
  readonly #extractions: readonly Extraction[];
  readonly #depth: number;
  readonly #found: Uint8Array;
  /** Key by level of the place that the pass is at; null where it is of no interest. */
  readonly #place: (string | null)[];
  readonly #value = newJsonValue();
  /** The line at hand lies in these. */
  #source = '';
  #bytes: Uint8Array = NO_BYTES;
  #missing = 0;

  constructor(parser: JsonParser, row: Row) {
    const paths = new Map(parser.extractions.map(({ label, expression }) => [label, parseJsonPath(expression)]));
    this.#extractions = [...paths].map(([label, steps]) => ({
      id: row.id(label),
      steps,
      keys: steps.map((step) => (typeof step === 'string' ? encodeUtf8(step) : '')),
    }));
    this.#depth = Math.max(...this.#extractions.map((extraction) => extraction.steps.length));
    this.#found = new Uint8Array(this.#extractions.length);
    this.#place = new Array<string | null>(this.#depth).fill(null);
  }

  run(row: Row): boolean {
    if (row.start === row.end) return true;
    this.#source = row.source;
    this.#bytes = row.bytes;
    const first = this.#bytes[row.start];
    if (first !== QUOTE && first !== OPEN_BRACE && first !== OPEN_BRACKET) {
      row.fail(JSON_PARSER_ERROR, '');
      return true;
    }
    this.#found.fill(0);
    this.#place.fill(null);
    this.#missing = this.#extractions.length;
    this.#scan(row, row.start, row.end);
    if (this.#missing > 0) {
      for (const { id } of this.#extractions) if (row.get(id) === undefined) row.set(id, '');
    }
    return true;
  }

  #scan(row: Row, at: number, end: number): void {
    const bytes = this.#bytes;
    let level = 0;
    for (; at < end && this.#missing > 0; at++) {
      switch (bytes[at]) {
        case QUOTE: {
          const close = closingQuote(bytes, at + 1, end);
          if (close < 0) return;
          const next = skipSpace(bytes, close + 1, end);
          if (next < 0) return;
          if (bytes[next] !== COLON) {
            at = next - 1;
            break;
          }
          if (level < 1) {
            row.fail(JSON_PARSER_ERROR, JSON_ERRORS.malformed);
            return;
          }
          if (level <= this.#depth && !this.#atKey(row, at + 1, close, next, level, end)) return;
          at = next;
          break;
        }
        case OPEN_BRACE:
          level++;
          break;
        case CLOSE_BRACE:
        case CLOSE_BRACKET:
          level--;
          break;
        case OPEN_BRACKET: {
          if (level < 0) {
            row.fail(JSON_PARSER_ERROR, JSON_ERRORS.malformed);
            return;
          }
          const after = this.#wantsItems(level)
            ? this.#scanArray(row, at, end, level)
            : blockEnd(bytes, at, end, OPEN_BRACKET, CLOSE_BRACKET);
          if (after < 0) return;
          at = after - 1;
          break;
        }
      }
    }
  }

  /** At `"key" :`. False when the line is broken. */
  #atKey(row: Row, start: number, close: number, colon: number, level: number, end: number): boolean {
    let key = this.#source.slice(start, close);
    if (key.includes('\\')) {
      const text = keyText(key);
      if (text === null) return false;
      key = encodeUtf8(text);
    }
    this.#place[level - 1] = key;
    for (let i = 0; i < this.#extractions.length; i++) {
      const extraction = this.#extractions[i]!;
      if (this.#found[i] === 1 || extraction.steps.length !== level || !this.#isAt(extraction, level)) continue;
      this.#take(row, i, colon + 1, end);
    }
    return true;
  }

  /** Whether the first `level` steps of the path lead to the place of the pass. */
  #isAt(extraction: Extraction, level: number): boolean {
    for (let i = level - 1; i >= 0; i--) {
      if (typeof extraction.steps[i] !== 'string' || extraction.keys[i] !== this.#place[i]) return false;
    }
    return true;
  }

  #wantsItems(level: number): boolean {
    return this.#extractions.some((extraction, i) => this.#wantsItem(extraction, i, level));
  }

  #wantsItem(extraction: Extraction, i: number, level: number): boolean {
    return this.#found[i] === 0 && typeof extraction.steps[level] === 'number' && this.#isAt(extraction, level);
  }

  /** Goes through the items of the array at `at`. Returns the index after it, -1 when it has no end. */
  #scanArray(row: Row, at: number, end: number, level: number): number {
    const bytes = this.#bytes;
    const value = this.#value;
    let next = skipSpace(bytes, at + 1, end);
    if (next < 0) return -1;
    if (bytes[next] === CLOSE_BRACKET) return next + 1;
    for (let index = 0; ; index++) {
      if (readValue(bytes, next, end, value) !== null) return -1;
      const isString = value.type === 'string';
      const start = isString ? value.start - 1 : value.start;
      const after = value.next;
      for (let i = 0; i < this.#extractions.length; i++) {
        const extraction = this.#extractions[i]!;
        if (!this.#wantsItem(extraction, i, level) || extraction.steps[level] !== index) continue;
        const place = findSteps(this.#source, bytes, start, after, extraction, level + 1);
        if (place >= 0) this.#take(row, i, place, after);
        else this.#miss(i);
      }
      next = skipSpace(bytes, after, end);
      if (next < 0) return -1;
      if (bytes[next] === CLOSE_BRACKET) return next + 1;
      if (bytes[next] !== COMMA) return -1;
      next = skipSpace(bytes, next + 1, end);
      if (next < 0) return -1;
    }
  }

  #miss(i: number): void {
    this.#found[i] = 1;
  }

  #take(row: Row, i: number, at: number, end: number): void {
    this.#found[i] = 1;
    const value = this.#value;
    const error = readValue(this.#bytes, at, end, value);
    if (error !== null) {
      row.fail(JSON_PARSER_ERROR, error);
      return;
    }
    this.#missing--;
    row.setParsed(row.parserId(this.#extractions[i]!.id), textOf(this.#source, value));
  }
}

const NO_BYTES = new Uint8Array(0);

function textOf(source: string, value: JsonValue): string {
  if (value.type === 'null') return '';
  if (value.type === 'string') return unquoteJson(source, value);
  return decodeLabelValue(source.slice(value.start, value.end));
}

/** Start of the value that the steps from `step` on lead to within the value at `at`, or -1. */
function findSteps(
  source: string,
  bytes: Uint8Array,
  at: number,
  end: number,
  extraction: Extraction,
  step: number,
): number {
  const value = newJsonValue();
  for (; step < extraction.steps.length; step++) {
    const wanted = extraction.steps[step]!;
    const open = bytes[at];
    if (open !== (typeof wanted === 'number' ? OPEN_BRACKET : OPEN_BRACE)) return -1;
    const close = typeof wanted === 'number' ? CLOSE_BRACKET : CLOSE_BRACE;
    let next = skipSpace(bytes, at + 1, end);
    let found = -1;
    for (let index = 0; next >= 0 && bytes[next] !== close; index++) {
      let isWanted = index === wanted;
      if (typeof wanted === 'string') {
        const quote = bytes[next] === QUOTE ? closingQuote(bytes, next + 1, end) : -1;
        if (quote < 0) return -1;
        isWanted = keyText(source.slice(next + 1, quote)) === wanted;
        next = skipSpace(bytes, quote + 1, end);
        if (next < 0 || bytes[next] !== COLON) return -1;
        next = skipSpace(bytes, next + 1, end);
      }
      if (next < 0) return -1;
      if (isWanted) {
        found = next;
        break;
      }
      if (readValue(bytes, next, end, value) !== null) return -1;
      next = skipSpace(bytes, value.next, end);
      if (next >= 0 && bytes[next] === COMMA) next = skipSpace(bytes, next + 1, end);
    }
    if (found < 0) return -1;
    at = found;
  }
  return at;
}
