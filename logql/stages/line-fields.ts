import {
  blockEnd,
  CLOSE_BRACE,
  COLON,
  COMMA,
  closingQuote,
  type JsonValue,
  keyText,
  OPEN_BRACE,
  QUOTE,
  readValue,
  skipSpace,
  unquoteJson,
} from './json-scan.ts';
import { joinLabelName, sanitizeLabelName } from './label-name.ts';
import { LogfmtScanner } from './logfmt-scan.ts';
import { decodeUtf8, encodeUtf8 } from './text.ts';

/** One field of a line. */
export interface LineField {
  readonly value: string;
  /** Keys from the outermost object inwards, as the line has them; null outside of JSON. */
  readonly path: readonly string[] | null;
}

/** What a line says by itself, by label name. */
export interface LineFields {
  readonly parser: 'json' | 'logfmt';
  readonly fields: ReadonlyMap<string, LineField>;
}

/** What a parser appends to a name that the stream has already. */
const DUPLICATE_SUFFIX = '_extracted';
/** As in `| json`: objects nested deeper are passed over. */
const MAX_DEPTH = 128;

/**
 * The fields that `| json` would make of a line, or `| logfmt` when it is no JSON object. Of one name the first counts;
 * one that `isTaken` gets a suffix.
 */
export function readLineFields(line: string, isTaken: (name: string) => boolean): LineFields {
  const source = encodeUtf8(line);
  const json = new JsonReader(source, isTaken);
  if (json.readObject(0, '', 0) >= 0) return { parser: 'json', fields: json.fields };
  return { parser: 'logfmt', fields: logfmtFields(source, isTaken) };
}

function logfmtFields(source: string, isTaken: (name: string) => boolean): Map<string, LineField> {
  const fields = new Map<string, LineField>();
  const scanner = new LogfmtScanner();
  scanner.reset(source, 0, source.length);
  for (let found = scanner.next(); found !== 0; found = scanner.next()) {
    if (found < 0 || !scanner.hasValue) continue;
    const plain = sanitizeLabelName(decodeUtf8(source.slice(scanner.keyStart, scanner.keyEnd)));
    if (plain === '') continue;
    const name = isTaken(plain) ? plain + DUPLICATE_SUFFIX : plain;
    if (!fields.has(name)) fields.set(name, { value: scanner.value(), path: null });
  }
  return fields;
}

class JsonReader {
  readonly fields = new Map<string, LineField>();
  readonly #source: string;
  readonly #isTaken: (name: string) => boolean;
  readonly #value: JsonValue = { type: 'null', start: 0, end: 0, next: 0 };
  readonly #keys: string[] = [];

  constructor(source: string, isTaken: (name: string) => boolean) {
    this.#source = source;
    this.#isTaken = isTaken;
  }

  /** Reads the object at `at`; returns the index behind it, -1 when it is malformed. */
  readObject(at: number, prefix: string, depth: number): number {
    const source = this.#source;
    const end = source.length;
    at = skipSpace(source, at, end);
    if (at < 0 || source.charCodeAt(at) !== OPEN_BRACE) return -1;
    at = skipSpace(source, at + 1, end);
    while (at >= 0 && source.charCodeAt(at) !== CLOSE_BRACE) {
      at = skipSpace(source, this.#readMember(at, prefix, depth), end);
      if (at < 0 || source.charCodeAt(at) === CLOSE_BRACE) break;
      if (source.charCodeAt(at) !== COMMA) return -1;
      at = skipSpace(source, at + 1, end);
    }
    return at < 0 ? -1 : at + 1;
  }

  /** The index behind the member at `at`; beyond the end when it is malformed, where no space ends. */
  #readMember(at: number, prefix: string, depth: number): number {
    const source = this.#source;
    const end = source.length;
    if (source.charCodeAt(at) !== QUOTE) return MALFORMED;
    const close = closingQuote(source, at + 1, end);
    const key = close < 0 ? null : keyText(source.slice(at + 1, close));
    if (key === null) return MALFORMED;
    at = skipSpace(source, close + 1, end);
    if (at < 0 || source.charCodeAt(at) !== COLON) return MALFORMED;
    at = skipSpace(source, at + 1, end);
    if (at < 0) return MALFORMED;
    const name = joinLabelName(prefix, key);
    if (source.charCodeAt(at) === OPEN_BRACE && depth < MAX_DEPTH) {
      if (blockEnd(source, at, end, OPEN_BRACE, CLOSE_BRACE) < 0) return MALFORMED;
      this.#keys.push(key);
      const next = this.readObject(at, name, depth + 1);
      this.#keys.pop();
      return next < 0 ? MALFORMED : next;
    }
    if (readValue(source, at, end, this.#value) !== null) return MALFORMED;
    if (name !== '') this.#keep(name, key);
    return this.#value.next;
  }

  #keep(plain: string, key: string): void {
    const { type, start, end } = this.#value;
    if (type === 'array' || type === 'object' || type === 'null') return;
    const name = this.#isTaken(plain) ? plain + DUPLICATE_SUFFIX : plain;
    if (this.fields.has(name)) return;
    const source = this.#source;
    const value = type === 'string' ? unquoteJson(source, start, end) : source.slice(start, end);
    this.fields.set(name, { value, path: this.#pathOf(key) });
  }

  /** Loki takes the suffix off nested keys, whether it has put it there or not. */
  #pathOf(key: string): string[] {
    if (this.#keys.length === 0) return [key];
    return [...this.#keys, key].map((part) =>
      part.endsWith(DUPLICATE_SUFFIX) ? part.slice(0, -DUPLICATE_SUFFIX.length) : part,
    );
  }
}

const MALFORMED = Number.POSITIVE_INFINITY;
