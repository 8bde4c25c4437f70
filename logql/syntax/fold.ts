import type { BinaryOp } from './ast.ts';

/**
 * An operator between two numbers, as Loki computes it while parsing: comparisons give 1 or 0, a division or
 * remainder by zero is NaN. The set operators do not take numbers.
 */
export function foldLiterals(op: BinaryOp, left: number, right: number): number {
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
    case '==':
      return left === right ? 1 : 0;
    case '!=':
      return left !== right ? 1 : 0;
    case '>':
      return left > right ? 1 : 0;
    case '>=':
      return left >= right ? 1 : 0;
    case '<':
      return left < right ? 1 : 0;
    case '<=':
      return left <= right ? 1 : 0;
    case 'and':
    case 'or':
    case 'unless':
      throw new RangeError(`${op} of two numbers`);
    default:
      return op satisfies never;
  }
}

/** C and Go have 1 for a base of 1 and any exponent, and for -1 to an infinite power; JavaScript has NaN. */
function power(base: number, exponent: number): number {
  if (base === 1) return 1;
  if (base === -1 && !Number.isNaN(exponent) && !Number.isFinite(exponent)) return 1;
  return base ** exponent;
}
