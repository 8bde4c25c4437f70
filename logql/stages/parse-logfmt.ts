import type { LogfmtParser } from '../syntax/ast.ts';
import { sanitizeLabelName } from './label-name.ts';
import { parseLogfmtKey } from './logfmt-key.ts';
import { LogfmtScanner } from './logfmt-scan.ts';
import { MAX_REMEMBERED_KEYS, type NeededLabels } from './needed-labels.ts';
import { DUPLICATE_SUFFIX, type Row, type RowStage } from './row.ts';
import { decodeUtf8, detach } from './text.ts';

const LOGFMT_PARSER_ERROR = 'LogfmtParserErr';

/** `| logfmt`: every pair becomes a label; the first of one name wins. */
export class LogfmtStage implements RowStage {
  readonly #strict: boolean;
  readonly #keepEmpty: boolean;
  readonly #needed: NeededLabels | null;
  readonly #scanner = new LogfmtScanner();
  readonly #keys: KeyCache;

  constructor(parser: LogfmtParser, needed: NeededLabels | null) {
    this.#strict = parser.strict;
    this.#keepEmpty = parser.keepEmpty;
    this.#needed = needed;
    this.#keys = new KeyCache(needed);
  }

  run(row: Row): boolean {
    const scanner = this.#scanner;
    const needed = this.#needed;
    let missing = needed === null ? -1 : needed.names.size;
    scanner.reset(row, row.start, row.end, row.bytes);
    this.#keys.begin();
    for (;;) {
      const found = scanner.next();
      if (found === 0) break;
      if (found < 0) {
        if (this.#strict) break;
        continue;
      }
      const key = this.#keys.get(row, scanner.keyStart, scanner.keyEnd);
      if (key.id < 0 || (!this.#keepEmpty && !scanner.hasValue)) continue;
      const id = row.parserId(key.id);
      if (row.isParsed(id)) continue;
      if (needed !== null && !(id === key.id ? key.isNeeded : needed.has(row.names[id]!))) continue;
      setValue(row, id, scanner);
      if (!row.meetsExpectation(id)) return false;
      if (--missing === 0) break;
    }
    if (this.#strict && scanner.error !== '') row.fail(LOGFMT_PARSER_ERROR, scanner.error);
    return true;
  }
}

/**
 * `| logfmt x="key"`: only the keys that are named, and keys that are called as a label of the list. The last of one
 * name wins, except where the label gets the suffix of a clash. A label that the line has not is set to ''.
 */
export class LogfmtExpressionStage implements RowStage {
  readonly #strict: boolean;
  readonly #scanner = new LogfmtScanner();
  readonly #keys = new KeyCache(null);
  readonly #labelIds: readonly number[];
  /** Labels that the query asks for; null for all. */
  readonly #askedIds: readonly number[] | null;
  /** Labels by the id of the key that they take. */
  readonly #targets = new Map<number, number[]>();

  constructor(parser: LogfmtParser, row: Row, needed: NeededLabels | null) {
    this.#strict = parser.strict;
    const expressions = new Map(parser.extractions.map(({ label, expression }) => [label, parseLogfmtKey(expression)]));
    this.#askedIds = needed === null ? null : [...needed.asked].map((name) => row.id(name));
    this.#labelIds = [...expressions.keys()].map((label) => row.id(label));
    for (const [label, expression] of expressions) {
      const key = row.id(expression);
      const known = this.#targets.get(key);
      if (known) known.push(row.id(label));
      else this.#targets.set(key, [row.id(label)]);
    }
    for (const id of this.#labelIds) if (!this.#targets.has(id)) this.#targets.set(id, [id]);
  }

  run(row: Row): boolean {
    if (row.start === row.end) return true;
    const scanner = this.#scanner;
    scanner.reset(row, row.start, row.end, row.bytes);
    this.#keys.begin();
    for (;;) {
      const found = scanner.next();
      if (found === 0) break;
      if (found < 0) {
        if (this.#strict) break;
        continue;
      }
      const key = this.#keys.get(row, scanner.keyStart, scanner.keyEnd);
      const targets = this.#targets.get(key.id);
      if (targets === undefined) continue;
      for (const label of targets) {
        const id = row.parserId(label);
        if (id === label || !row.isParsed(id)) setValue(row, id, scanner);
      }
      if (this.#hasAll(row)) break;
    }
    if (this.#strict && scanner.error !== '') row.fail(LOGFMT_PARSER_ERROR, scanner.error);
    for (const id of this.#labelIds) if (row.get(id) === undefined) row.setParsed(id, '');
    return true;
  }

  /**
   * Whether a metric query has all the labels that it asks for. Loki counts a listed label as found before it looks at
   * the line, so that the first listed key of a line may be the only one that gets a value.
   */
  #hasAll(row: Row): boolean {
    if (this.#askedIds === null) return false;
    for (const id of this.#askedIds) {
      const isListed = this.#labelIds.includes(id) && row.parserId(id) === id;
      if (!isListed && !row.isParsed(id)) return false;
    }
    return true;
  }
}

function setValue(row: Row, id: number, scanner: LogfmtScanner): void {
  if (row.isAscii && scanner.isPlain) row.setParsedPiece(id, scanner.valueStart, scanner.valueEnd);
  else row.setParsed(id, scanner.value());
}

interface Key {
  readonly raw: string;
  readonly bytes: Uint8Array;
  /** Label of the key, -1 when nothing is left of it, or nobody wants it. */
  readonly id: number;
  /** The label is asked for by this name. */
  readonly isNeeded: boolean;
}

/** Keys by the bytes that stand in the line. The one that followed last time is compared in place first. */
class KeyCache {
  readonly #inOrder: Key[] = [];
  readonly #byRaw = new Map<string, Key>();
  readonly #needed: NeededLabels | null;
  #cursor = 0;

  constructor(needed: NeededLabels | null) {
    this.#needed = needed;
  }

  begin(): void {
    this.#cursor = 0;
  }

  get(row: Row, start: number, end: number): Key {
    const cursor = this.#cursor++;
    if (cursor < this.#inOrder.length) {
      const expected = this.#inOrder[cursor]!;
      if (isAt(expected.bytes, row.bytes, start, end)) return expected;
    }
    const raw = row.slice(start, end);
    let key = this.#byRaw.get(raw);
    if (!key) {
      const name = sanitizeLabelName(decodeUtf8(raw));
      const needed = this.#needed;
      const isNeeded = needed === null || needed.has(name);
      const isWanted = name !== '' && (isNeeded || needed.has(name + DUPLICATE_SUFFIX));
      key = {
        raw: detach(raw),
        bytes: Uint8Array.from(Buffer.from(raw, 'latin1')),
        id: isWanted ? row.id(name) : -1,
        isNeeded,
      };
      if (this.#byRaw.size < MAX_REMEMBERED_KEYS) this.#byRaw.set(key.raw, key);
    }
    if (cursor < MAX_EXPECTED) this.#inOrder[cursor] = key;
    return key;
  }
}

function isAt(key: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (key.length !== end - start) return false;
  for (let i = 0; i < key.length; i++) if (bytes[start + i] !== key[i]) return false;
  return true;
}

/** Pairs of a line beyond these are looked up by name. */
const MAX_EXPECTED = 256;
