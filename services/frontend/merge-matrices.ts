import type { Matrix, Series } from '../../logql/aggregate/index.ts';
import { compareLabels, labelsKey } from '../../logql/labels.ts';

/**
 * The matrix of a query from those of its parts, in order of time: series of equal labels are one, ordered by labels.
 * Null when a part has several series of equal labels (after `label_replace`): which of them go on in the next part only
 * the whole query can tell.
 */
export function mergeMatrices(parts: readonly Matrix[]): Matrix | null {
  if (parts.length === 1) return parts[0]!;
  const steps = parts.reduce((sum, { timesMs }) => sum + timesMs.length, 0);
  const timesMs = new Float64Array(steps);
  const merged = new Map<string, Series>();
  let at = 0;
  for (const part of parts) {
    timesMs.set(part.timesMs, at);
    const seen = new Set<string>();
    for (const { labels, values, present } of part.series) {
      const key = labelsKey(labels);
      if (seen.has(key)) return null;
      seen.add(key);
      let series = merged.get(key);
      if (series === undefined) {
        series = { labels, values: new Float64Array(steps), present: new Uint8Array(steps) };
        merged.set(key, series);
      }
      series.values.set(values, at);
      series.present.set(present, at);
    }
    at += part.timesMs.length;
  }
  return { timesMs, series: [...merged.values()].sort((a, b) => compareLabels(a.labels, b.labels)) };
}

/** The steps `[from, to)`; series without a value there are left out. */
export function sliceMatrix({ timesMs, series }: Matrix, from: number, to: number): Matrix {
  const kept: Series[] = [];
  for (const { labels, values, present } of series) {
    const there = present.subarray(from, to);
    if (there.includes(1)) kept.push({ labels, values: values.subarray(from, to), present: there });
  }
  return { timesMs: timesMs.subarray(from, to), series: kept };
}
