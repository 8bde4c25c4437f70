import { compareLabels } from '../labels.ts';
import type { MetricPlan } from '../plan/plan.ts';
import { SeriesLimitError } from './errors.ts';
import { isEmpty, joinEqual, type Matrix, type Series } from './matrix.ts';

/** What a metric query answers. Instant queries give a scalar or a vector, range queries a matrix. */
export type MetricResult =
  | { readonly kind: 'scalar'; readonly timeMs: number; readonly value: number }
  | { readonly kind: 'vector'; readonly matrix: Matrix }
  | { readonly kind: 'matrix'; readonly matrix: Matrix };

/** Orders the series, by labels unless the query sorts a vector itself, and applies the limit on their number. */
export function metricResult(
  plan: MetricPlan,
  value: Matrix | number,
  timesMs: Float64Array,
  maxSeries: number,
): MetricResult {
  if (typeof value === 'number') {
    if (plan.instant) return { kind: 'scalar', timeMs: timesMs[0]!, value };
    const values = new Float64Array(timesMs.length).fill(value);
    const present = new Uint8Array(timesMs.length).fill(1);
    return { kind: 'matrix', matrix: { timesMs, series: [{ labels: [], values, present }] } };
  }
  let series: readonly Series[] = value.series.filter((one) => !isEmpty(one));
  if (!plan.instant) series = joinEqual(series);
  if (!(plan.instant && plan.sorted)) series = [...series].sort((a, b) => compareLabels(a.labels, b.labels));
  if (maxSeries > 0 && series.length > maxSeries) throw new SeriesLimitError(maxSeries);
  return { kind: plan.instant ? 'vector' : 'matrix', matrix: { timesMs, series } };
}
