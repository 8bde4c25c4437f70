import {
  blockEnd,
  CLOSE_BRACE,
  COLON,
  COMMA,
  closingQuote,
  keyText,
  newJsonValue,
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
  scanner.reset(source, 0, source.length, Buffer.from(source, 'latin1'));
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
  readonly #bytes: Uint8Array;
  readonly #isTaken: (name: string) => boolean;
  readonly #value = newJsonValue();
  readonly #keys: string[] = [];

  constructor(source: string, isTaken: (name: string) => boolean) {
    this.#source = source;
    this.#bytes = Buffer.from(source, 'latin1');
    this.#isTaken = isTaken;
  }

  /** Reads the object at `at`; returns the index behind it, -1 when it is malformed. */
  readObject(at: number, prefix: string, depth: number): number {
    const bytes = this.#bytes;
    const end = bytes.length;
    at = skipSpace(bytes, at, end);
    if (at < 0 || bytes[at] !== OPEN_BRACE) return -1;
    at = skipSpace(bytes, at + 1, end);
    while (at >= 0 && bytes[at] !== CLOSE_BRACE) {
      at = skipSpace(bytes, this.#readMember(at, prefix, depth), end);
      if (at < 0 || bytes[at] === CLOSE_BRACE) break;
      if (bytes[at] !== COMMA) return -1;
      at = skipSpace(bytes, at + 1, end);
    }
    return at < 0 ? -1 : at + 1;
  }

  /** The index behind the member at `at`; beyond the end when it is malformed, where no space ends. */
  #readMember(at: number, prefix: string, depth: number): number {
    const bytes = this.#bytes;
    const end = bytes.length;
    if (bytes[at] !== QUOTE) return MALFORMED;
    const close = closingQuote(bytes, at + 1, end);
    const key = close < 0 ? null : keyText(this.#source.slice(at + 1, close));
    if (key === null) return MALFORMED;
    at = skipSpace(bytes, close + 1, end);
    if (at < 0 || bytes[at] !== COLON) return MALFORMED;
    at = skipSpace(bytes, at + 1, end);
    if (at < 0) return MALFORMED;
    const name = joinLabelName(prefix, key);
    if (bytes[at] === OPEN_BRACE && depth < MAX_DEPTH) {
      if (blockEnd(bytes, at, end, OPEN_BRACE, CLOSE_BRACE) < 0) return MALFORMED;
      this.#keys.push(key);
      const next = this.readObject(at, name, depth + 1);
      this.#keys.pop();
      return next < 0 ? MALFORMED : next;
    }
    if (readValue(bytes, at, end, this.#value) !== null) return MALFORMED;
    if (name !== '') this.#keep(name, key);
    return this.#value.next;
  }

  #keep(plain: string, key: string): void {
    const { type, start, end } = this.#value;
    if (type === 'array' || type === 'object' || type === 'null') return;
    const name = this.#isTaken(plain) ? plain + DUPLICATE_SUFFIX : plain;
    if (this.fields.has(name)) return;
    const source = this.#source;
    const value = type === 'string' ? unquoteJson(source, this.#value) : source.slice(start, end);
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
