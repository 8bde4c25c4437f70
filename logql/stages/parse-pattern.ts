import type { PatternParser } from '../syntax/ast.ts';
import { type PatternPart, parsePatternParts } from './line-pattern.ts';
import type { NeededLabels } from './needed-labels.ts';
import type { Row, RowStage } from './row.ts';
import { StageError } from './stage-error.ts';
import { decodeUtf8 } from './text.ts';

/**
 * `| pattern "<ip> - <_> [<time>]"`. A literal at the beginning must stand there; each other one is taken at its
 * first place; where one is missing, the capture before it takes the rest of the line and the work ends.
 */
export class PatternStage implements RowStage {
  /** What the line must start with; empty for nothing. */
  readonly #first: Uint8Array;
  readonly #captures: readonly Capture[];
  readonly #needed: NeededLabels | null;

  constructor(parser: PatternParser, row: Row, needed: NeededLabels | null) {
    const parts = parseParserPattern(parser.pattern);
    const [first] = parts;
    this.#first = first?.kind === 'literal' ? bytesOf(first) : new Uint8Array(0);
    const captures = parts.flatMap((part, i): Capture[] => {
      if (part.kind === 'literal') return [];
      const next = parts[i + 1];
      const literal = next?.kind === 'literal' ? bytesOf(next) : null;
      const id = part.name === '_' ? -1 : row.id(part.name);
      return [{ id, isNeeded: needed === null || needed.has(part.name), literal }];
    });
    const isAsked = ({ id }: Capture) =>
      id >= 0 && (needed === null || needed.has(row.names[id]!) || needed.has(row.names[row.extractedId(id)]!));
    // What stands behind the last one that counts changes nothing.
    this.#captures = captures.slice(0, captures.findLastIndex(isAsked) + 1);
    this.#needed = needed;
  }

  run(row: Row): boolean {
    const { start, end } = row;
    if (start === end) return true;
    const { bytes, view } = row;
    const first = this.#first;
    if (first.length > end - start || !isAt(first, bytes, start)) return true;
    let at = start + first.length;
    for (const capture of this.#captures) {
      const { literal } = capture;
      const found = literal === null ? -1 : indexOf(literal, view, bytes, at, end);
      if (capture.id >= 0 && !this.#set(row, capture, at, found < 0 ? end : found)) return false;
      if (found < 0) break;
      at = found + literal!.length;
    }
    return true;
  }

  #set(row: Row, { id: plain, isNeeded }: Capture, start: number, end: number): boolean {
    const id = row.parserId(plain);
    if (row.isParsed(id) || !(id === plain ? isNeeded : this.#needed === null || this.#needed.has(row.names[id]!))) {
      return true;
    }
    if (row.isAscii) row.setParsedPiece(id, start, end);
    else row.setParsed(id, decodeUtf8(row.slice(start, end)));
    return row.meetsExpectation(id);
  }
}

interface Capture {
  /** -1 for `<_>`. */
  readonly id: number;
  /** The label is asked for by this name. */
  readonly isNeeded: boolean;
  /** What ends it; null for the end of the line. */
  readonly literal: Uint8Array | null;
}

function bytesOf(part: PatternPart & { kind: 'literal' }): Uint8Array {
  return new Uint8Array(Buffer.from(part.bytes, 'latin1'));
}

function isAt(text: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text[i]) return false;
  return true;
}

/** The first place of `text` in `[at, end)`; -1 when there is none. Lines are short, and a native search costs a call. */
function indexOf(text: Uint8Array, view: DataView, bytes: Uint8Array, at: number, end: number): number {
  if (text.length > MAX_PLAIN_SEARCH) {
    return Buffer.from(bytes.buffer, bytes.byteOffset, end).indexOf(text, at);
  }
  const first = text[0]!;
  const firsts = Math.imul(first, ONES);
  const last = end - text.length;
  for (; at <= last; at++) {
    // Four bytes at a time: the lowest one that becomes zero is the next that is like the first (Mycroft's test).
    for (; at + 4 <= end; at += 4) {
      const word = view.getInt32(at, true) ^ firsts;
      const hits = (word - ONES) & ~word & HIGH_BITS;
      if (hits !== 0) {
        at += (31 - Math.clz32(hits & -hits)) >> 3;
        break;
      }
    }
    if (at <= last && bytes[at] === first && isAt(text, bytes, at)) return at;
  }
  return -1;
}

const ONES = 0x01010101;
const HIGH_BITS = 0x80808080 | 0;

/** Longer texts can make a plain search slow: each byte of the line may be compared with all of them. */
const MAX_PLAIN_SEARCH = 16;

/** Throws `StageError` with Loki's text unless the pattern has a name to extract, and each name once. */
export function parseParserPattern(pattern: string): readonly PatternPart[] {
  let parts: readonly PatternPart[];
  try {
    parts = parsePatternParts(pattern);
    const names = new Set<string>();
    for (const part of parts) {
      if (part.kind !== 'capture' || part.name === '_') continue;
      if (names.has(part.name)) throw new StageError(`duplicate capture name (${part.name}): invalid expression`);
      names.add(part.name);
    }
    if (names.size === 0) throw new StageError('at least one capture is required');
  } catch (error: unknown) {
    if (error instanceof StageError) throw new StageError(`invalid pattern parser: ${error.message}`, { cause: error });
    throw error;
  }
  return parts;
}
