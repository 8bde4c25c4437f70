export { defaultIngesterConfig, type IngesterConfig } from './config.ts';
export type { BlockEncoder } from './cutter.ts';
export { DiscardMetrics } from './discard-metrics.ts';
export type { SegmentSeries, SegmentSink } from './flush.ts';
export { type DiscardReason, Ingester, type IngesterOptions } from './service.ts';
