import type { Labels } from '../../logql/labels.ts';
import type { RangeScan } from '../../logql/plan/index.ts';
import type { Grouping, MetricExpr, RangeAggregation, Stage } from '../../logql/syntax/ast.ts';
import { parseBytes, parseGoDuration, parseGoFloat, UnitError } from '../../logql/units/index.ts';
import { filterLabels, filterNames } from './label-filter.ts';
import { expectedLabels, runRow, withoutRepetitions } from './log-query.ts';
import { evaluateRange, type ReferenceSample, type ReferenceSeries } from './range-reference.ts';
import { type ReferenceRow, sorted, type WorkingRow } from './row.ts';
import { type StageContext, templateOf, UnspecifiedError } from './stages.ts';
import { encodedLength } from './text.ts';
import { aggregate, binary, replaceLabel, type VectorSample } from './vectors.ts';

/** A sample still has an error, and the query does not ask for errors. */
export class ReferencePipelineError extends Error {}

/** The vector (or number) of each evaluation time. */
export function evaluateMetricQuery(
  expr: MetricExpr,
  rows: readonly ReferenceRow[],
  times: RangeScan['times'],
): (readonly VectorSample[] | number)[] {
  const evaluation = new Evaluation(withoutRepetitions(rows), times);
  evaluation.readRanges(expr, null);
  return Array.from({ length: times.count }, (_, step) => evaluation.at(expr, step));
}

const NO_LABELS: Grouping = { without: false, labels: [] };

class Evaluation {
  readonly #rows: readonly ReferenceRow[];
  readonly #times: RangeScan['times'];
  readonly #ranges = new Map<RangeAggregation, readonly ReferenceSeries[]>();

  constructor(rows: readonly ReferenceRow[], times: RangeScan['times']) {
    this.#rows = rows;
    this.#times = times;
  }

  /**
   * Evaluates all range aggregations, at all times: errors in lines end a query before its vectors are matched.
   * `outer`: the grouping of a `sum` around it, whose labels are then all that matter.
   */
  readRanges(expr: MetricExpr, outer: Grouping | null): void {
    switch (expr.kind) {
      case 'range_aggregation':
        this.#ranges.set(expr, this.#range(expr, outer));
        return;
      case 'vector_aggregation': {
        const inner = expr.expr;
        const sums = expr.op === 'sum' && inner.kind === 'range_aggregation' && isSummed(inner);
        this.readRanges(inner, sums ? (expr.grouping ?? NO_LABELS) : null);
        return;
      }
      case 'label_replace':
        this.readRanges(expr.expr, null);
        return;
      case 'binary':
        this.readRanges(expr.left, null);
        this.readRanges(expr.right, null);
    }
  }

  at(expr: MetricExpr, step: number): readonly VectorSample[] | number {
    switch (expr.kind) {
      case 'literal':
        return expr.value;
      case 'vector':
        return [{ labels: [], value: expr.value }];
      case 'range_aggregation':
        return this.#ranges.get(expr)!.flatMap(({ labels, points }) => {
          const value = points[step]!;
          return value === null ? [] : [{ labels, value }];
        });
      case 'vector_aggregation': {
        const grouping = expr.grouping ?? NO_LABELS;
        return aggregate(expr.op, expr.parameter, grouping, asVector(this.at(expr.expr, step)));
      }
      case 'label_replace':
        return replaceLabel(expr, asVector(this.at(expr.expr, step)));
      case 'binary':
        return binary(expr, this.at(expr.left, step), this.at(expr.right, step));
      default:
        throw new UnspecifiedError(expr.kind);
    }
  }

  #range(expr: RangeAggregation, outer: Grouping | null): ReferenceSeries[] {
    const { log, unwrap } = expr.range;
    const grouping = expr.op === 'absent_over_time' ? { without: false, labels: [] } : (outer ?? expr.grouping);
    const stages = usedStages(expr);
    const { context, asksForErrors, runsParsers } = contextOf(expr, stages, grouping);
    const scan = this.#scan(expr);
    const samples: (ReferenceSample & { readonly from: Labels })[] = [];
    for (const stored of this.#rows) {
      if (!this.#isInAWindow(scan, stored.timestampNs)) continue;
      const row = runRow(log, runsParsers ? stages : stages.filter((stage) => !isParser(stage)), stored, context);
      if (row === null) continue;
      const value = sampleOf(expr, row);
      if (value === null) continue;
      if (row.error !== '' && !asksForErrors) throw new ReferencePipelineError(row.error);
      const labels = groupedLabels(row, grouping, unwrap?.label ?? null);
      samples.push({ labels, timestampNs: stored.timestampNs, value, from: stored.stream });
    }
    if (['first_over_time', 'last_over_time', 'rate_counter'].includes(expr.op)) refuseTies(samples);
    return expr.op === 'absent_over_time' ? absent(expr, scan, samples) : evaluateRange(scan, samples);
  }

  #scan(expr: RangeAggregation): RangeScan {
    const { log, unwrap } = expr.range;
    const rangeNs = BigInt(expr.range.rangeNs);
    const offsetNs = BigInt(expr.range.offsetNs);
    return {
      matchers: log.matchers,
      stages: log.stages,
      unwrap,
      op: expr.op,
      parameter: expr.parameter,
      rangeNs,
      offsetNs,
      grouping: { kind: 'all' },
      times: this.#times,
      readAfterNs: 0n,
      readUntilNs: 0n,
    };
  }

  #isInAWindow({ times, rangeNs, offsetNs }: RangeScan, timestampNs: bigint): boolean {
    for (let i = 0; i < times.count; i++) {
      const end = times.firstNs + BigInt(i) * times.stepNs - offsetNs;
      if (timestampNs > end - rangeNs && timestampNs <= end) return true;
    }
    return false;
  }
}

/** Operations whose sum Loki groups early. */
function isSummed({ op, grouping }: RangeAggregation): boolean {
  const early = ['rate', 'count_over_time', 'bytes_rate', 'bytes_over_time', 'sum_over_time'];
  return grouping === null && early.includes(op);
}

function isParser({ kind }: Stage): boolean {
  return ['json', 'logfmt', 'regexp', 'pattern', 'unpack'].includes(kind);
}

/** A formatted line is made only when something reads it. */
function usedStages(expr: RangeAggregation): readonly Stage[] {
  const { stages } = expr.range.log;
  if (expr.op === 'bytes_over_time' || expr.op === 'bytes_rate') return stages;
  return stages.filter(
    (stage, i) =>
      stage.kind !== 'line_format' || stages.slice(i).some((later) => isParser(later) || later.kind === 'line_filter'),
  );
}

/** Which labels a query with a `by` looks at: those of its grouping, filters, templates and unwrap. */
function contextOf(
  expr: RangeAggregation,
  stages: readonly Stage[],
  grouping: Grouping | null,
): { context: StageContext; asksForErrors: boolean; runsParsers: boolean } {
  const expected = expectedLabels(stages);
  if (grouping === null || grouping.without) {
    return { context: { needed: null, expected }, asksForErrors: false, runsParsers: true };
  }
  const { unwrap } = expr.range;
  const names = new Set(grouping.labels);
  let all = false;
  for (const stage of stages) {
    if (stage.kind === 'label_filter') for (const name of filterNames(stage.filter)) names.add(name);
    const templates =
      stage.kind === 'line_format'
        ? [templateOf(stage.template, 'line')]
        : stage.kind === 'label_format'
          ? stage.formats.flatMap((item) => {
              if (item.kind === 'template') return [templateOf(item.template, 'label')];
              names.add(item.from);
              return [];
            })
          : [];
    for (const template of templates) {
      all ||= template.usesAllLabels;
      for (const name of template.labels) names.add(name);
    }
  }
  if (unwrap !== null) {
    names.add(unwrap.label);
    for (const filter of unwrap.postFilters) for (const name of filterNames(filter)) names.add(name);
  }
  const asksForErrors = names.has('__error__');
  for (const name of [...names]) if (name.endsWith('_extracted')) names.add(name.slice(0, -'_extracted'.length));
  const needed = all ? null : names;
  return { context: { needed, expected }, asksForErrors, runsParsers: needed === null || needed.size > 0 };
}

function groupedLabels(row: WorkingRow, grouping: Grouping | null, unwrapped: string | null): Labels {
  if (grouping !== null && !grouping.without) {
    const found = [...new Set(grouping.labels)].flatMap((name): [string, string][] => {
      const value = row.getVisible(name);
      return value === undefined ? [] : [[name, value]];
    });
    return sorted(found);
  }
  return row.labels().filter(([name]) => name !== unwrapped && !grouping?.labels.includes(name));
}

/** The row's sample, null when it has none. */
function sampleOf(expr: RangeAggregation, row: WorkingRow): number | null {
  const { unwrap } = expr.range;
  if (unwrap === null) {
    return expr.op === 'bytes_over_time' || expr.op === 'bytes_rate' ? encodedLength(row.line) : 1;
  }
  const text = row.get(unwrap.label);
  if (text === undefined || text === '') return null;
  let value = 0;
  try {
    if (unwrap.conversion === null) value = parseGoFloat(text);
    else if (unwrap.conversion === 'bytes') value = parseBytes(text);
    else value = parseGoDuration(text) / 1e9;
  } catch (error: unknown) {
    if (!(error instanceof UnitError)) throw error;
    row.fail('SampleExtractionErr', error.message);
  }
  return unwrap.postFilters.every((filter) => filterLabels(filter, row)) ? value : null;
}

/** Which of two samples of one time comes first is defined within a stream only. */
function refuseTies(samples: readonly (ReferenceSample & { readonly from: Labels })[]): void {
  const streams = new Map<string, Labels>();
  for (const { labels, timestampNs, from } of samples) {
    const key = `${timestampNs} ${JSON.stringify(labels)}`;
    const other = streams.get(key);
    if (other !== undefined && other !== from) throw new UnspecifiedError('samples of two streams at one time');
    streams.set(key, from);
  }
}

function absent(expr: RangeAggregation, scan: RangeScan, samples: readonly ReferenceSample[]): ReferenceSeries[] {
  const names = expr.range.log.matchers.map(({ name }) => name);
  const labels = expr.range.log.matchers
    .filter(({ op, name, value }) => op === '=' && value !== '' && names.filter((other) => other === name).length === 1)
    .map(({ name, value }) => [name, value] as const);
  const counted = evaluateRange(
    { ...scan, op: 'count_over_time' },
    samples.map((sample) => ({ ...sample, labels: [] })),
  );
  const points = Array.from({ length: scan.times.count }, (_, i) =>
    (counted[0]?.points[i] ?? null) === null ? 1 : null,
  );
  return [{ labels: sorted(labels), points }];
}

function asVector(value: readonly VectorSample[] | number): readonly VectorSample[] {
  return typeof value === 'number' ? [{ labels: [], value }] : value;
}
