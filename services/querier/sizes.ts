import type { Matcher } from '../../logql/syntax/ast.ts';
import type { Clock } from '../../storage/host/clock.ts';
import { withTenant } from '../../storage/scan/tenant-label.ts';
import type { Bounds } from './params.ts';
import type { Querier, QueryContext } from './querier.ts';
import { limitBounds } from './query-limits.ts';
import { QueryStats } from './stats.ts';
import { aggregateVolumes, type Volume, type VolumeOptions } from './volume.ts';

/** `volume_enabled: false`. */
export class VolumeDisabledError extends Error {
  readonly code = 'volume_disabled';
  constructor() {
    super('not found');
  }
}

export interface IndexStats {
  /** Those that have a row in the time. */
  readonly streams: number;
  /** Their blocks that reach into the time. */
  readonly chunks: number;
  readonly bytes: number;
  readonly entries: number;
}

/** How much there is: exact, where Loki divides a chunk by time. */
export class Sizes {
  readonly #querier: Querier;
  readonly #clock: Clock;

  constructor(options: { querier: Querier; clock: Clock }) {
    this.#querier = options.querier;
    this.#clock = options.clock;
  }

  /** How much a selector would read. Throws what `Querier.measure` throws, and QueryLimitError. */
  async indexStats(asked: Bounds, matchers: readonly Matcher[], context: QueryContext): Promise<IndexStats> {
    const found = { streams: 0, chunks: 0, bytes: 0, entries: 0 };
    const bounds = limitBounds(this.#querier.limitsOf(context.tenants), asked, this.#clock.nowNs());
    if (!bounds) return found;
    for (const { blocks, cells } of await this.#querier.measure(matchers, [bounds], context, new QueryStats())) {
      if (cells.length === 0) continue;
      found.streams++;
      found.chunks += blocks;
      for (const { rows, bytes } of cells) {
        found.entries += rows;
        found.bytes += bytes;
      }
    }
    return found;
  }

  /**
   * Bytes a group of labels and bucket of time (`volume.ts`). Throws what `indexStats` throws, VolumeDisabledError, and
   * VolumeSeriesLimitError.
   */
  async volume(
    buckets: readonly Bounds[],
    matchers: readonly Matcher[],
    options: Pick<VolumeOptions, 'limit' | 'aggregateBy' | 'targetLabels'>,
    context: QueryContext,
    stats: QueryStats,
  ): Promise<Volume[]> {
    const limits = this.#querier.limitsOf(context.tenants);
    if (!limits.volume_enabled) throw new VolumeDisabledError();
    const whole = { startNs: buckets[0]!.startNs, endNs: buckets[buckets.length - 1]!.endNs };
    const bounds = limitBounds(limits, whole, this.#clock.nowNs());
    if (!bounds) return [];
    const within = buckets.map(({ startNs, endNs }) => ({
      startNs: startNs < bounds.startNs ? bounds.startNs : startNs,
      endNs,
    }));
    const streams = await this.#querier.measure(matchers, within, context, stats);
    const named = streams.map((s) => (s.tenant === null ? s : { ...s, labels: withTenant(s.labels, s.tenant) }));
    return aggregateVolumes(named, buckets.length, {
      ...options,
      matcherNames: [...new Set(matchers.map((m) => m.name))],
      maxSeries: limits.volume_max_series,
    });
  }
}
