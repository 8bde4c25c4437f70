import type { Labels } from '../../logql/labels.ts';
import { parseLabelsString } from '../../logql/syntax/index.ts';
import { decodeMetadataSet } from '../../storage/block/metadata-set.ts';
import type { StreamBatch } from '../rpc/push-batch.ts';
import type { PatternConfig } from './config.ts';
import { Drain } from './drain.ts';
import { detectFormat, type LogFormat, tokenizerFor } from './log-format.ts';
import type { SkipReason } from './tokenizer.ts';

export type LineOutcome = 'counted' | 'late' | 'throttled' | SkipReason;
export type LineOutcomes = Partial<Record<LineOutcome, number>>;

const LEVEL_NAME = 'detected_level';
const UNKNOWN_LEVEL = 'unknown';
const LEVELS: ReadonlySet<string> = new Set([
  'critical',
  'fatal',
  'error',
  'warn',
  'info',
  'debug',
  'trace',
  'unknown',
]);
const NS_PER_MS = 1_000_000n;

/** Patterns of one stream, one tree a level. */
export class PatternStream {
  readonly labels: Labels;
  readonly drains = new Map<string, Drain>();
  readonly #config: PatternConfig;
  readonly #jsonFields: readonly string[];
  #format: LogFormat | null = null;
  #newestNs = -(2n ** 63n);

  constructor(labelsText: string, config: PatternConfig, jsonFields: readonly string[]) {
    this.labels = parseLabelsString(labelsText);
    this.#config = config;
    this.#jsonFields = jsonFields;
  }

  get sizeBytes(): number {
    let size = 0;
    for (const drain of this.drains.values()) size += drain.sizeBytes;
    return size;
  }

  /** Looks at every `stride`th row, which then counts for as many. */
  push(batch: StreamBatch, stride: number, nowMs: number, outcomes: LineOutcomes): void {
    const levels = levelsOf(batch);
    const { rowCount, lineLengths, lineBytes, offsetsNs, metaIndexes } = batch;
    let start = 0;
    for (let row = 0; row < rowCount; row++) {
      const end = start + lineLengths[row]!;
      if (row % stride === 0) {
        const weight = Math.min(stride, rowCount - row);
        const level = levels[metaIndexes[row]!]!;
        const timeNs = batch.baseNs + BigInt(offsetsNs[row]!);
        const outcome = this.#line(lineBytes, start, end, timeNs, level, weight, nowMs);
        outcomes[outcome] = (outcomes[outcome] ?? 0) + weight;
      }
      start = end;
    }
  }

  /** True when nothing is left. */
  prune(oldestMs: number): boolean {
    for (const [level, drain] of this.drains) {
      drain.prune(oldestMs);
      if (drain.clusterCount === 0) this.drains.delete(level);
    }
    return this.drains.size === 0;
  }

  #line(
    lines: Buffer,
    start: number,
    end: number,
    timeNs: bigint,
    level: string,
    weight: number,
    nowMs: number,
  ): LineOutcome {
    // Counts are kept in order of time, so a line from before the newest has no place.
    if (timeNs < this.#newestNs) return 'late';
    this.#newestNs = timeNs;
    let drain = this.drains.get(level);
    if (drain === undefined) {
      const { maxLineBytes } = this.#config;
      this.#format ??= detectFormat(lines.toString('utf8', start, end));
      drain = new Drain(this.#config, tokenizerFor(this.#format, this.#jsonFields, maxLineBytes));
      this.drains.set(level, drain);
    }
    return drain.train(lines, start, end, Number(timeNs / NS_PER_MS), weight, nowMs) ?? 'counted';
  }
}

/** The level of rows by index of their metadata; 0 is no metadata. */
function levelsOf({ metaEnds, metaBytes }: StreamBatch): string[] {
  const levels = [UNKNOWN_LEVEL];
  let start = 0;
  for (const end of metaEnds) {
    const found = decodeMetadataSet(metaBytes, start, end).find(([name]) => name === LEVEL_NAME);
    const level = found?.[1].toLowerCase() ?? UNKNOWN_LEVEL;
    levels.push(LEVELS.has(level) ? level : UNKNOWN_LEVEL);
    start = end;
  }
  return levels;
}
