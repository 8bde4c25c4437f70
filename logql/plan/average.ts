import type { Grouping, LogRange, MetricExpr, RangeAggregation, VectorAggregation } from '../syntax/ast.ts';

/*
 * Loki's frontend prepares queries for shards, of which there may be just one. An average over time whose series may be
 * spread over shards becomes a quotient:
 *
 *     avg_over_time(x | unwrap v [r]) by (l)
 *     sum by (l) (sum_over_time(x | unwrap v [r])) / sum by (l) (count_over_time(x [r]))
 *
 * The divisor has lost the unwrap with its filters: it counts lines that have no value too, and their errors fail the
 * query. Answers are Loki's only when the same averages are rewritten.
 */

/** Rewrites the averages over time in it that Loki's frontend rewrites. */
export function averagesAsQuotients(expr: MetricExpr): MetricExpr {
  switch (expr.kind) {
    case 'range_aggregation':
      return expr.op === 'avg_over_time' && (reduces(expr.grouping) || hasReducingStage(expr)) ? quotient(expr) : expr;
    case 'vector_aggregation':
      return isShardable(expr) ? expr : { ...expr, expr: averagesAsQuotients(expr.expr) };
    case 'label_replace':
      return { ...expr, expr: averagesAsQuotients(expr.expr) };
    case 'binary':
      return { ...expr, left: averagesAsQuotients(expr.left), right: averagesAsQuotients(expr.right) };
    default:
      return expr;
  }
}

function quotient(expr: RangeAggregation): MetricExpr {
  const grouping = expr.grouping ?? { without: true, labels: [] };
  const { unwrap } = expr.range;
  const counted: Grouping =
    grouping.without && unwrap !== null ? { without: true, labels: [...grouping.labels, unwrap.label] } : grouping;
  return {
    kind: 'binary',
    op: '/',
    bool: false,
    matching: { card: 'one-to-one', on: false, labels: [], include: [] },
    left: sumOf('sum_over_time', expr.range, grouping),
    right: sumOf('count_over_time', { ...expr.range, unwrap: null }, counted),
  };
}

function sumOf(op: 'sum_over_time' | 'count_over_time', range: LogRange, grouping: Grouping): VectorAggregation {
  return {
    kind: 'vector_aggregation',
    op: 'sum',
    parameter: null,
    grouping,
    expr: { kind: 'range_aggregation', op, parameter: null, range, grouping: null },
  };
}

/** Whether Loki would send it to each shard as it stands; what is inside is then left alone. */
function isShardable(expr: MetricExpr): boolean {
  switch (expr.kind) {
    case 'range_aggregation':
      return ![
        'quantile_over_time',
        'stddev_over_time',
        'stdvar_over_time',
        'rate_counter',
        'absent_over_time',
      ].includes(expr.op);
    case 'vector_aggregation':
      switch (expr.op) {
        case 'sum':
          return isShardable(expr.expr);
        case 'max':
        case 'min':
          return expr.expr.kind === 'range_aggregation' && isShardable(expr.expr);
        case 'avg':
        case 'count':
          return isShardable(expr.expr) && !reducesLabels(expr.expr);
        default:
          return false;
      }
    default:
      return false;
  }
}

/** Series of several shards may end up with the same labels. */
function reducesLabels(expr: MetricExpr): boolean {
  switch (expr.kind) {
    case 'range_aggregation':
      return reduces(expr.grouping) || hasReducingStage(expr);
    case 'vector_aggregation':
      return reduces(expr.grouping ?? { without: false, labels: [] }) || reducesLabels(expr.expr);
    default:
      return false;
  }
}

function reduces(grouping: Grouping | null): boolean {
  return grouping !== null && !(grouping.without && grouping.labels.length === 0);
}

function hasReducingStage(expr: RangeAggregation): boolean {
  return expr.range.log.stages.some((stage) => stage.kind === 'keep' || stage.kind === 'drop');
}
