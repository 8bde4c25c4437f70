export { type MergeRequest, type MergeResult, mergeSegments } from './merge.ts';
export type { WrittenOutput } from './outputs.ts';
export { findOverlaps, type OverlapSearch, type Overlaps } from './overlaps.ts';
export { type CompiledDelete, compileDeletes, type DeleteRule, deletedRows } from './row-deletes.ts';
export { type Expiry, periodOf, type StreamPeriod } from './stream-period.ts';
