import { compareLabels, type Labels, labelsKey } from '../../logql/labels.ts';
import type { RangeScan } from '../../logql/plan/index.ts';

/** A row as a range aggregation sees it. */
export interface ReferenceSample {
  readonly labels: Labels;
  readonly timestampNs: bigint;
  readonly value: number;
}

export interface ReferenceSeries {
  readonly labels: Labels;
  /** Per evaluation time; null where there is no point. */
  readonly points: readonly (number | null)[];
}

/**
 * Range aggregation straight from the language's description: for every series and every evaluation time, look at all
 * samples. Slow, without buckets or merging; the judge of the real thing. Samples of one time count in order of the
 * array. Does not know absent_over_time.
 */
export function evaluateRange(scan: RangeScan, samples: readonly ReferenceSample[]): ReferenceSeries[] {
  const bySeries = new Map<string, ReferenceSample[]>();
  for (const sample of samples) {
    const key = labelsKey(sample.labels);
    bySeries.set(key, [...(bySeries.get(key) ?? []), sample]);
  }
  const result: ReferenceSeries[] = [];
  for (const members of bySeries.values()) {
    const sorted = members.toSorted((a, b) => Number(a.timestampNs - b.timestampNs));
    const points: (number | null)[] = [];
    for (let i = 0; i < scan.times.count; i++) {
      const end = scan.times.firstNs + BigInt(i) * scan.times.stepNs - scan.offsetNs;
      const window = sorted.filter((s) => s.timestampNs > end - scan.rangeNs && s.timestampNs <= end);
      points.push(window.length === 0 ? null : evaluateWindow(scan, window));
    }
    if (points.some((point) => point !== null)) result.push({ labels: members[0]!.labels, points });
  }
  return result.sort((a, b) => compareLabels(a.labels, b.labels));
}

function evaluateWindow(scan: RangeScan, window: readonly ReferenceSample[]): number {
  const values = window.map((sample) => sample.value);
  const seconds = Number(scan.rangeNs) / 1e9;
  const total = values.reduce((sum, value) => sum + value, 0);
  switch (scan.op) {
    case 'count_over_time':
      return values.length;
    case 'rate':
      return (scan.unwrap === null ? values.length : total) / seconds;
    case 'bytes_rate':
      return total / seconds;
    case 'bytes_over_time':
    case 'sum_over_time':
      return total;
    case 'avg_over_time':
      return mean(values);
    case 'min_over_time':
      return values.reduce((best, value) => (value < best || Number.isNaN(best) ? value : best));
    case 'max_over_time':
      return values.reduce((best, value) => (value > best || Number.isNaN(best) ? value : best));
    case 'first_over_time':
      return values[0]!;
    case 'last_over_time':
      return values.at(-1)!;
    case 'stdvar_over_time':
      return variance(values);
    case 'stddev_over_time':
      return Math.sqrt(variance(values));
    case 'quantile_over_time':
      return quantile(scan.parameter!, values);
    case 'rate_counter':
      return counterRate(window, seconds);
    default:
      throw new TypeError(`the reference does not know ${scan.op}`);
  }
}

function mean(values: readonly number[]): number {
  let result = 0;
  values.forEach((value, i) => {
    if (!Number.isFinite(result) && !Number.isNaN(result) && (Number.isFinite(value) || value === result)) return;
    result += value / (i + 1) - result / (i + 1);
  });
  return result;
}

function variance(values: readonly number[]): number {
  const middle = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / values.length;
}

function quantile(q: number, values: readonly number[]): number {
  if (q > 1) return Infinity;
  const sorted = values.toSorted((a, b) => (Number.isNaN(a) ? -1 : Number.isNaN(b) ? 1 : a - b));
  const rank = q * (sorted.length - 1);
  const lower = Math.floor(rank);
  const upper = Math.min(lower + 1, sorted.length - 1);
  return sorted[lower]! * (1 - (rank - lower)) + sorted[upper]! * (rank - lower);
}

function counterRate(window: readonly ReferenceSample[], seconds: number): number {
  const n = window.length;
  if (n < 2) return 0;
  const v = window.map((sample) => sample.value);
  let increase = v[n - 1]! - v[0]!;
  for (let i = 1; i < n; i++) if (v[i]! < v[i - 1]!) increase += v[i - 1]!;
  const micros = Number((window[n - 1]!.timestampNs - window[0]!.timestampNs) / 1000n);
  let distance = seconds;
  if (increase > 0 && v[0]! >= 0) distance = Math.min(distance, (micros * v[0]!) / increase);
  if (distance >= (1.1 * micros) / (n - 1)) distance = micros / (n - 1) / 2;
  return (increase * (micros + distance)) / micros / seconds;
}
