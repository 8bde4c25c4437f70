import { compareLabels, type Labels, labelsKey } from '../../logql/labels.ts';
import type { Bounds } from './params.ts';
import type { StreamSize } from './stream-sizes.ts';

export type AggregateBy = 'series' | 'labels';

export interface VolumeOptions {
  readonly aggregateBy: AggregateBy;
  /** Labels to group by; null for those of `matcherNames`, or the whole label set when there are none. */
  readonly targetLabels: readonly string[] | null;
  readonly matcherNames: readonly string[];
  readonly limit: number;
  readonly maxSeries: number;
}

/** One group with its bytes in each bucket of time. */
export interface Volume {
  readonly metric: Labels;
  readonly bytes: readonly number[];
}

/** More groups than `volume_max_series`. */
export class VolumeSeriesLimitError extends Error {
  readonly code = 'volume_series_limit';
  constructor(limit: number) {
    super(`the query hit the max number of series limit (limit: ${limit} series)`);
  }
}

/** The parts of a range that `volume_range` reports, ends inclusive: cut at multiples of the step since 1970. */
export function volumeBuckets(bounds: Bounds, stepNs: bigint): Bounds[] {
  const { startNs, endNs } = bounds;
  const buckets: Bounds[] = [];
  let from = startNs;
  let next = startNs - (((startNs % stepNs) + stepNs) % stepNs) + stepNs;
  while (next < endNs) {
    buckets.push({ startNs: from, endNs: next - 1n });
    from = next;
    next += stepNs;
  }
  buckets.push({ startNs: from, endNs });
  return buckets;
}

/** Bytes of lines and metadata a group and bucket, the largest groups of the first bucket first. */
export function aggregateVolumes(
  streams: readonly StreamSize[],
  bucketCount: number,
  options: VolumeOptions,
): Volume[] {
  const groups = new Map<string, { metric: Labels; bytes: number[] }>();
  for (const stream of streams) {
    if (stream.cells.every(({ bytes }) => bytes === 0)) continue;
    for (const metric of metricsOf(stream.labels, options)) {
      const key = labelsKey(metric);
      let group = groups.get(key);
      if (!group) {
        if (groups.size >= options.maxSeries) throw new VolumeSeriesLimitError(options.maxSeries);
        group = { metric, bytes: new Array<number>(bucketCount).fill(0) };
        groups.set(key, group);
      }
      for (const { bucket, bytes } of stream.cells) group.bytes[bucket]! += bytes;
    }
  }
  const first = (v: Volume) => v.bytes.find((b) => b > 0) ?? 0;
  return [...groups.values()]
    .sort((a, b) => first(b) - first(a) || compareLabels(a.metric, b.metric))
    .slice(0, options.limit);
}

function metricsOf(labels: Labels, options: VolumeOptions): Labels[] {
  const { targetLabels, matcherNames } = options;
  if (options.aggregateBy === 'labels') {
    const wanted = targetLabels === null ? null : new Set(targetLabels);
    return labels.filter(([name]) => wanted === null || wanted.has(name)).map(([name]) => [[name, '']]);
  }
  const names = targetLabels ?? matcherNames;
  if (names.length === 0) return [labels];
  const wanted = new Set(names);
  const metric = labels.filter(([name]) => wanted.has(name));
  return metric.length === 0 ? [] : [metric];
}
