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
  readonly #parts: readonly PatternPart[];
  /** By part, the label of a capture; -1 for literals and `<_>`. */
  readonly #ids: readonly number[];
  readonly #needed: NeededLabels | null;

  constructor(parser: PatternParser, row: Row, needed: NeededLabels | null) {
    this.#parts = parseParserPattern(parser.pattern);
    this.#ids = this.#parts.map((part) => (part.kind === 'capture' && part.name !== '_' ? row.id(part.name) : -1));
    this.#needed = needed;
  }

  run(row: Row): boolean {
    if (row.start === row.end) return true;
    const { source, start, end } = row;
    const line = source.slice(start, end);
    const parts = this.#parts;
    let at = 0;
    let i = 0;
    const first = parts[0]!;
    if (first.kind === 'literal') {
      if (!line.startsWith(first.bytes)) return true;
      at = first.bytes.length;
      i = 1;
    }
    for (; i < parts.length; i += 2) {
      const literal = parts[i + 1];
      const found = literal?.kind === 'literal' ? line.indexOf(literal.bytes, at) : -1;
      const stop = found < 0 ? line.length : found;
      if (!this.#set(row, this.#ids[i]!, line, at, stop)) return false;
      if (found < 0) break;
      at = found + (literal as PatternPart & { kind: 'literal' }).bytes.length;
    }
    return true;
  }

  #set(row: Row, name: number, line: string, start: number, end: number): boolean {
    if (name < 0) return true;
    const id = row.parserId(name);
    if (row.isParsed(id) || (this.#needed !== null && !this.#needed.has(row.names[id]!))) return true;
    row.setParsed(id, decodeUtf8(line.slice(start, end)));
    return row.meetsExpectation(id);
  }
}

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
