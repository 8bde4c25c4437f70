import type { PatternConfig } from '../config.ts';

/** Loki's defaults, with less memory. */
export const patternConfig: PatternConfig = {
  retainForMs: 3 * 3_600_000,
  maxChunkAgeMs: 3_600_000,
  sampleIntervalMs: 10_000,
  maxClusters: 300,
  maxEvictionRatio: 0.25,
  maxLineBytes: 3000,
  maxMemoryBytes: 1024 * 1024,
};
