/** A compactor over a store, with a clock that tests move and merges in this thread. */
import { Registry } from 'prom-client';
import { sortLabels } from '../../../logql/labels.ts';
import { encodeBlocks, openBlock } from '../../../storage/block/index.ts';
import { headOf, type TestRow } from '../../../storage/block/testing/heads.ts';
import { findOverlaps, mergeSegments } from '../../../storage/compaction/index.ts';
import type { Clock } from '../../../storage/host/clock.ts';
import { silentLogger } from '../../../storage/host/logger.ts';
import { SegmentCatalog } from '../../../storage/index/index.ts';
import type { ObjectStore } from '../../../storage/objectstore/index.ts';
import { writeSegment } from '../../../storage/segment/index.ts';
import { defaultLimits, type Limits } from '../../config/limits.ts';
import type { IngesterClient } from '../../rpc/ingester.ts';
import { type CompactorConfig, defaultCompactorConfig } from '../config.ts';
import { DeleteRequests } from '../delete-requests.ts';
import { Compactor, type SegmentMerger } from '../service.ts';

export const HOUR_MS = 3_600_000;
export const NOON_MS = Date.UTC(2026, 2, 1, 12);

export class TestClock implements Clock {
  ms: number;
  constructor(ms = NOON_MS) {
    this.ms = ms;
  }
  nowMs(): number {
    return this.ms;
  }
  nowNs(): bigint {
    return BigInt(this.ms) * 1_000_000n;
  }
  sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  }
}

export interface SetupOptions {
  readonly config?: Partial<CompactorConfig>;
  readonly limits?: Partial<Limits>;
  readonly ingesters?: readonly IngesterClient[] | (() => readonly IngesterClient[]);
  /** Absent: merges in this thread. */
  readonly merger?: SegmentMerger;
  readonly isLeader?: () => boolean;
}

export interface Setup {
  readonly catalog: SegmentCatalog;
  readonly requests: DeleteRequests;
  readonly compactor: Compactor;
  readonly registry: Registry;
}

/** What a process has over `store` once it has started. */
export async function startOver(store: ObjectStore, clock: Clock, options: SetupOptions = {}): Promise<Setup> {
  const catalog = new SegmentCatalog(store, silentLogger);
  await catalog.load();
  const limits = { for: (): Limits => ({ ...defaultLimits, ...options.limits }) };
  const requests = new DeleteRequests({ store, keyPrefix: 'index/', limits, clock, logger: silentLogger });
  const registry = new Registry();
  const { ingesters = [] } = options;
  const compactor = new Compactor({
    config: { ...defaultCompactorConfig, ...options.config },
    store,
    catalog,
    merger: options.merger ?? {
      merge: (request, signal) => mergeSegments(store, request, signal),
      findOverlaps: (search, signal) => findOverlaps(store, search, signal),
      release: async () => {},
    },
    ingesters: typeof ingesters === 'function' ? ingesters : () => ingesters,
    isLeader: options.isLeader ?? (() => true),
    limits,
    requests,
    clock,
    logger: silentLogger,
    registry,
  });
  await compactor.load();
  return { catalog, requests, compactor, registry };
}

export type TestStream = readonly [labels: Record<string, string>, rows: readonly TestRow[]];

/** Stores rows as an ingester's flush does; the streams' rows are in order of arrival. */
export async function flush(store: ObjectStore, clock: Clock, streams: readonly TestStream[], tenant = 'team-a') {
  const series = streams.map(([labels, rows]) => ({
    labels: sortLabels(Object.entries(labels)),
    blocks: encodeBlocks(headOf(rows)),
  }));
  const { key, pieces } = writeSegment(tenant, series, clock);
  await store.put(key, pieces);
  return key;
}

/** Every row that queries find, one text each, sorted: repetitions in overlapping blocks stand as often as they lie there. */
export async function rowsIn(catalog: SegmentCatalog, store: ObjectStore, tenant = 'team-a'): Promise<string[]> {
  const ever = { tenant, matchers: [], startNs: -(2n ** 63n), endNs: 2n ** 63n - 1n };
  const texts: string[] = [];
  for (const { labels, blocks } of await catalog.select(ever)) {
    for (const { segmentKey, offset, length } of blocks) {
      const columns = openBlock(await store.get(segmentKey, { offset, length })).columns({
        lines: true,
        metadata: null,
      });
      for (let row = 0; row < columns.rowCount; row++) {
        const line = columns.bytes!.toString('utf8', columns.lineStarts[row], columns.lineStarts[row + 1]);
        const metadata = columns.metadata
          .filter(({ indexes }) => indexes[row] !== 0)
          .map(({ name, values, indexes }) => [name, values[indexes[row]!]]);
        texts.push(JSON.stringify([labels, String(columns.baseNs + BigInt(columns.offsetsNs[row]!)), line, metadata]));
      }
    }
  }
  return texts.sort();
}
