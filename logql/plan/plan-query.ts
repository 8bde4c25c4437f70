import type { GroupingMode } from '../stages/types.ts';
import type { Expr, Grouping, MetricExpr, RangeAggregation, VectorAggregation, VectorExpr } from '../syntax/ast.ts';
import { isSetOp, scalarOperation } from './arithmetic.ts';
import { keepsErrors, withoutUnusedLineFormats } from './extraction.ts';
import type { EvalNode, EvaluationTimes, MetricPlan, PlanParams, QueryPlan, RangeScan } from './plan.ts';
import { QueryNotEnabledError, UnsupportedQueryError } from './plan-errors.ts';

/**
 * Plans a checked query. The caller has aligned a range query's ends (`alignRange`). Throws `QueryNotEnabledError`
 * for `approx_topk` and `UnsupportedQueryError` for `variants`, both of which Loki refuses by default.
 */
export function planQuery(expr: Expr, params: PlanParams): QueryPlan {
  if (expr.kind === 'log') {
    return {
      kind: 'log',
      matchers: expr.matchers,
      stages: expr.stages,
      startNs: params.startNs,
      endNs: params.endNs,
      direction: params.direction,
      limit: params.limit,
      intervalNs: params.intervalNs,
    };
  }
  return new MetricPlanner(evaluationTimes(params)).plan(expr, params.instant);
}

export function evaluationTimes(params: Pick<PlanParams, 'startNs' | 'endNs' | 'stepNs' | 'instant'>): EvaluationTimes {
  if (params.instant || params.stepNs <= 0n || params.endNs <= params.startNs) {
    return { firstNs: params.instant ? params.endNs : params.startNs, stepNs: 1n, count: 1 };
  }
  return {
    firstNs: params.startNs,
    stepNs: params.stepNs,
    count: Number((params.endNs - params.startNs) / params.stepNs) + 1,
  };
}

class MetricPlanner {
  readonly #times: EvaluationTimes;
  readonly #scans: RangeScan[] = [];
  readonly #scanIndexes = new Map<string, number>();
  #sorted = false;

  constructor(times: EvaluationTimes) {
    this.#times = times;
  }

  plan(expr: MetricExpr, instant: boolean): MetricPlan {
    const root = this.#node(expr);
    return { kind: 'metric', root, scans: this.#scans, times: this.#times, instant, sorted: this.#sorted };
  }

  #node(expr: MetricExpr): EvalNode {
    switch (expr.kind) {
      case 'range_aggregation':
        return this.#scan(expr, null);
      case 'vector_aggregation':
        return this.#vectorAggregation(expr);
      case 'binary': {
        const left = this.#node(expr.left);
        const right = this.#node(expr.right);
        if (left.kind === 'literal' && right.kind === 'literal' && !isSetOp(expr.op)) {
          return { kind: 'literal', value: scalarOperation(expr.op, left.value, right.value) };
        }
        return { kind: 'binary', op: expr.op, bool: expr.bool, matching: expr.matching, left, right };
      }
      case 'literal':
      case 'vector':
        return { kind: expr.kind, value: (expr as VectorExpr).value };
      case 'label_replace':
        return {
          kind: 'label_replace',
          dst: expr.dst,
          replacement: expr.replacement,
          src: expr.src,
          regex: expr.regex,
          input: this.#node(expr.expr),
        };
      case 'variants':
        throw new UnsupportedQueryError('multi variant queries are disabled for this instance');
      default:
        return expr satisfies never;
    }
  }

  #vectorAggregation(expr: VectorAggregation): EvalNode {
    if (expr.op === 'approx_topk') {
      throw new QueryNotEnabledError('approx_topk is not enabled. See -limits.shard_aggregations');
    }
    if (expr.op === 'sort' || expr.op === 'sort_desc') this.#sorted = true;
    const grouping = expr.grouping ?? { without: false, labels: [] };
    const input =
      expr.expr.kind === 'range_aggregation' && canPushDown(expr, expr.expr)
        ? this.#scan(expr.expr, grouping)
        : this.#node(expr.expr);
    return { kind: 'vector_aggregation', op: expr.op, parameter: expr.parameter, grouping, input };
  }

  #scan(expr: RangeAggregation, outer: Grouping | null): EvalNode {
    const { log, unwrap } = expr.range;
    const rangeNs = BigInt(expr.range.rangeNs);
    const offsetNs = BigInt(expr.range.offsetNs);
    const grouping = groupingMode(expr, outer);
    const readUntilNs = this.#times.firstNs + BigInt(this.#times.count - 1) * this.#times.stepNs - offsetNs;
    const scan: RangeScan = {
      matchers: log.matchers,
      stages: withoutUnusedLineFormats(log.stages, expr.op),
      unwrap,
      op: expr.op,
      parameter: expr.parameter,
      rangeNs,
      offsetNs,
      grouping,
      keepErrors: keepsErrors(grouping, log.stages),
      times: this.#times,
      readAfterNs: this.#times.firstNs - offsetNs - rangeNs,
      readUntilNs,
    };
    const key = JSON.stringify(scan, (_, value) => (typeof value === 'bigint' ? `${value}n` : value));
    let index = this.#scanIndexes.get(key);
    if (index === undefined) {
      index = this.#scans.push(scan) - 1;
      this.#scanIndexes.set(key, index);
    }
    return { kind: 'range', scan: index };
  }
}

/**
 * Only a sum of sums can be grouped early. Loki does it for the same operations, and whether it does can be seen: a
 * parser whose labels nobody needs is skipped, and then cannot fail.
 */
function canPushDown(outer: VectorAggregation, inner: RangeAggregation): boolean {
  if (outer.op !== 'sum' || inner.grouping !== null) return false;
  switch (inner.op) {
    case 'rate':
    case 'count_over_time':
    case 'bytes_rate':
    case 'bytes_over_time':
    case 'sum_over_time':
      return true;
    default:
      return false;
  }
}

function groupingMode(expr: RangeAggregation, outer: Grouping | null): GroupingMode {
  if (expr.op === 'absent_over_time') return { kind: 'by', labels: [] };
  const grouping = outer ?? expr.grouping;
  if (grouping !== null && !grouping.without) return { kind: 'by', labels: grouping.labels };
  const left = [...(grouping?.labels ?? [])];
  // Samples of the same series would otherwise differ in the label that holds their value.
  if (expr.range.unwrap !== null) left.push(expr.range.unwrap.label);
  return left.length === 0 ? { kind: 'all' } : { kind: 'without', labels: left };
}
