/** `pattern_ingester`, in milliseconds and bytes. */
export interface PatternConfig {
  /** How long samples are kept. */
  readonly retainForMs: number;
  readonly maxChunkAgeMs: number;
  readonly sampleIntervalMs: number;
  /** Of a stream and level. */
  readonly maxClusters: number;
  readonly maxEvictionRatio: number;
  readonly maxLineBytes: number;
  /** Of all streams together; the stream that had no line for longest makes room. */
  readonly maxMemoryBytes: number;
}
