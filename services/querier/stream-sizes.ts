import { setImmediate } from 'node:timers/promises';
import type { Labels } from '../../logql/labels.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import { firstBucketUntil, type TimeBuckets, timeBuckets } from '../../storage/scan/time-buckets.ts';
import { groupOverlapping, type ScanUnit } from '../../storage/scan/units.ts';
import type { Tenants } from '../http/types.ts';
import type { Bounds } from './params.ts';
import type { ScanSession } from './scan-session.ts';
import { type Sources, selectStreams } from './select.ts';
import type { QueryStats } from './stats.ts';

/** Units that are looked at before others get a turn of the main thread. */
const UNITS_A_TURN = 5000;

export interface SizeCell {
  readonly bucket: number;
  /** At least 1. */
  readonly rows: number;
  /** Of lines and structured metadata, `detected_level` left out. */
  readonly bytes: number;
}

/** What a stream has in each bucket of time. */
export interface StreamSize {
  readonly labels: Labels;
  /** Set in a federated read. */
  readonly tenant: string | null;
  /** Blocks that reach into the time from the first bucket to the last. */
  readonly blocks: number;
  /** In any order, and several of one bucket; they add up. */
  readonly cells: readonly SizeCell[];
}

export interface SizeSelection {
  readonly tenants: Tenants;
  readonly matchers: readonly Matcher[];
  /** Ascending and apart, ends inclusive. */
  readonly buckets: readonly Bounds[];
}

/**
 * Rows and bytes of streams in buckets of time, exactly. A block that lies in one bucket alone is known from the
 * index; workers read what is cut by the end of a bucket, overlaps, has deleted rows, or is not yet a block.
 */
export async function measureStreams(
  sources: Sources,
  session: ScanSession,
  { tenants, matchers, buckets }: SizeSelection,
  stats: QueryStats,
): Promise<StreamSize[]> {
  const startNs = buckets[0]!.startNs;
  const endNs = buckets[buckets.length - 1]!.endNs;
  const selection = { tenants, matchers, tenantMatchers: 'choose' as const, startNs, endNs };
  const streams = await selectStreams(sources, selection, stats, session);
  const times = timeBuckets(buckets);
  const sizes: (StreamSize & { cells: SizeCell[] })[] = [];
  const toRead: ScanUnit[] = [];
  const cellsOf = new Map<ScanUnit, SizeCell[]>();
  let looked = 0;
  for (const { labels, tenant, blocks, deletes } of streams) {
    const cells: SizeCell[] = [];
    for (const unit of groupOverlapping(labels, blocks, tenant, deletes)) {
      if (++looked % UNITS_A_TURN === 0) await setImmediate();
      const bucket = firstBucketUntil(times, unit.minNs);
      if (bucket === buckets.length || times.startsNs[bucket]! > unit.maxNs) continue;
      const known = knownSize(unit, bucket, times);
      if (known !== null) {
        cells.push(known);
      } else {
        toRead.push(unit);
        cellsOf.set(unit, cells);
      }
    }
    const reaching = blocks.filter(({ minNs, maxNs }) => minNs <= endNs && maxNs >= startNs);
    sizes.push({ labels, tenant, blocks: reaching.length, cells });
  }
  await session.measure(toRead, times, (unit, bucket, rows, bytes) => cellsOf.get(unit)!.push({ bucket, rows, bytes }));
  return sizes;
}

/** What the index knows exactly; null when rows must be looked at. `bucket`: the first that the unit may reach into. */
function knownSize(unit: ScanUnit, bucket: number, times: TimeBuckets): SizeCell | null {
  const { blocks, others, deletes, minNs, maxNs } = unit;
  const block = blocks[0]!;
  if (blocks.length > 1 || others !== undefined || deletes !== undefined || block.kind === 'head') return null;
  if (times.startsNs[bucket]! > minNs || times.endsNs[bucket]! < maxNs) return null;
  return { bucket, rows: block.rowCount, bytes: block.lineBytes + block.metadataBytes };
}
