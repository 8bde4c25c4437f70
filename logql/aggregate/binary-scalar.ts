import { calculate, compare, isComparisonOp, isSetOp } from '../arithmetic.ts';
import type { BinaryOp } from '../syntax/ast.ts';
import { isEmpty, type Matrix, type Series } from './matrix.ts';

/**
 * A vector and a number. Labels stay. A comparison without `bool` keeps the samples for which it holds, with the
 * vector's value on whichever side the number stands; with `bool` it gives 0 or 1.
 */
export function vectorWithScalar(
  op: BinaryOp,
  bool: boolean,
  matrix: Matrix,
  scalar: number,
  scalarIsLeft: boolean,
): Matrix {
  if (isSetOp(op)) throw new TypeError(`${op} takes no number`);
  const series = matrix.series.map((input) => {
    const output: Series = {
      labels: input.labels,
      values: new Float64Array(input.values.length),
      present: input.present.slice(),
    };
    for (let step = 0; step < input.values.length; step++) {
      if (input.present[step] === 0) continue;
      const value = input.values[step]!;
      const left = scalarIsLeft ? scalar : value;
      const right = scalarIsLeft ? value : scalar;
      if (!isComparisonOp(op)) {
        output.values[step] = calculate(op, left, right);
      } else if (bool) {
        output.values[step] = Number(compare(op, left, right));
      } else {
        output.values[step] = value;
        output.present[step] = Number(compare(op, left, right));
      }
    }
    return output;
  });
  return { timesMs: matrix.timesMs, series: series.filter((output) => !isEmpty(output)) };
}
