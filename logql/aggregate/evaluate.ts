import { isSetOp, scalarOperation } from '../arithmetic.ts';
import type { EvalNode, MetricPlan } from '../plan/plan.ts';
import { vectorWithScalar } from './binary-scalar.ts';
import { combineSets, vectorWithVector } from './binary-vector.ts';
import { replaceLabels } from './label-replace.ts';
import { type Matrix, newSeries } from './matrix.ts';
import { type MetricResult, metricResult } from './metric-result.ts';
import { type AccumulatorPartial, releasePartial } from './range-accumulator.ts';
import { mergePartials, timesInMs } from './range-merger.ts';
import { aggregateVector } from './vector-aggregate.ts';

/**
 * The answer of a metric query from the finished matrices of its scans (`RangeMerger.finish`), in the order of
 * `plan.scans`. `maxSeries`: `max_query_series`, 0 for no limit. Throws `MatchingError`, `SeriesLimitError`.
 */
export function evaluatePlan(plan: MetricPlan, scans: readonly Matrix[], maxSeries = 0): MetricResult {
  const timesMs = timesInMs(plan.times);
  return metricResult(plan, evaluateNode(plan.root, scans, timesMs), timesMs, maxSeries);
}

/** The answer from the partials of each scan, which are used up. Throws as `evaluatePlan`, and `QueryTooLargeError`. */
export function evaluatePartials(
  plan: MetricPlan,
  partials: readonly (readonly AccumulatorPartial[])[],
  maxSeries: number,
): MetricResult {
  const matrices = plan.scans.map((scan, i) => mergePartials(scan, partials[i]!));
  const result = evaluatePlan(plan, matrices, maxSeries);
  for (const matrix of matrices) matrix.release?.();
  for (const partial of partials.flat()) releasePartial(partial);
  return result;
}

function evaluateNode(node: EvalNode, scans: readonly Matrix[], timesMs: Float64Array): Matrix | number {
  switch (node.kind) {
    case 'range':
      return scans[node.scan]!;
    case 'concat':
      return { timesMs, series: node.inputs.flatMap((input) => vectorOf(input, scans, timesMs).series) };
    case 'literal':
      return node.value;
    case 'vector':
      return constant(node.value, timesMs);
    case 'vector_aggregation':
      return aggregateVector(
        node.op,
        node.parameter,
        node.grouping,
        vectorOf(node.input, scans, timesMs),
        node.input.kind === 'range', // a merger joins groups of equal labels
      );
    case 'label_replace':
      return replaceLabels(vectorOf(node.input, scans, timesMs), node);
    case 'binary':
      return evaluateBinary(node, evaluateNode(node.left, scans, timesMs), evaluateNode(node.right, scans, timesMs));
    default:
      return node satisfies never;
  }
}

function evaluateBinary(
  node: EvalNode & { kind: 'binary' },
  left: Matrix | number,
  right: Matrix | number,
): Matrix | number {
  const { op, bool, matching } = node;
  if (typeof left === 'number' && typeof right === 'number') {
    if (isSetOp(op)) throw new TypeError(`${op} takes no numbers`);
    return scalarOperation(op, left, right);
  }
  if (typeof left === 'number') return vectorWithScalar(op, bool, right as Matrix, left, true);
  if (typeof right === 'number') return vectorWithScalar(op, bool, left, right, false);
  return isSetOp(op) ? combineSets(op, matching, left, right) : vectorWithVector(op, bool, matching, left, right);
}

/** A number where a vector is expected (`sum(1)` is refused before) stands for itself at every step. */
function vectorOf(node: EvalNode, scans: readonly Matrix[], timesMs: Float64Array): Matrix {
  const value = evaluateNode(node, scans, timesMs);
  return typeof value === 'number' ? constant(value, timesMs) : value;
}

/** One series without labels that has the value at every step. */
export function constant(value: number, timesMs: Float64Array): Matrix {
  const series = newSeries([], timesMs.length);
  series.values.fill(value);
  series.present.fill(1);
  return { timesMs, series: [series] };
}
