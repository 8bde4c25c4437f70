import type { Matcher } from '../../logql/syntax/ast.ts';

/** What a querier asks of those who find patterns. `services/patterns` implements it in the process. */
export interface PatternClient {
  patterns(request: PatternRequest, signal?: AbortSignal): Promise<readonly PatternSeries[]>;
}

/** One ingester of many. Several may have found patterns in the same lines, so each tells them by stream. */
export interface StreamPatternClient {
  streamPatterns(request: PatternRequest, signal?: AbortSignal): Promise<readonly StreamPatterns[]>;
}

export interface PatternRequest {
  readonly tenant: string;
  readonly matchers: readonly Matcher[];
  readonly startMs: number;
  /** Exclusive. */
  readonly endMs: number;
  readonly stepMs: number;
}

/** A pattern of lines of one level, over all streams that match. */
export interface PatternSeries {
  readonly pattern: string;
  readonly level: string;
  /** Ascending in time. */
  readonly samples: PatternSamples;
}

export type PatternSamples = readonly (readonly [startMs: number, lines: number])[];

export interface StreamPatterns {
  /** Its labels, as pushes spell them. */
  readonly stream: string;
  readonly series: readonly PatternSeries[];
}

/** Those who find patterns have none to tell for now; what they knew may be lost. */
export class PatternsUnavailableError extends Error {
  readonly code = 'unavailable';
}

/** Adds up the same pattern of the same level. */
export class PatternSum {
  readonly #sums = new Map<string, { pattern: string; level: string; lines: Map<number, number> }>();

  add({ pattern, level, samples }: PatternSeries): void {
    const key = `${level}\0${pattern}`;
    let sum = this.#sums.get(key);
    if (sum === undefined) {
      sum = { pattern, level, lines: new Map() };
      this.#sums.set(key, sum);
    }
    for (const [start, lines] of samples) sum.lines.set(start, (sum.lines.get(start) ?? 0) + lines);
  }

  /** In the order in which they were first added. */
  series(): PatternSeries[] {
    return [...this.#sums.values()].map(({ pattern, level, lines }) => ({
      pattern,
      level,
      samples: [...lines].sort((a, b) => a[0] - b[0]),
    }));
  }
}
