import type { Labels } from '../../logql/labels.ts';
import { compileMatchers } from '../../logql/stages/index.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';

/** How long streams that match are kept. */
export interface StreamPeriod {
  readonly matchers: readonly Matcher[];
  readonly priority: number;
  readonly periodNs: bigint;
}

/** What a tenant keeps, as of a moment. */
export interface Expiry {
  readonly nowNs: bigint;
  /** Streams that no rule is about; 0: for ever. */
  readonly periodNs: bigint;
  readonly streams: readonly StreamPeriod[];
}

/**
 * The period of a stream, 0 for ever: that of the matching rule of the highest priority, of equal ones the shortest, else
 * the tenant's own.
 */
export function periodOf({ periodNs, streams }: Expiry): (labels: Labels) => bigint {
  const rules = streams.map((rule) => ({ ...rule, matches: compileMatchers(rule.matchers) }));
  rules.sort((a, b) => b.priority - a.priority || Number(a.periodNs - b.periodNs));
  return (labels) => rules.find(({ matches }) => matches(labels))?.periodNs ?? periodNs;
}
