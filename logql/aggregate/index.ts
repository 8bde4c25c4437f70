export { MatchingError, PipelineError, QueryTooLargeError, SeriesLimitError } from './errors.ts';
export { evaluatePartials, evaluatePlan } from './evaluate.ts';
export { LogCollector } from './log-collector.ts';
export { type LogPartial, logTransferables } from './log-entries.ts';
export { groupStreams, LogMerger, type LogResult, type LogStream } from './log-merger.ts';
export type { Matrix, Series } from './matrix.ts';
export type { MetricResult } from './metric-result.ts';
export { setCount } from './packed-labels.ts';
export {
  type AccumulatorBounds,
  type AccumulatorPartial,
  defaultBounds,
  RangeAccumulator,
  transferablesOf,
} from './range-accumulator.ts';
export { mergePartials, RangeMerger } from './range-merger.ts';
