import type { GroupingMode } from '../stages/types.ts';
import type { BinaryOp, Grouping, Matcher, RangeOp, Stage, Unwrap, VectorMatching, VectorOp } from '../syntax/ast.ts';

/**
 * What a query asks of the store and how its answer is put together. Plans are plain data: they go to worker threads
 * by structured clone. Workers look at `LogPlan` or at one `RangeScan`, the main thread at `MetricPlan.root`.
 */
export type QueryPlan = LogPlan | MetricPlan;

export type Direction = 'forward' | 'backward';

export interface PlanParams {
  readonly startNs: bigint;
  /** Log queries read `[startNs, endNs)`; metric queries are evaluated up to and including `endNs`. */
  readonly endNs: bigint;
  /** Of a range query; ignored when `instant`. */
  readonly stepNs: bigint;
  /** The least distance between entries of a log query; 0 keeps all. */
  readonly intervalNs: bigint;
  readonly limit: number;
  readonly direction: Direction;
  /** Evaluated at `endNs` alone. */
  readonly instant: boolean;
  /** `split_instant_metric_queries_by_interval`, of which long instant queries show traces; 0 for never. */
  readonly instantSplitNs?: bigint;
  /** `split_queries_by_interval`, which bounds `limit` and `interval` of log queries with an interval; 0 for never. */
  readonly logSplitNs?: bigint;
  /** `split_queries_by_interval` for metric range queries; 0 for never. */
  readonly rangeSplitNs?: bigint;
}

export interface LogPlan {
  readonly kind: 'log';
  readonly matchers: readonly Matcher[];
  readonly stages: readonly Stage[];
  /** Entries with `startNs <= ts < endNs`. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly direction: Direction;
  readonly limit: number;
  /**
   * Positive: in each period of `periodNs` since 1970 (0: one period), of the first `limit` entries those that are at
   * least this far from the one kept before. 0 keeps all entries up to `limit`.
   */
  readonly intervalNs: bigint;
  readonly periodNs: bigint;
}

export interface MetricPlan {
  readonly kind: 'metric';
  readonly root: EvalNode;
  /** The leaves, each distinct one once; `EvalNode.scan` is an index into it. */
  readonly scans: readonly RangeScan[];
  readonly times: EvaluationTimes;
  readonly instant: boolean;
  /** Whether the query orders its result itself (`sort`, `sort_desc`) instead of by labels. */
  readonly sorted: boolean;
}

/** `firstNs + i * stepNs` for `0 <= i < count`. */
export interface EvaluationTimes {
  readonly firstNs: bigint;
  /** Positive, also when `count` is 1. */
  readonly stepNs: bigint;
  readonly count: number;
}

/**
 * One range aggregation over the store. The sample at time ts belongs to the point at time t when
 * `t - offsetNs - rangeNs < ts <= t - offsetNs`.
 */
export interface RangeScan {
  readonly matchers: readonly Matcher[];
  readonly stages: readonly Stage[];
  readonly unwrap: Unwrap | null;
  readonly op: RangeOp;
  /** q of quantile_over_time. */
  readonly parameter: number | null;
  readonly rangeNs: bigint;
  readonly offsetNs: bigint;
  /** The labels that tell series apart, with the grouping of an enclosing `sum` where that cannot change the answer. */
  readonly grouping: GroupingMode;
  readonly times: EvaluationTimes;
  /** `split_queries_by_interval` of a range query, of which federated reads show traces; absent for instant queries. */
  readonly splitNs?: bigint;
  /** All rows that can matter have `readAfterNs < ts <= readUntilNs`. */
  readonly readAfterNs: bigint;
  readonly readUntilNs: bigint;
}

export type EvalNode =
  | { readonly kind: 'range'; readonly scan: number }
  /** All series of all inputs, equal ones side by side. */
  | { readonly kind: 'concat'; readonly inputs: readonly EvalNode[] }
  | {
      readonly kind: 'vector_aggregation';
      readonly op: VectorOp;
      readonly parameter: number | null;
      readonly grouping: Grouping;
      readonly input: EvalNode;
    }
  | {
      readonly kind: 'binary';
      readonly op: BinaryOp;
      readonly bool: boolean;
      readonly matching: VectorMatching;
      readonly left: EvalNode;
      readonly right: EvalNode;
    }
  | { readonly kind: 'literal'; readonly value: number }
  | { readonly kind: 'vector'; readonly value: number }
  | {
      readonly kind: 'label_replace';
      readonly dst: string;
      readonly replacement: string;
      readonly src: string;
      readonly regex: string;
      readonly input: EvalNode;
    };
