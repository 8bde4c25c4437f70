import type { Expr, LogSelectorExpr, Matcher, MetricExpr } from '../../logql/syntax/ast.ts';
import { formatGoDuration } from '../../logql/units/go-duration.ts';
import { formatPrometheusDuration } from '../../logql/units/prometheus-duration.ts';
import type { Limits } from '../config/limits.ts';
import type { Bounds } from './params.ts';

/** A request beyond what its tenant may ask for: 400 with Loki's text. */
export class QueryLimitError extends Error {
  readonly code = 'query_limit';
}

const NS_PER_MS = 1_000_000;
const MS = 1_000_000n;

/** The limits of a read of several tenants: of each, the one that allows least. 0 means no limit. */
export function strictest(all: readonly Limits[]): Limits {
  const first = all[0]!;
  if (all.length === 1) return first;
  const least = (pick: (limits: Limits) => number) => {
    const values = all.map(pick).filter((value) => value > 0);
    return values.length === 0 ? 0 : Math.min(...values);
  };
  return {
    ...first,
    max_entries_limit_per_query: least((l) => l.max_entries_limit_per_query),
    max_query_length: least((l) => l.max_query_length),
    max_query_lookback: least((l) => l.max_query_lookback),
    max_query_range: least((l) => l.max_query_range),
    max_query_series: least((l) => l.max_query_series),
    query_timeout: least((l) => l.query_timeout),
    volume_max_series: least((l) => l.volume_max_series),
    volume_enabled: all.every((l) => l.volume_enabled),
    max_query_bytes_read: least((l) => l.max_query_bytes_read),
    max_querier_bytes_read: least((l) => l.max_querier_bytes_read),
    max_streams_matchers_per_query: least((l) => l.max_streams_matchers_per_query),
    required_labels: [...new Set(all.flatMap((l) => l.required_labels))],
    minimum_labels_number: Math.max(...all.map((l) => l.minimum_labels_number)),
    blocked_queries: all.flatMap((l) => l.blocked_queries),
  };
}

export function checkEntriesLimit(limits: Limits, limit: number): void {
  const max = limits.max_entries_limit_per_query;
  if (max > 0 && limit > max) {
    throw new QueryLimitError(
      `max entries limit per query exceeded, limit > max_entries_limit_per_query (${limit} > ${max})`,
    );
  }
}

/**
 * Moves the start forward to `max_query_lookback` and checks the length. Null: the whole range is too old, the answer is
 * empty.
 */
export function limitBounds(limits: Limits, bounds: Bounds, nowNs: bigint): Bounds | null {
  let { startNs } = bounds;
  const { endNs } = bounds;
  if (limits.max_query_lookback > 0) {
    const oldest = nowNs - BigInt(Math.round(limits.max_query_lookback * NS_PER_MS));
    if (endNs < oldest) return null;
    if (startNs < oldest) startNs = oldest;
  }
  if (limits.max_query_length > 0) {
    // Loki's frontend knows times in whole milliseconds.
    const length = (endNs / MS - startNs / MS) * MS;
    if (length > BigInt(Math.round(limits.max_query_length * NS_PER_MS))) {
      throw new QueryLimitError(
        `the query time range exceeds the limit (query length: ${formatGoDuration(length)}, ` +
          `limit: ${formatPrometheusDuration(limits.max_query_length * NS_PER_MS)})`,
      );
    }
  }
  return { startNs, endNs };
}

/**
 * Checks of the query itself: `max_query_range`, `required_labels`, `minimum_labels_number`,
 * `max_streams_matchers_per_query`.
 */
export function checkExpression(limits: Limits, expr: Expr): void {
  const selectors: LogSelectorExpr[] = [];
  const ranges: number[] = [];
  collect(expr, selectors, ranges);
  if (limits.max_query_range > 0) {
    const maxNs = limits.max_query_range * NS_PER_MS;
    for (const rangeNs of ranges) {
      if (rangeNs > maxNs) {
        const [asked, allowed] = [formatPrometheusDuration(rangeNs), formatPrometheusDuration(maxNs)];
        throw new QueryLimitError(`[interval] value exceeds limit: [${asked}] > [${allowed}]`);
      }
    }
  }
  for (const selector of selectors) checkMatchers(limits, selector.matchers);
}

function checkMatchers(limits: Limits, matchers: readonly Matcher[]): void {
  const present = matchers.map((m) => m.name);
  const missing = limits.required_labels.filter((name) => !present.includes(name));
  if (missing.length > 0) {
    throw new QueryLimitError(
      `stream selector is missing required matchers [${missing.join(', ')}], ` +
        `labels present in the query were [${present.join(', ')}]`,
    );
  }
  if (limits.minimum_labels_number > 0 && present.length < limits.minimum_labels_number) {
    throw new QueryLimitError(
      `stream selector has less label matchers than required: (present: [${present.join(', ')}], ` +
        `number_present: ${present.length}, required_number_label_matchers: ${limits.minimum_labels_number})`,
    );
  }
  const max = limits.max_streams_matchers_per_query;
  if (max > 0 && matchers.length > max) {
    throw new QueryLimitError(
      `max streams matchers per query exceeded, matchers-count > limit (${matchers.length} > ${max})`,
    );
  }
}

function collect(expr: Expr | MetricExpr, selectors: LogSelectorExpr[], ranges: number[]): void {
  switch (expr.kind) {
    case 'log':
      selectors.push(expr);
      return;
    case 'range_aggregation':
      selectors.push(expr.range.log);
      ranges.push(expr.range.rangeNs);
      return;
    case 'vector_aggregation':
    case 'label_replace':
      collect(expr.expr, selectors, ranges);
      return;
    case 'binary':
      collect(expr.left, selectors, ranges);
      collect(expr.right, selectors, ranges);
      return;
    case 'variants':
      for (const variant of expr.variants) collect(variant, selectors, ranges);
      return;
    case 'literal':
    case 'vector':
      return;
    default:
      expr satisfies never;
  }
}

/** All stream selectors of a query. */
export function selectorsOf(expr: Expr): LogSelectorExpr[] {
  const selectors: LogSelectorExpr[] = [];
  collect(expr, selectors, []);
  return selectors;
}
