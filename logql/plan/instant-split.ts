import type { MetricExpr, RangeAggregation, Stage, VectorAggregation } from '../syntax/ast.ts';

/*
 * Loki's frontend cuts an instant query with a long range into queries over shorter ones
 * (`split_instant_metric_queries_by_interval`) and adds up their answers. For most queries that changes nothing. But it
 * also moves the enclosing vector aggregation into the pieces, and then
 *
 *     avg(count_over_time(x[2h]))   becomes
 *     avg(sum without () (avg(count_over_time(x[1h])) ++ avg(count_over_time(x[1h] offset 1h))))
 *
 * where a series that is missing from one hour is missing from that hour's average. Loki's users see these numbers, so
 * they are reproduced: the same queries are rewritten in the same way, unless the answer is the same without.
 */

/** What an expression becomes; `changed` as Loki would see it, also where the rewriting was not needed. */
export interface SplitResult {
  readonly expr: SplitExpr;
  readonly changed: boolean;
}

export type SplitExpr =
  | { readonly kind: 'plain'; readonly expr: MetricExpr }
  | { readonly kind: 'aggregate'; readonly of: VectorAggregation; readonly input: SplitExpr }
  | { readonly kind: 'binary'; readonly of: MetricExpr & { kind: 'binary' }; left: SplitExpr; right: SplitExpr }
  | { readonly kind: 'label_replace'; readonly of: MetricExpr & { kind: 'label_replace' }; readonly input: SplitExpr }
  | {
      /** The pieces' series together, then `op` over equal labels (or `range.grouping`), then divided. */
      readonly kind: 'pieces';
      readonly op: 'sum' | 'min' | 'max';
      readonly range: RangeAggregation;
      readonly pieces: readonly MetricExpr[];
      readonly divisor: number | null;
    };

/** Rewrites an instant query as Loki's frontend does for an interval of `splitNs`. */
export function splitInstant(expr: MetricExpr, splitNs: number): SplitExpr {
  return isSplittable(expr) ? split(expr, splitNs, null).expr : { kind: 'plain', expr };
}

function split(expr: MetricExpr, splitNs: number, pushdown: VectorAggregation | null): SplitResult {
  switch (expr.kind) {
    case 'vector_aggregation':
      return splitVector(expr, splitNs);
    case 'range_aggregation':
      return splitRange(expr, splitNs, pushdown);
    case 'binary': {
      const left = split(expr.left, splitNs, pushdown);
      if (!left.changed && expr.left.kind !== 'literal') return unchanged(expr);
      const right = split(expr.right, splitNs, pushdown);
      if (!right.changed && expr.right.kind !== 'literal') return unchanged(expr);
      return {
        expr: { kind: 'binary', of: expr, left: left.expr, right: right.expr },
        changed: left.changed || right.changed,
      };
    }
    case 'label_replace': {
      const input = split(expr.expr, splitNs, pushdown);
      return { expr: { kind: 'label_replace', of: expr, input: input.expr }, changed: input.changed };
    }
    default:
      return unchanged(expr);
  }
}

function splitVector(expr: VectorAggregation, splitNs: number): SplitResult {
  if (lastRangeNs(expr) <= splitNs) return unchanged(expr);
  const moves = expr.op !== 'count' && expr.op !== 'topk' && expr.op !== 'sort' && expr.op !== 'sort_desc';
  const pushdown = moves && expr.expr.kind !== 'binary' ? expr : null;
  if (pushdown !== null && expr.expr.kind === 'range_aggregation' && makesNoDifference(expr, expr.expr)) {
    return { expr: { kind: 'plain', expr }, changed: true };
  }
  const input = split(expr.expr, splitNs, pushdown);
  return { expr: { kind: 'aggregate', of: expr, input: input.expr }, changed: input.changed };
}

function splitRange(expr: RangeAggregation, splitNs: number, pushdown: VectorAggregation | null): SplitResult {
  const { rangeNs } = expr.range;
  if (rangeNs <= splitNs) return unchanged(expr);
  if (expr.grouping === null && expr.range.log.stages.some(mayExtractManyLabels)) return unchanged(expr);
  const op = combiningOp(expr);
  if (op === null) return unchanged(expr);
  if (pushdown === null) return { expr: { kind: 'plain', expr }, changed: true };

  const counted = rateAsTotal(expr);
  const whole: MetricExpr = counted === null ? pushdown : { ...pushdown, expr: counted };
  const pieces: MetricExpr[] = [];
  for (let startNs = 0; startNs < rangeNs; startNs += splitNs) {
    pieces.push(withWindow(whole, Math.min(splitNs, rangeNs - startNs), startNs));
  }
  const divisor = counted === null ? null : rangeNs / 1e9;
  return { expr: { kind: 'pieces', op, range: expr, pieces, divisor }, changed: true };
}

/** Sums of sums, greatest of greatest and least of least do not depend on where they are cut. */
function makesNoDifference(outer: VectorAggregation, inner: RangeAggregation): boolean {
  return outer.op === combiningOp(inner) && inner.grouping === null;
}

/** How the values of adjacent windows combine; null for operations that are not split. */
function combiningOp(expr: RangeAggregation): 'sum' | 'min' | 'max' | null {
  switch (expr.op) {
    case 'rate':
    case 'bytes_rate':
    case 'count_over_time':
    case 'bytes_over_time':
    case 'sum_over_time':
      return 'sum';
    case 'max_over_time':
      return 'max';
    case 'min_over_time':
      return 'min';
    default:
      return null;
  }
}

/** A rate is added up as counts, bytes or sums, and divided by the whole range in the end. */
function rateAsTotal(expr: RangeAggregation): RangeAggregation | null {
  if (expr.op === 'bytes_rate') return { ...expr, op: 'bytes_over_time' };
  if (expr.op !== 'rate') return null;
  return { ...expr, op: expr.range.unwrap !== null ? 'sum_over_time' : 'count_over_time' };
}

function isSplittable(expr: MetricExpr): boolean {
  switch (expr.kind) {
    case 'vector_aggregation':
      return !['stddev', 'stdvar', 'bottomk', 'approx_topk'].includes(expr.op) && isSplittable(expr.expr);
    case 'range_aggregation':
      return combiningOp(expr) !== null;
    case 'binary': {
      const left = isSplittable(expr.left);
      const right = isSplittable(expr.right);
      return (left && right) || (expr.left.kind === 'literal' && right) || (left && expr.right.kind === 'literal');
    }
    case 'label_replace':
      return isSplittable(expr.expr);
    default:
      return false;
  }
}

function mayExtractManyLabels(stage: Stage): boolean {
  return (stage.kind === 'json' || stage.kind === 'logfmt') && stage.extractions.length === 0;
}

/** The range of the last range aggregation in the text. */
function lastRangeNs(expr: MetricExpr): number {
  switch (expr.kind) {
    case 'range_aggregation':
      return expr.range.rangeNs;
    case 'vector_aggregation':
    case 'label_replace':
      return lastRangeNs(expr.expr);
    case 'binary':
      return lastRangeNs(expr.right) || lastRangeNs(expr.left);
    default:
      return 0;
  }
}

/** Every range in it becomes `rangeNs` long and moves `earlierNs` into the past. */
function withWindow(expr: MetricExpr, rangeNs: number, earlierNs: number): MetricExpr {
  switch (expr.kind) {
    case 'range_aggregation':
      return { ...expr, range: { ...expr.range, rangeNs, offsetNs: expr.range.offsetNs + earlierNs } };
    case 'vector_aggregation':
    case 'label_replace':
      return { ...expr, expr: withWindow(expr.expr, rangeNs, earlierNs) };
    case 'binary':
      return {
        ...expr,
        left: withWindow(expr.left, rangeNs, earlierNs),
        right: withWindow(expr.right, rangeNs, earlierNs),
      };
    default:
      return expr;
  }
}

function unchanged(expr: MetricExpr): SplitResult {
  return { expr: { kind: 'plain', expr }, changed: false };
}
