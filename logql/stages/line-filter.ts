import { compileRegex } from '../regex/index.ts';
import type { LineFilter, LineFilterOp, LineFilterOperand } from '../syntax/ast.ts';
import type { BlockLines } from './block-lines.ts';
import { FoldedTest } from './folded-test.ts';
import { compileIp } from './ip.ts';
import { compileLinePattern } from './line-pattern.ts';
import { ContainsTest, EveryLine, IpTest, type LineTest, PatternTest, RegexTest } from './line-test.ts';
import type { Row, RowStage } from './row.ts';
import { StageError } from './stage-error.ts';

/** Of a filter's rows; what it did to those before counts half as much. */
const REMEMBERED_ROWS = 1 << 16;

/** Alternatives of a pattern that are searched for one after the other; more are tried at once. */
const MAX_TEXTS = 6;

/** `|= "a" or "b"`: any of the operands; `!= "a" or "b"`: none of them. */
export class LineFilterStage implements RowStage {
  readonly #tests: readonly LineTest[];
  readonly #positive: boolean;
  /** Rows that the filter was given and those that it kept, of late. */
  #seen = 0;
  #kept = 0;

  constructor(filter: LineFilter) {
    this.#positive = isPositive(filter.op);
    // Loki forgets the `ip()` of operands in a chain and takes them for plain text.
    const isChain = filter.operands.length > 1;
    this.#tests = filter.operands.flatMap((operand) =>
      compileOperand(filter.op, isChain ? { fn: null, value: operand.value } : operand),
    );
  }

  /**
   * Filters of a block may run in any order. Ascending by this, each runs where it spares the others most: what it costs,
   * over the share of rows that it drops.
   */
  get rank(): number {
    const cost = this.#tests.reduce((sum, test) => sum + test.cost, 0);
    return cost / (1 - (this.#kept + 1) / (this.#seen + 2));
  }

  /** Whether the filter has looked at rows. */
  get isKnown(): boolean {
    return this.#seen > 0;
  }

  run(row: Row): boolean {
    const line = row.lineBytes();
    for (const test of this.#tests) if (test.test(line, 0, line.length)) return this.#positive;
    return !this.#positive;
  }

  /** Keeps the rows that pass, in place; `marks` is scratch space of at least a byte a row. */
  filter(lines: BlockLines, rows: Uint32Array, count: number, marks: Uint8Array): number {
    marks.fill(0, 0, lines.block.rowCount);
    for (const test of this.#tests) test.mark(lines, rows, count, marks);
    const kept = keepMarked(rows, count, marks, this.#positive ? 1 : 0);
    this.#seen += count;
    this.#kept += kept;
    if (this.#seen > REMEMBERED_ROWS) {
      this.#seen /= 2;
      this.#kept /= 2;
    }
    return kept;
  }
}

/**
 * Keeps the rows with this mark, in place. By itself: V8 compiles a loop like this one while it runs, and what it does not expect
 * behind the loop would end each run of that code.
 */
function keepMarked(rows: Uint32Array, count: number, marks: Uint8Array, wanted: number): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const row = rows[i]!;
    if (marks[row] === wanted) rows[kept++] = row;
  }
  return kept;
}

function isPositive(op: LineFilterOp): boolean {
  return op === '|=' || op === '|~' || op === '|>';
}

/** Of a pattern that consists of texts between `|`, as far as these are few; null for others. */
function textsOf(pattern: string): readonly string[] | null {
  if (/[\\.+*?()[\]{}^$\ufffd]/.test(pattern)) return null;
  const texts = pattern.split('|');
  return texts.length > MAX_TEXTS || texts.includes('') ? null : texts;
}

/** Tests of which one must hold, or none where the filter is negative. */
function compileOperand(op: LineFilterOp, operand: LineFilterOperand): LineTest | readonly LineTest[] {
  if (operand.fn === 'ip') {
    if (op !== '|=' && op !== '!=') throw new StageError('ip: invalid operation');
    return new IpTest(compileIp(operand.value));
  }
  switch (op) {
    case '|=':
    case '!=':
      return operand.value === '' ? new EveryLine() : new ContainsTest(operand.value);
    case '|~':
    case '!~': {
      const regex = compileRegex(operand.value);
      if (regex.traits.matchesEverything) return new EveryLine();
      if (regex.traits.literal !== null) return new ContainsTest(regex.traits.literal);
      const forms = regex.traits.simpleForms;
      if (forms?.some((form) => form.foldsCase)) return new FoldedTest(forms);
      const texts = textsOf(operand.value);
      return texts === null ? new RegexTest(regex) : texts.map((text) => new ContainsTest(text));
    }
    case '|>':
    case '!>':
      return new PatternTest(compileLinePattern(operand.value));
    default:
      return op satisfies never;
  }
}
