import { isSetOp, scalarOperation } from '../arithmetic.ts';
import { parseGoFloat, UnitError } from '../units/index.ts';
import type {
  BinaryOp,
  Expr,
  Grouping,
  LabelFilter,
  LabelReplaceExpr,
  LineFilter,
  LineFilterOp,
  LineFilterOperand,
  LiteralExpr,
  LogRange,
  Matcher,
  MatchOp,
  MetricExpr,
  RangeAggregation,
  RangeOp,
  VectorAggregation,
  VectorExpr,
  VectorMatching,
  VectorOp,
} from './ast.ts';
import { queryError } from './parse-error.ts';
import { checkMatcherRegex, regexMistake } from './regex-check.ts';

/** Deepest tree. Printing, validating and planning walk it by recursion. */
export const MAX_DEPTH = 1000;

/** A name that stands without quotes in Prometheus' text form. */
export const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

const NO_MATCHING: VectorMatching = { card: 'one-to-one', on: false, labels: [], include: [] };

export interface BinaryModifier {
  readonly bool: boolean;
  readonly matching: VectorMatching;
}

export const PLAIN_MODIFIER: BinaryModifier = { bool: false, matching: NO_MATCHING };

/**
 * Makes nodes. A node can be grammatical and still be refused; such mistakes are kept beside the node, because Loki
 * reports them only after the whole query is read, outermost first.
 */
export class TreeBuilder {
  readonly #mistakes = new Map<object, string>();
  readonly #depths = new Map<object, number>();
  #hasQuotedName = false;

  /** Whether some matcher prints its name in quotes, which LogQL cannot read back. */
  get hasQuotedName(): boolean {
    return this.#hasQuotedName;
  }

  /** Why validation must refuse this node. */
  mistakeOf(node: object): string | undefined {
    return this.#mistakes.get(node);
  }

  matcher(name: string, op: MatchOp, value: string): Matcher {
    if (op === '=~' || op === '!~') checkMatcherRegex(value);
    if (!PLAIN_NAME.test(name)) this.#hasQuotedName = true;
    return { kind: 'matcher', name, op, value };
  }

  /** Nothing of a negated chain may match, so `!= "a" or "b"` is two filters; Loki prints it so. */
  lineFilters(op: LineFilterOp, operands: readonly LineFilterOperand[]): LineFilter[] {
    if (op === '|=' || op === '|~' || op === '|>') return [{ kind: 'line_filter', op, operands }];
    return operands.map((operand) => ({ kind: 'line_filter', op, operands: [operand] }));
  }

  connect(kind: 'and' | 'or', left: LabelFilter, right: LabelFilter): LabelFilter {
    const node: LabelFilter = { kind, left, right };
    this.#setDepth(node, Math.max(this.#depthOf(left), this.#depthOf(right)));
    return node;
  }

  literal(text: string, isNegative: boolean): LiteralExpr {
    const { value, mistake } = readFloat(text);
    const node: LiteralExpr = { kind: 'literal', value: isNegative ? -value : value };
    if (mistake !== null) this.#mistakes.set(node, `unable to parse literal as a float: ${mistake}`);
    return node;
  }

  vector(text: string): VectorExpr {
    const { value, mistake } = readFloat(text);
    const node: VectorExpr = { kind: 'vector', value };
    if (mistake !== null) this.#mistakes.set(node, `unable to parse vectorExpr as a float: ${mistake}`);
    return node;
  }

  rangeAggregation(
    op: RangeOp,
    parameterText: string | null,
    range: LogRange,
    grouping: Grouping | null,
  ): RangeAggregation {
    const { value, mistake } = parameterText === null ? NO_NUMBER : readFloat(parameterText);
    const node: RangeAggregation = {
      kind: 'range_aggregation',
      op,
      parameter: parameterText === null ? null : value,
      range,
      grouping,
    };
    const refusal =
      rangeParameterMistake(op, parameterText, mistake) ?? groupingMistake(op, grouping) ?? unwrapMistake(op, range);
    if (refusal !== null) this.#mistakes.set(node, refusal);
    return node;
  }

  vectorAggregation(
    op: VectorOp,
    parameterText: string | null,
    expr: MetricExpr,
    grouping: Grouping | null,
  ): VectorAggregation {
    // No clause and `by ()` are the same to Loki, also in print.
    const isPlain = grouping === null || (!grouping.without && grouping.labels.length === 0);
    const node: VectorAggregation = {
      kind: 'vector_aggregation',
      op,
      parameter: parameterText === null ? null : Number(parameterText),
      expr,
      grouping: isPlain ? null : grouping,
    };
    const refusal = vectorParameterMistake(op, parameterText, grouping);
    if (refusal !== null) this.#mistakes.set(node, refusal);
    this.#setDepth(node, this.#depthOf(expr));
    return node;
  }

  labelReplace(expr: MetricExpr, dst: string, replacement: string, src: string, regex: string): LabelReplaceExpr {
    const node: LabelReplaceExpr = { kind: 'label_replace', expr, dst, replacement, src, regex };
    const mistake = regexMistake(`^(?:${regex})$`);
    if (mistake !== null) this.#mistakes.set(node, `invalid regex in label_replace: ${mistake}`);
    this.#setDepth(node, this.#depthOf(expr));
    return node;
  }

  /** Two literals are computed here and now. */
  binary(op: BinaryOp, modifier: BinaryModifier, left: Expr, right: Expr): MetricExpr {
    const refusal =
      this.#operandMistake('left', op, left) ??
      this.#operandMistake('right', op, right) ??
      this.#literalMistake(left) ??
      this.#literalMistake(right) ??
      setOperandMistake('left', op, left) ??
      setOperandMistake('right', op, right);
    if (refusal === null && left.kind === 'literal' && right.kind === 'literal' && !isSetOp(op)) {
      return { kind: 'literal', value: scalarOperation(op, left.value, right.value) };
    }
    const node: MetricExpr = {
      kind: 'binary',
      op,
      bool: modifier.bool,
      matching: modifier.matching,
      left: left as MetricExpr,
      right: right as MetricExpr,
    };
    if (refusal !== null) this.#mistakes.set(node, refusal);
    this.#setDepth(node, Math.max(this.#depthOf(left), this.#depthOf(right)));
    return node;
  }

  #operandMistake(side: 'left' | 'right', op: BinaryOp, expr: Expr): string | null {
    if (expr.kind !== 'log') return null;
    const type = expr.stages.length === 0 ? 'MatchersExpr' : 'PipelineExpr';
    return `unexpected type for ${side} leg of binary operation (${op}): *syntax.${type}`;
  }

  #literalMistake(expr: Expr): string | null {
    return expr.kind === 'literal' ? (this.#mistakes.get(expr) ?? null) : null;
  }

  #depthOf(node: object): number {
    return this.#depths.get(node) ?? 0;
  }

  #setDepth(node: object, depthBelow: number): void {
    if (depthBelow >= MAX_DEPTH) throw queryError(`query is nested too deeply (limit ${MAX_DEPTH})`);
    this.#depths.set(node, depthBelow + 1);
  }
}

interface ReadFloat {
  readonly value: number;
  readonly mistake: string | null;
}

const NO_NUMBER: ReadFloat = { value: Number.NaN, mistake: null };

function readFloat(text: string): ReadFloat {
  try {
    // The scanner has seen to it that separators stand between digits.
    return { value: parseGoFloat(text.replaceAll('_', '')), mistake: null };
  } catch (error: unknown) {
    if (!(error instanceof UnitError)) throw error;
    return { value: failedFloat(text), mistake: error.message };
  }
}

/** Go returns infinity for a number that is too large, and 0 for what is no number. */
function failedFloat(text: string): number {
  return Number(text) === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : 0;
}

/** The number of a label filter. Loki 3.7 ignores that it cannot be read: `a > 0x10` compares with 0. */
export function filterNumber(text: string): number {
  return readFloat(text).value;
}

function rangeParameterMistake(op: RangeOp, text: string | null, mistake: string | null): string | null {
  if (text === null) return op === 'quantile_over_time' ? `parameter required for operation ${op}` : null;
  if (op !== 'quantile_over_time') return `parameter ${text} not supported for operation ${op}`;
  return mistake === null ? null : `invalid parameter for operation ${op}: ${mistake}`;
}

const GROUPED_RANGE_OPS: ReadonlySet<RangeOp> = new Set([
  'avg_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'quantile_over_time',
  'max_over_time',
  'min_over_time',
  'first_over_time',
  'last_over_time',
]);

const UNWRAPPED_RANGE_OPS: ReadonlySet<RangeOp> = new Set([
  ...GROUPED_RANGE_OPS,
  'sum_over_time',
  'rate',
  'rate_counter',
  'absent_over_time',
]);

const PLAIN_RANGE_OPS: ReadonlySet<RangeOp> = new Set([
  'bytes_over_time',
  'bytes_rate',
  'count_over_time',
  'rate',
  'absent_over_time',
]);

function groupingMistake(op: RangeOp, grouping: Grouping | null): string | null {
  return grouping === null || GROUPED_RANGE_OPS.has(op) ? null : `grouping not allowed for ${op} aggregation`;
}

function unwrapMistake(op: RangeOp, range: LogRange): string | null {
  if (range.unwrap === null) return PLAIN_RANGE_OPS.has(op) ? null : `invalid aggregation ${op} without unwrap`;
  return UNWRAPPED_RANGE_OPS.has(op) ? null : `invalid aggregation ${op} with unwrap`;
}

/** Largest int64, the type of `k`. */
const MAX_K = 2n ** 63n - 1n;

function vectorParameterMistake(op: VectorOp, text: string | null, grouping: Grouping | null): string | null {
  if (op !== 'topk' && op !== 'bottomk' && op !== 'approx_topk') {
    return text === null ? null : `unsupported parameter for operation ${op}(${text},`;
  }
  if (text === null) return `parameter required for operation ${op}`;
  if (!/^[0-9]+$/.test(text) || BigInt(text) > MAX_K) return `invalid parameter ${op}(${text},`;
  if (BigInt(text) === 0n) return `invalid parameter (must be greater than 0) ${op}(${text}`;
  return op === 'approx_topk' && grouping !== null ? `grouping not allowed for ${op} aggregation` : null;
}

function setOperandMistake(side: 'left' | 'right', op: BinaryOp, expr: Expr): string | null {
  if ((op !== 'and' && op !== 'or' && op !== 'unless') || expr.kind !== 'literal') return null;
  const value = formatFixed(expr.value);
  return `unexpected literal for ${side} leg of logical/set binary operation (${op}): ${value}`;
}

/** Go's `%f`: six digits after the point, never an exponent. */
export function formatFixed(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (Math.abs(value) < 1e21) return Object.is(value, -0) ? '-0.000000' : value.toFixed(6);
  return `${BigInt(value)}.000000`;
}
