export { alignRange } from './align.ts';
export { describePlan, type PlanDescription } from './describe.ts';
export { type ExtractionHints, extractionHints } from './extraction.ts';
export type {
  Direction,
  EvalNode,
  EvaluationTimes,
  LogPlan,
  MetricPlan,
  PlanParams,
  QueryPlan,
  RangeScan,
} from './plan.ts';
export { QueryNotEnabledError, UnsupportedQueryError } from './plan-errors.ts';
export { evaluationTimes, planQuery } from './plan-query.ts';
export { conditionOf, type RowCondition } from './row-condition.ts';
