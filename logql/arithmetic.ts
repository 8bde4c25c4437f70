import type { BinaryOp } from './syntax/ast.ts';

export type SetOp = 'and' | 'or' | 'unless';
export type ComparisonOp = '==' | '!=' | '>' | '>=' | '<' | '<=';
export type ArithmeticOp = '+' | '-' | '*' | '/' | '%' | '^';

export function isSetOp(op: BinaryOp): op is SetOp {
  return op === 'and' || op === 'or' || op === 'unless';
}

export function isComparisonOp(op: BinaryOp): op is ComparisonOp {
  return op === '==' || op === '!=' || op === '>' || op === '>=' || op === '<' || op === '<=';
}

export function compare(op: ComparisonOp, left: number, right: number): boolean {
  switch (op) {
    case '==':
      return left === right;
    case '!=':
      return left !== right;
    case '>':
      return left > right;
    case '>=':
      return left >= right;
    case '<':
      return left < right;
    case '<=':
      return left <= right;
    default:
      return op satisfies never;
  }
}

/** Division and remainder by zero are NaN in LogQL, never infinite. */
export function calculate(op: ArithmeticOp, left: number, right: number): number {
  switch (op) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return right === 0 ? Number.NaN : left / right;
    case '%':
      return right === 0 ? Number.NaN : left % right;
    case '^':
      return power(left, right);
    default:
      return op satisfies never;
  }
}

/** Two numbers as `1 > 2` or `1 + 2` reads without vectors: comparisons give 1 or 0, with `bool` and without. */
export function scalarOperation(op: ComparisonOp | ArithmeticOp, left: number, right: number): number {
  return isComparisonOp(op) ? Number(compare(op, left, right)) : calculate(op, left, right);
}

/** Go's `math.Pow`, which differs from `**` for a base of 1 and -1. */
function power(base: number, exponent: number): number {
  if (base === 1) return 1;
  if (base === -1 && (exponent === Infinity || exponent === -Infinity)) return 1;
  return base ** exponent;
}
