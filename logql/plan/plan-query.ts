import { isSetOp, scalarOperation } from '../arithmetic.ts';
import type { GroupingMode } from '../stages/types.ts';
import type {
  BinaryExpr,
  Expr,
  Grouping,
  LabelReplaceExpr,
  MetricExpr,
  RangeAggregation,
  VectorAggregation,
} from '../syntax/ast.ts';
import { averagesAsQuotients } from './average.ts';
import { type SplitExpr, splitInstant } from './instant-split.ts';
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
      periodNs: params.logSplitNs ?? 0n,
    };
  }
  const splitNs = params.instant ? Number(params.instantSplitNs ?? 0n) : 0;
  const rangeSplitNs = params.instant ? 0n : (params.rangeSplitNs ?? 0n);
  return new MetricPlanner(evaluationTimes(params), rangeSplitNs).plan(
    splitNs > 0 ? splitInstant(expr, splitNs) : { kind: 'plain', expr },
    params.instant,
  );
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

const NO_LABELS: Grouping = { without: false, labels: [] };

class MetricPlanner {
  readonly #times: EvaluationTimes;
  readonly #splitNs: bigint;
  readonly #scans: RangeScan[] = [];
  readonly #scanIndexes = new Map<string, number>();
  #sorted = false;

  constructor(times: EvaluationTimes, splitNs: bigint) {
    this.#times = times;
    this.#splitNs = splitNs;
  }

  plan(expr: SplitExpr, instant: boolean): MetricPlan {
    const root = this.#split(expr);
    return { kind: 'metric', root, scans: this.#scans, times: this.#times, instant, sorted: this.#sorted };
  }

  #split(split: SplitExpr): EvalNode {
    switch (split.kind) {
      case 'plain':
        return this.#node(averagesAsQuotients(split.expr));
      case 'aggregate':
        return this.#aggregation(split.of, this.#split(split.input));
      case 'binary':
        return this.#binary(split.of, this.#split(split.left), this.#split(split.right));
      case 'label_replace':
        return this.#labelReplace(split.of, this.#split(split.input));
      case 'pieces': {
        const combined: EvalNode = {
          kind: 'vector_aggregation',
          op: split.op,
          parameter: null,
          grouping: split.range.grouping ?? { without: true, labels: [] },
          input: { kind: 'concat', inputs: split.pieces.map((piece) => this.#node(piece)) },
        };
        if (split.divisor === null) return combined;
        return {
          kind: 'binary',
          op: '/',
          bool: false,
          matching: { card: 'one-to-one', on: false, labels: [], include: [] },
          left: combined,
          right: { kind: 'literal', value: split.divisor },
        };
      }
      default:
        return split satisfies never;
    }
  }

  #node(expr: MetricExpr): EvalNode {
    switch (expr.kind) {
      case 'range_aggregation':
        return this.#scan(expr, null);
      case 'vector_aggregation':
        return this.#vectorAggregation(expr);
      case 'binary':
        return this.#binary(expr, this.#node(expr.left), this.#node(expr.right));
      case 'literal':
      case 'vector':
        return { kind: expr.kind, value: expr.value };
      case 'label_replace':
        return this.#labelReplace(expr, this.#node(expr.expr));
      case 'variants':
        throw new UnsupportedQueryError('multi variant queries are disabled for this instance');
      default:
        return expr satisfies never;
    }
  }

  #vectorAggregation(expr: VectorAggregation): EvalNode {
    const inner = expr.expr;
    if (inner.kind === 'range_aggregation' && canPushDown(expr, inner)) {
      return this.#aggregation(expr, this.#scan(inner, expr.grouping ?? NO_LABELS));
    }
    return this.#aggregation(expr, this.#node(inner));
  }

  #aggregation(expr: VectorAggregation, input: EvalNode): EvalNode {
    if (expr.op === 'approx_topk') {
      throw new QueryNotEnabledError('approx_topk is not enabled. See -limits.shard_aggregations');
    }
    if (expr.op === 'sort' || expr.op === 'sort_desc') this.#sorted = true;
    const grouping = expr.grouping ?? NO_LABELS;
    return { kind: 'vector_aggregation', op: expr.op, parameter: expr.parameter, grouping, input };
  }

  #binary(expr: BinaryExpr, left: EvalNode, right: EvalNode): EvalNode {
    if (left.kind === 'literal' && right.kind === 'literal' && !isSetOp(expr.op)) {
      return { kind: 'literal', value: scalarOperation(expr.op, left.value, right.value) };
    }
    return { kind: 'binary', op: expr.op, bool: expr.bool, matching: expr.matching, left, right };
  }

  #labelReplace({ dst, replacement, src, regex }: LabelReplaceExpr, input: EvalNode): EvalNode {
    return { kind: 'label_replace', dst, replacement, src, regex, input };
  }

  #scan(expr: RangeAggregation, outer: Grouping | null): EvalNode {
    const { log, unwrap } = expr.range;
    const rangeNs = BigInt(expr.range.rangeNs);
    const offsetNs = BigInt(expr.range.offsetNs);
    const readUntilNs = this.#times.firstNs + BigInt(this.#times.count - 1) * this.#times.stepNs - offsetNs;
    const scan: RangeScan = {
      matchers: log.matchers,
      stages: log.stages,
      unwrap,
      op: expr.op,
      parameter: expr.parameter,
      rangeNs,
      offsetNs,
      grouping: groupingMode(expr, outer),
      times: this.#times,
      readAfterNs: this.#times.firstNs - offsetNs - rangeNs,
      readUntilNs,
      ...(this.#splitNs > 0n ? { splitNs: this.#splitNs } : {}),
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
