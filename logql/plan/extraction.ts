import type { RangeScan } from './plan.ts';

/** What a scan takes from a row beyond its time and labels. */
export interface ExtractionHints {
  /** The sample of a row: `one` needs nothing, `bytes` the line's length after the stages, `unwrap` a label's value. */
  readonly sample: 'one' | 'bytes' | 'unwrap';
  /**
   * The scan has no stage and no unwrap: every row counts as it is stored, so that rows of one label set may be added
   * at once (`addCounts`, `addBytes`).
   */
  readonly bare: boolean;
  /** No label at all tells series apart: the whole scan is one group. */
  readonly single: boolean;
}

export function extractionHints(scan: RangeScan): ExtractionHints {
  const bytes = scan.op === 'bytes_over_time' || scan.op === 'bytes_rate';
  return {
    sample: scan.unwrap !== null ? 'unwrap' : bytes ? 'bytes' : 'one',
    bare: scan.stages.length === 0 && scan.unwrap === null,
    single: scan.grouping.kind === 'by' && scan.grouping.labels.length === 0,
  };
}
