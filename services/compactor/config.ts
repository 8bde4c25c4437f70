/** What the compactor is told by `compactor` of the configuration. */
export interface CompactorConfig {
  readonly intervalMs: number;
  /** How often retention and deletes are looked after; 0: as often as compaction. */
  readonly retentionIntervalMs: number;
  readonly retentionEnabled: boolean;
  /** How long objects stay once others hold their rows or the rows are dropped; longer while a query may read them. */
  readonly retentionDeleteDelayMs: number;
  readonly cancelPeriodMs: number;
  /** Largest segment to be made. */
  readonly maxSegmentBytes: number;
  /**
   * How long after the end of a time all ingesters have stored what they had of it: the age at which they cut a stream's
   * rows, and what they take late.
   */
  readonly settleMs: number;
}

/**
 * `settleMs` for ingesters that cut a stream's rows at an age of `maxChunkAgeMs`: a row may come half of that late, as Loki
 * has it, and an hour is for the flush itself, tried more than once.
 */
export function settleMsOf(maxChunkAgeMs: number): number {
  return 1.5 * maxChunkAgeMs + 3_600_000;
}

export const defaultCompactorConfig: CompactorConfig = {
  intervalMs: 10 * 60_000,
  retentionIntervalMs: 0,
  retentionEnabled: false,
  retentionDeleteDelayMs: 2 * 3_600_000,
  cancelPeriodMs: 24 * 3_600_000,
  maxSegmentBytes: 128 * 1024 * 1024,
  settleMs: settleMsOf(2 * 3_600_000),
};
