import {
  blockEnd,
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
  unquoteJson,
} from './json-scan.ts';
import { joinLabelName } from './label-name.ts';
import type { NeededLabels } from './needed-labels.ts';
import type { Row, RowStage } from './row.ts';
import { detach } from './text.ts';

export const JSON_PARSER_ERROR = 'JSONParserErr';

/**
 * Objects nested deeper are skipped as arrays are. The end of an object is looked for before it is entered (a broken
 * one makes no labels), so this bounds the time for a line as well as the length of names.
 */
const MAX_DEPTH = 128;

/**
 * `| json`: every leaf of an object becomes a label, nested keys joined by `_`; arrays and nulls are skipped.
 *
 * Keys are remembered in a tree with the label that they make. Lines of one source have the same keys in the same
 * order, so the key after the last one is tried first, by comparing in place.
 */
export class JsonStage implements RowStage {
  readonly #root = new KeyNode('', '', -1, false, true);
  readonly #needed: NeededLabels | null;
  readonly #value = newJsonValue();
  readonly #parents: KeyNode[] = [];

  constructor(needed: NeededLabels | null) {
    this.#needed = needed;
  }

  run(row: Row): boolean {
    const error = this.#flatten(row, row.source, row.bytes, row.start, row.end);
    if (error === UNEXPECTED) return false;
    if (error !== null) row.fail(JSON_PARSER_ERROR, error);
    return true;
  }

  #flatten(row: Row, source: string, bytes: Uint8Array, at: number, end: number): string | null {
    const value = this.#value;
    const parents = this.#parents;
    let missing = this.#needed === null ? -1 : this.#needed.names.size;
    let node = this.#root;
    let depth = 0;
    let state = OBJECT;
    node.cursor = 0;

    for (;;) {
      if (state === OBJECT) {
        // At an opening brace, or what should be one.
        at = behindSpace(bytes, at, end);
        if (at < 0 || bytes[at] !== OPEN_BRACE) return JSON_ERRORS.object;
        at = behindSpace(bytes, at + 1, end);
        if (at < 0) return JSON_ERRORS.malformed;
        state = bytes[at] === CLOSE_BRACE ? AFTER_VALUE : KEY;
      } else if (state === AFTER_VALUE) {
        at = behindSpace(bytes, at, end);
        if (at < 0) return JSON_ERRORS.array;
        const c = bytes[at];
        if (c === CLOSE_BRACE) {
          if (depth === 0) return null;
          depth--;
          node = parents[depth]!;
          at++;
          continue;
        }
        if (c !== COMMA) return JSON_ERRORS.object;
        at = behindSpace(bytes, at + 1, end);
        if (at < 0) return JSON_ERRORS.array;
        if (bytes[at] === CLOSE_BRACE) continue;
        state = KEY;
      }

      if (state !== KEY) continue;
      if (bytes[at] !== QUOTE) return JSON_ERRORS.object;
      let key = node.expected(bytes, at + 1, end);
      let close: number;
      if (key !== null) {
        close = at + 1 + key.raw.length;
      } else {
        close = closingQuote(bytes, at + 1, end);
        if (close < 0) return JSON_ERRORS.malformed;
        key = this.#key(row, node, source.slice(at + 1, close));
        if (key === null) return JSON_ERRORS.escape;
      }
      at = behindSpace(bytes, close + 1, end);
      if (at < 0 || bytes[at] !== COLON) return JSON_ERRORS.malformed;

      at = behindSpace(bytes, at + 1, end);
      if (at >= 0 && bytes[at] === OPEN_BRACE && key.hasWantedBelow && depth < MAX_DEPTH) {
        if (blockEnd(bytes, at, end, OPEN_BRACE, CLOSE_BRACE) < 0) return JSON_ERRORS.object;
        parents[depth++] = node;
        node = key;
        node.cursor = 0;
        state = OBJECT;
        continue;
      }
      const error = at < 0 ? JSON_ERRORS.malformed : readValue(bytes, at, end, value);
      if (error !== null) return error;
      at = value.next;
      state = AFTER_VALUE;
      if (!key.isWanted || value.type === 'array' || value.type === 'null' || value.type === 'object') continue;
      const id = row.parserId(key.id);
      if (row.isParsed(id)) continue;
      if (this.#needed !== null && !this.#needed.has(row.names[id]!)) continue;
      row.setParsed(id, value.type === 'string' ? unquoteJson(source, value) : source.slice(value.start, value.end));
      if (!row.meetsExpectation(id)) return UNEXPECTED;
      if (--missing === 0) return null;
    }
  }

  #key(row: Row, parent: KeyNode, raw: string): KeyNode | null {
    const known = parent.child(raw);
    if (known) return known;
    const text = keyText(raw);
    if (text === null) return null;
    const name = joinLabelName(parent.name, text);
    const id = name === '' ? -1 : row.id(name);
    const needed = this.#needed;
    const isWanted = id >= 0 && (needed === null || needed.has(name) || needed.has(row.names[row.extractedId(id)]!));
    const node = new KeyNode(detach(raw), name, id, isWanted, needed === null || name === '' || needed.hasBelow(name));
    parent.add(node);
    return node;
  }
}

/** `skipSpace`, which is mostly not needed, and costs a call. */
function behindSpace(bytes: Uint8Array, at: number, end: number): number {
  return at < end && bytes[at]! > SPACE ? at : skipSpace(bytes, at, end);
}

/** In place of an error text: the row is dropped. */
const UNEXPECTED = '';

const SPACE = 0x20;
const OBJECT = 0;
const KEY = 1;
const AFTER_VALUE = 2;

class KeyNode {
  /** The key between its quotes, as it stands in lines. */
  readonly raw: string;
  readonly #bytes: Uint8Array;
  /** Label name of the path up to here. */
  readonly name: string;
  readonly id: number;
  readonly isWanted: boolean;
  readonly hasWantedBelow: boolean;
  /** Where the next key is expected among `#children`. */
  cursor = 0;
  readonly #children: KeyNode[] = [];
  readonly #byRaw = new Map<string, number>();

  constructor(raw: string, name: string, id: number, isWanted: boolean, hasWantedBelow: boolean) {
    this.raw = raw;
    this.#bytes = new Uint8Array(Buffer.from(raw, 'latin1'));
    this.name = name;
    this.id = id;
    this.isWanted = isWanted;
    this.hasWantedBelow = hasWantedBelow;
  }

  expected(bytes: Uint8Array, at: number, end: number): KeyNode | null {
    if (this.cursor >= this.#children.length) return null;
    const next = this.#children[this.cursor]!;
    const key = next.#bytes;
    const close = at + key.length;
    if (close >= end || bytes[close] !== QUOTE) return null;
    for (let i = 0; i < key.length; i++) if (bytes[at + i] !== key[i]) return null;
    this.cursor++;
    return next;
  }

  child(raw: string): KeyNode | undefined {
    const index = this.#byRaw.get(raw);
    if (index === undefined) return undefined;
    this.cursor = index + 1;
    return this.#children[index];
  }

  add(node: KeyNode): void {
    this.cursor = this.#children.push(node);
    this.#byRaw.set(node.raw, this.cursor - 1);
  }
}
