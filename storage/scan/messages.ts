import type { AccumulatorPartial, LogPartial, MetricResult } from '../../logql/aggregate/index.ts';
import type { LogPlan, MetricPlan, RangeScan } from '../../logql/plan/index.ts';
import type { BlockLimits, HeadRows } from '../block/index.ts';
import type { MergeRequest, OverlapSearch } from '../compaction/index.ts';
import type { ObjectStoreConfig } from '../objectstore/index.ts';
import type { ScanStats } from './scan-stats.ts';
import type { TimeBuckets } from './time-buckets.ts';
import type { ScanUnit } from './units.ts';

/** What a worker thread needs to know before its first job. */
export interface WorkerSettings {
  /** Workers read stored blocks themselves. */
  readonly objectStore: ObjectStoreConfig;
}

/** Answers with the blocks of each head (`EncodedBlock[][]`). */
export interface EncodeRequest {
  readonly kind: 'encode';
  readonly heads: readonly HeadRows[];
  readonly limits: BlockLimits;
}

/** Reads units of a log query and answers with the best entries of them (`LogScanResult`). */
export interface ScanLogRequest {
  readonly kind: 'scan_log';
  /** A number of the query's; what the worker compiles for it is kept until `close`. */
  readonly session: number;
  readonly plan: LogPlan;
  /** One shared integer; not 0: the query was given up. */
  readonly cancel: Int32Array;
  /** In the order of the query's direction. */
  readonly units: readonly ScanUnit[];
  /** Entries beyond this time cannot be in the answer any more; null while that is not known. */
  readonly beyondNs: bigint | null;
}

/** Adds units to the worker's accumulators of a metric query. Answers with the figures of the scan. */
export interface ScanMetricRequest {
  readonly kind: 'scan_metric';
  readonly session: number;
  readonly scans: readonly RangeScan[];
  readonly cancel: Int32Array;
  /** More series than this in one scan end the query (SeriesLimitError); 0: no limit. */
  readonly maxSeries: number;
  readonly parts: readonly { readonly scan: number; readonly units: readonly ScanUnit[] }[];
}

/** Answers with what the worker has added up for a session, and forgets the session. */
export interface FinishMetricRequest {
  readonly kind: 'finish_metric';
  readonly session: number;
}

/** Merges partials and evaluates a metric query over them (`MetricResult`): what would hold up the main thread. */
export interface EvaluateMetricRequest {
  readonly kind: 'evaluate_metric';
  readonly plan: MetricPlan;
  /** Of each scan of the plan. Moved to the worker. */
  readonly partials: readonly (readonly AccumulatorPartial[])[];
  /** 0: no limit. */
  readonly maxSeries: number;
}

/** Counts rows and bytes of units in buckets of time (`MeasureResult`). */
export interface MeasureRequest {
  readonly kind: 'measure';
  readonly cancel: Int32Array;
  readonly units: readonly ScanUnit[];
  readonly buckets: TimeBuckets;
}

/** Forgets a session. Has no answer. */
export interface CloseRequest {
  readonly kind: 'close';
  readonly session: number;
}

/** Makes segments of others and stores them (`MergeResult`). Takes long: not for a thread that answers queries. */
export interface CompactRequest {
  readonly kind: 'compact';
  readonly merge: MergeRequest;
}

/** Looks for segments that hold overlapping blocks of one stream (`Overlaps`). For the thread that merges them. */
export interface FindOverlapsRequest {
  readonly kind: 'find_overlaps';
  readonly search: OverlapSearch;
}

/** Loads the code that reads blocks, so that the next request finds it there. Has no result. */
export interface LoadRequest {
  readonly kind: 'load';
}

/** What is asked of blocks. */
export type ReadRequest =
  | CompactRequest
  | FindOverlapsRequest
  | ScanLogRequest
  | ScanMetricRequest
  | FinishMetricRequest
  | EvaluateMetricRequest
  | MeasureRequest;

/** What is answered. */
export type JobRequest = EncodeRequest | LoadRequest | ReadRequest;

export type WorkerRequest = JobRequest | CloseRequest;

export interface LogScanResult {
  /** One a tenant. */
  readonly partials: readonly LogPartial[];
  readonly stats: ScanStats;
}
export interface MetricScanResult {
  readonly stats: ScanStats;
}
export interface MetricFinishResult {
  /** Of the session, done here since this worker came: fewer than were done where it took the place of one that died. */
  readonly jobs: number;
  /** Per scan of the plan one a tenant that the worker has seen units of; empty when it has seen none. */
  readonly partials: readonly (readonly AccumulatorPartial[])[];
}

export interface MetricEvaluationResult {
  readonly result: MetricResult;
}

/** What lies in which bucket: one number in each array. A unit may come more than once for a bucket; they add up. */
export interface MeasureResult {
  /** Places in the request's `units`. */
  readonly units: Uint32Array;
  readonly buckets: Uint32Array;
  readonly rows: Float64Array;
  /** Of lines and metadata, as `BlockStats` counts them. */
  readonly bytes: Float64Array;
  readonly stats: ScanStats;
}

export interface WorkerMessage {
  readonly id: number;
  readonly request: WorkerRequest;
}

export interface WorkerReply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

/** A job failed in its worker. `code` is that of the error thrown there. */
export class ScanError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The query was given up while its scan ran. */
export class ScanCancelledError extends Error {
  readonly code = 'scan_cancelled';
}
