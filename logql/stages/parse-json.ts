import {
  BACKSLASH,
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
  unquotedText,
} from './json-scan.ts';
import { joinLabelName } from './label-name.ts';
import { MAX_REMEMBERED_KEYS, type NeededLabels } from './needed-labels.ts';
import { DUPLICATE_SUFFIX, type Row, type RowStage } from './row.ts';
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
 * order, so that what stood before a key's value the last time is compared in place first, from the value before on.
 */
export class JsonStage implements RowStage {
  readonly #root = new KeyNode('', '', -1, false, false, true);
  readonly #needed: NeededLabels | null;
  readonly #value = newJsonValue();
  readonly #parents: KeyNode[] = [];
  #remembered = 0;

  constructor(needed: NeededLabels | null) {
    this.#needed = needed;
  }

  run(row: Row): boolean {
    const error = this.#flatten(row, row.bytes, row.start, row.end);
    if (error === UNEXPECTED) return false;
    if (error !== null) row.fail(JSON_PARSER_ERROR, error);
    return true;
  }

  #flatten(row: Row, bytes: Uint8Array, at: number, end: number): string | null {
    const value = this.#value;
    const parents = this.#parents;
    const { isAscii, view } = row;
    let missing = this.#needed === null ? -1 : this.#needed.names.size;
    let node = this.#root;
    let depth = 0;
    let state = OBJECT;
    node.cursor = 0;

    for (;;) {
      const from = at;
      let key = node.expected(view, bytes, at, end, state);
      if (key !== null) {
        at += key.leadLength;
      } else {
        if (state === OBJECT) {
          // At an opening brace, or what should be one.
          at = behindSpace(bytes, at, end);
          if (at < 0 || bytes[at] !== OPEN_BRACE) return JSON_ERRORS.object;
          at = behindSpace(bytes, at + 1, end);
          if (at < 0) return JSON_ERRORS.malformed;
          if (bytes[at] === CLOSE_BRACE) {
            state = AFTER_VALUE;
            continue;
          }
        } else {
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
        }
        if (bytes[at] !== QUOTE) return JSON_ERRORS.object;
        const close = closingQuote(bytes, at + 1, end);
        if (close < 0) return JSON_ERRORS.malformed;
        key = this.#key(row, node, row.slice(at + 1, close));
        if (key === null) return JSON_ERRORS.escape;
        at = behindSpace(bytes, close + 1, end);
        if (at < 0 || bytes[at] !== COLON) return JSON_ERRORS.malformed;
        at = behindSpace(bytes, at + 1, end);
        if (at < 0) return JSON_ERRORS.malformed;
        key.learn(view, from, at, state);
      }
      state = AFTER_VALUE;

      // At the first byte of the value.
      const first = bytes[at]!;
      let start = at;
      let stop: number;
      let hasEscapes = false;
      if (first === QUOTE) {
        start = ++at;
        // The next quote or backslash, four bytes at a time: where one of them is, its byte of the word becomes zero, and
        // the lowest byte with a borrow is the first such (Mycroft's test).
        for (; at + 4 <= end; at += 4) {
          const word = view.getInt32(at, true);
          const quote = word ^ QUOTES;
          const backslash = word ^ BACKSLASHES;
          const hits = (((quote - ONES) & ~quote) | ((backslash - ONES) & ~backslash)) & HIGH_BITS;
          if (hits !== 0) {
            at += (31 - Math.clz32(hits & -hits)) >> 3;
            break;
          }
        }
        let c = 0;
        while (at < end && (c = bytes[at]!) !== QUOTE && c !== BACKSLASH) at++;
        if (c === BACKSLASH) {
          hasEscapes = true;
          at = closingQuote(bytes, at, end);
          if (at < 0) return JSON_ERRORS.string;
        } else if (at >= end) {
          return JSON_ERRORS.string;
        }
        stop = at++;
        if (!key.isWanted) continue;
      } else if (first === OPEN_BRACE && key.hasWantedBelow && depth < MAX_DEPTH) {
        if (blockEnd(bytes, at, end, OPEN_BRACE, CLOSE_BRACE) < 0) return JSON_ERRORS.object;
        parents[depth++] = node;
        node = key;
        node.cursor = 0;
        state = OBJECT;
        continue;
      } else if ((stop = plainNumberEnd(bytes, at, end)) > 0) {
        at = stop;
        if (!key.isWanted) continue;
      } else {
        const error = readValue(bytes, at, end, value);
        if (error !== null) return error;
        stop = at = value.next;
        if (!key.isWanted || value.type === 'array' || value.type === 'null' || value.type === 'object') continue;
      }
      const id = row.parserId(key.id);
      if (row.isParsed(id)) continue;
      if (this.#needed !== null && !(id === key.id ? key.isNeeded : this.#needed.has(row.names[id]!))) continue;
      if (isAscii && !hasEscapes) row.setParsedPiece(id, start, stop);
      else
        row.setParsed(id, first === QUOTE ? unquotedText(row.slice(start, stop), hasEscapes) : row.slice(start, stop));
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
    const needed = this.#needed;
    const isNeeded = needed === null || needed.has(name);
    const isWanted = name !== '' && (isNeeded || needed.has(name + DUPLICATE_SUFFIX));
    const id = isWanted ? row.id(name) : -1;
    const node = new KeyNode(
      detach(raw),
      name,
      id,
      isNeeded,
      isWanted,
      needed === null || name === '' || needed.hasBelow(name),
    );
    if (this.#remembered < MAX_REMEMBERED_KEYS) {
      this.#remembered++;
      parent.add(node);
    }
    return node;
  }
}

/** `skipSpace`, which is mostly not needed, and costs a call. */
function behindSpace(bytes: Uint8Array, at: number, end: number): number {
  return at < end && bytes[at]! > SPACE ? at : skipSpace(bytes, at, end);
}

/** Where a number of digits and points ends that a comma or brace follows; -1 where it must be looked at otherwise. */
function plainNumberEnd(bytes: Uint8Array, at: number, end: number): number {
  let c = bytes[at]!;
  if (c < ZERO || c > NINE) return -1;
  while (++at < end && (((c = bytes[at]!) >= ZERO && c <= NINE) || c === POINT));
  return at < end && (c === COMMA || c === CLOSE_BRACE) ? at : -1;
}

const ZERO = 0x30;
const NINE = 0x39;
const POINT = 0x2e;
const QUOTES = 0x22222222;
const BACKSLASHES = 0x5c5c5c5c;
const ONES = 0x01010101;
const HIGH_BITS = 0x80808080 | 0;

/** In place of an error text: the row is dropped. */
const UNEXPECTED = '';

const SPACE = 0x20;
/** Before the brace of an object. */
const OBJECT = 0;
const AFTER_VALUE = 1;
const NEVER = -1;

class KeyNode {
  /** The key between its quotes, as it stands in lines. */
  readonly raw: string;
  /** Label name of the path up to here. */
  readonly name: string;
  /** -1 where nobody wants the label. */
  readonly id: number;
  /** The label is asked for by this name. */
  readonly isNeeded: boolean;
  /** The label is asked for by this name, or the one that it has in a clash. */
  readonly isWanted: boolean;
  readonly hasWantedBelow: boolean;
  /** What stood between the value before and the first byte of this one, of late: `,"key":`. */
  leadLength = 0;
  /** Its bytes in words, the last of which may overlap the one before. */
  #lead = new Int32Array(0);
  #leadState = NEVER;
  #learned = 0;
  /** Where the next key is expected among `#children`. */
  cursor = 0;
  readonly #children: KeyNode[] = [];
  readonly #byRaw = new Map<string, number>();

  constructor(raw: string, name: string, id: number, isNeeded: boolean, isWanted: boolean, hasWantedBelow: boolean) {
    this.raw = raw;
    this.name = name;
    this.id = id;
    this.isNeeded = isNeeded;
    this.isWanted = isWanted;
    this.hasWantedBelow = hasWantedBelow;
  }

  /** The key that comes next, if all up to its value is what it was the last time. */
  expected(view: DataView, bytes: Uint8Array, at: number, end: number, state: number): KeyNode | null {
    if (this.cursor >= this.#children.length) return null;
    const next = this.#children[this.cursor]!;
    if (next.#leadState !== state) return null;
    const stop = at + next.leadLength;
    if (stop >= end || bytes[stop]! <= SPACE) return null;
    const lead = next.#lead;
    const last = lead.length - 1;
    for (let i = 0; i < last; i++, at += 4) if (view.getInt32(at, true) !== lead[i]) return null;
    if (view.getInt32(stop - 4, true) !== lead[last]) return null;
    this.cursor++;
    return next;
  }

  learn(view: DataView, from: number, to: number, state: number): void {
    const length = to - from;
    if (length < 4 || length > MAX_LEAD || this.#learned > MAX_LEARNED) return;
    this.#learned++;
    this.#leadState = state;
    this.leadLength = length;
    this.#lead = Int32Array.from({ length: Math.ceil(length / 4) }, (_, i) =>
      view.getInt32(Math.min(from + 4 * i, to - 4), true),
    );
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

const MAX_LEAD = 256;
/** Lines that differ again and again are not followed for ever. */
const MAX_LEARNED = 100;
