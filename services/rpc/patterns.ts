import type { Matcher } from '../../logql/syntax/ast.ts';

/** What a querier asks of those who find patterns. `services/patterns` implements it in the process. */
export interface PatternClient {
  patterns(request: PatternRequest): Promise<readonly PatternSeries[]>;
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
  readonly samples: readonly (readonly [startMs: number, lines: number])[];
}
