import type { BinaryOp, Expr, LabelFilter } from './ast.ts';
import type { BinaryModifier, TreeBuilder } from './build.ts';
import { BINARY_PRECEDENCE } from './precedence.ts';

/** A comma, or nothing, between two label filters makes a list. */
export type FilterConnective = 'and' | 'or' | 'list';

/** Precedence climbing without recursion, for a chain may be longer than the stack is deep. */
export function foldOperators(
  operands: readonly Expr[],
  ops: readonly { readonly op: BinaryOp; readonly modifier: BinaryModifier }[],
  builder: TreeBuilder,
): Expr {
  const values: Expr[] = [operands[0]!];
  const waiting: { op: BinaryOp; modifier: BinaryModifier }[] = [];
  const reduce = (): void => {
    const { op, modifier } = waiting.pop()!;
    const right = values.pop()!;
    values.push(builder.binary(op, modifier, values.pop()!, right));
  };
  for (const [i, next] of ops.entries()) {
    while (waiting.length > 0 && bindsFirst(waiting.at(-1)!.op, next.op)) reduce();
    waiting.push(next);
    values.push(operands[i + 1]!);
  }
  while (waiting.length > 0) reduce();
  return values[0]!;
}

/** Whether `a left b right c` is `(a left b) right c`. Only `^` groups to the right. */
function bindsFirst(left: BinaryOp, right: BinaryOp): boolean {
  const difference = BINARY_PRECEDENCE[left] - BINARY_PRECEDENCE[right];
  return difference > 0 || (difference === 0 && left !== '^');
}

/**
 * `and` binds tighter than `or`, both group to the left; a comma, or nothing at all, between two filters takes
 * everything on its right: `a, b or c` is `a and (b or c)`, and `a or b, c` is `a or (b and c)`.
 */
export function foldConnectives(
  operands: readonly LabelFilter[],
  connectives: readonly FilterConnective[],
  builder: TreeBuilder,
): LabelFilter {
  const values: LabelFilter[] = [operands[0]!];
  const waiting: FilterConnective[] = [];
  const reduce = (): void => {
    const connective = waiting.pop()!;
    const right = values.pop()!;
    values.push(builder.connect(connective === 'or' ? 'or' : 'and', values.pop()!, right));
  };
  for (const [i, next] of connectives.entries()) {
    while (
      waiting.length > 0 &&
      (waiting.at(-1) === 'and' ? next !== 'list' : waiting.at(-1) === next && next === 'or')
    ) {
      reduce();
    }
    waiting.push(next);
    values.push(operands[i + 1]!);
  }
  while (waiting.length > 0) reduce();
  return values[0]!;
}
