import { compileRegex, type Regex } from '../regex/index.ts';
import type { RegexpParser } from '../syntax/ast.ts';
import type { NeededLabels } from './needed-labels.ts';
import type { Row, RowStage } from './row.ts';
import { StageError } from './stage-error.ts';

/** `| regexp "(?P<name>…)"`: the named groups of the first match. */
export class RegexpStage implements RowStage {
  readonly #regex: Regex;
  /** By group, its label; -1 when it has no name. */
  readonly #ids: readonly number[];
  readonly #needed: NeededLabels | null;

  constructor(parser: RegexpParser, row: Row, needed: NeededLabels | null) {
    this.#regex = compileParserRegexp(parser.pattern);
    this.#ids = this.#regex.names.map((name) => (name === '' ? -1 : row.id(name)));
    this.#needed = needed;
  }

  run(row: Row): boolean {
    const match = row.isAscii ? this.#regex.execAscii(row.lineBytes()) : this.#regex.exec(row.line());
    if (match === null) return true;
    for (let i = 1; i < this.#ids.length; i++) {
      if (this.#ids[i]! < 0) continue;
      const id = row.parserId(this.#ids[i]!);
      if (row.isParsed(id) || (this.#needed !== null && !this.#needed.has(row.names[id]!))) continue;
      row.setParsed(id, match.groups[i] ?? '');
      if (!row.meetsExpectation(id)) return false;
    }
    return true;
  }
}

/** Throws `RegexError` or `StageError` with Loki's text. */
export function compileParserRegexp(pattern: string): Regex {
  const regex = compileRegex(pattern);
  const names = new Set<string>();
  for (const name of regex.names) {
    if (name === '') continue;
    if (names.has(name)) throw new StageError(`duplicate extracted label name '${name}'`);
    names.add(name);
  }
  if (names.size === 0) {
    throw new StageError('invalid regexp parser: at least one named capture must be supplied');
  }
  return regex;
}
