import { compareLabels, type Labels, labelsKey } from '../../logql/labels.ts';
import type { Bounds } from './params.ts';
import type { SelectedStream } from './select.ts';

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

const SPLIT_GAP_NS = 1_000_000n;

/** The parts of a range that `volume_range` reports, ends inclusive: cut at multiples of the step since 1970. */
export function volumeBuckets(bounds: Bounds, stepNs: bigint): Bounds[] {
  const { startNs, endNs } = bounds;
  const buckets: Bounds[] = [];
  let from = startNs;
  let next = startNs - (((startNs % stepNs) + stepNs) % stepNs) + stepNs;
  while (next < endNs) {
    buckets.push({ startNs: from, endNs: next - SPLIT_GAP_NS });
    from = next;
    next += stepNs;
  }
  buckets.push({ startNs: from, endNs });
  return buckets;
}

/**
 * Bytes of lines and metadata a group and bucket, the largest groups of the first bucket first. A block that reaches
 * over the end of a bucket counts by the share of its time that lies inside, as Loki counts a chunk.
 */
export function aggregateVolumes(
  streams: readonly SelectedStream[],
  buckets: readonly Bounds[],
  options: VolumeOptions,
): Volume[] {
  const groups = new Map<string, { metric: Labels; bytes: number[] }>();
  for (const stream of streams) {
    const bytes = buckets.map((bucket) => streamBytes(stream, bucket));
    if (bytes.every((b) => b === 0)) continue;
    for (const metric of metricsOf(stream.labels, options)) {
      const key = labelsKey(metric);
      let group = groups.get(key);
      if (!group) {
        if (groups.size >= options.maxSeries) throw new VolumeSeriesLimitError(options.maxSeries);
        group = { metric, bytes: buckets.map(() => 0) };
        groups.set(key, group);
      }
      for (let i = 0; i < bytes.length; i++) group.bytes[i]! += bytes[i]!;
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

function streamBytes(stream: SelectedStream, bucket: Bounds): number {
  let total = 0;
  for (const block of stream.blocks) {
    if (block.minNs > bucket.endNs || block.maxNs < bucket.startNs) continue;
    const bytes = block.lineBytes + block.metadataBytes;
    const from = block.minNs < bucket.startNs ? bucket.startNs : block.minNs;
    const until = block.maxNs > bucket.endNs ? bucket.endNs : block.maxNs;
    const share = block.maxNs === block.minNs ? 1 : Number(until - from) / Number(block.maxNs - block.minNs);
    total += Math.round(bytes * share);
  }
  return total;
}
