import { type Labels, labelsKey } from '../../logql/labels.ts';
import type { LabelFilter, LogSelectorExpr, Stage } from '../../logql/syntax/ast.ts';
import { matchesAll } from './label-filter.ts';
import { type ReferenceRow, WorkingRow } from './row.ts';
import { runStage, type StageContext } from './stages.ts';

export interface ReferenceLogParams {
  /** Rows with `startNs <= ts < endNs`. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly direction: 'forward' | 'backward';
  readonly limit: number;
  /** The least distance of entries; 0 for none. It starts anew in each period of `periodNs` (0: one period). */
  readonly intervalNs: bigint;
  readonly periodNs: bigint;
  /** Among rows of one time, those of the stream with the lower rank come first. */
  readonly rank: (stream: Labels) => number;
}

export interface ReferenceEntry {
  readonly timestampNs: bigint;
  readonly line: string;
  readonly stream: Labels;
  readonly structuredMetadata: Labels;
  readonly parsed: Labels;
}

/** Answers a log query row by row. `rows`: those of a stream in order of arrival. */
export function evaluateLogQuery(
  expr: LogSelectorExpr,
  rows: readonly ReferenceRow[],
  params: ReferenceLogParams,
): ReferenceEntry[] {
  const context: StageContext = { needed: null, expected: expectedLabels(expr.stages) };
  const sign = params.direction === 'backward' ? -1 : 1;
  const entries = withoutRepetitions(rows)
    .map((row, arrival) => ({ row, arrival, rank: params.rank(row.stream) }))
    .filter(({ row }) => row.timestampNs >= params.startNs && row.timestampNs < params.endNs)
    .sort(
      (a, b) =>
        sign * Number(a.row.timestampNs - b.row.timestampNs) || a.rank - b.rank || sign * (a.arrival - b.arrival),
    )
    .flatMap(({ row }) => {
      const worked = runRow(expr, expr.stages, row, context);
      return worked === null
        ? []
        : [{ timestampNs: row.timestampNs, line: worked.line, ...worked.categories() } satisfies ReferenceEntry];
    });
  return params.intervalNs > 0n ? thinned(entries, params) : entries.slice(0, params.limit);
}

/** The row after the stages, null when it is dropped or not of the selected streams. */
export function runRow(
  selector: LogSelectorExpr,
  stages: readonly Stage[],
  row: ReferenceRow,
  context: StageContext,
): WorkingRow | null {
  if (!matchesAll(selector.matchers, row.stream)) return null;
  const work = new WorkingRow(row);
  for (const stage of stages) if (!runStage(stage, work, context)) return null;
  return work;
}

export function expectedLabels(stages: readonly Stage[]): Map<string, LabelFilter> {
  const expected = new Map<string, LabelFilter>();
  for (const stage of stages) {
    if (stage.kind !== 'label_filter' || !('name' in stage.filter)) continue;
    if (!expected.has(stage.filter.name)) expected.set(stage.filter.name, stage.filter);
  }
  return expected;
}

/** Same stream, time, line and metadata: once. */
export function withoutRepetitions(rows: readonly ReferenceRow[]): ReferenceRow[] {
  const seen = new Set<string>();
  return rows.filter((row) => {
    const key = `${labelsKey(row.stream)}|${row.timestampNs}|${labelsKey(row.metadata)}|${row.line}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** Of the first `limit` entries of each period those that are far enough from the one kept before. */
function thinned(entries: readonly ReferenceEntry[], params: ReferenceLogParams): ReferenceEntry[] {
  const { limit, intervalNs, periodNs } = params;
  const periods = Map.groupBy(entries, ({ timestampNs }) => (periodNs > 0n ? timestampNs / periodNs : 0n));
  const kept: ReferenceEntry[] = [];
  for (const members of periods.values()) {
    let last: bigint | null = null;
    for (const entry of members.slice(0, limit)) {
      const distance: bigint | null = last === null ? null : entry.timestampNs - last;
      if (distance !== null && (distance < 0n ? -distance : distance) < intervalNs) continue;
      last = entry.timestampNs;
      kept.push(entry);
    }
  }
  return kept.slice(0, limit);
}
