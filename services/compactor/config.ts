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
}

export const defaultCompactorConfig: CompactorConfig = {
  intervalMs: 10 * 60_000,
  retentionIntervalMs: 0,
  retentionEnabled: false,
  retentionDeleteDelayMs: 2 * 3_600_000,
  cancelPeriodMs: 24 * 3_600_000,
  maxSegmentBytes: 128 * 1024 * 1024,
};
