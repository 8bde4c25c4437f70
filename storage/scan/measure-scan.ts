import type { BlockColumns } from '../../logql/source.ts';
import type { WantedColumns } from '../block/index.ts';
import { type BlockSource, firstRowAtOrAfter, type OpenBlock } from './block-source.ts';
import { type MeasureResult, ScanCancelledError } from './messages.ts';
import { newScanStats } from './scan-stats.ts';
import { firstBucketUntil, type TimeBuckets } from './time-buckets.ts';
import type { ScanUnit } from './units.ts';

/** Written by the distributor, not by who pushed: no part of a stream's volume, as in Loki. */
const UNCOUNTED_NAME = 'detected_level';
const ALL_METADATA: WantedColumns = { lines: false, lengths: true, metadata: null };
const NO_METADATA: WantedColumns = { lines: false, lengths: true, metadata: new Set() };

/**
 * Counts the rows of units in buckets of time, and their bytes as `BlockStats` counts lines and metadata. Opens times,
 * lengths and metadata; lines only where rows must be compared. Throws what `BlockSource.open` throws.
 */
export async function measureUnits(
  units: readonly ScanUnit[],
  buckets: TimeBuckets,
  source: BlockSource,
  cancel: Int32Array,
): Promise<MeasureResult> {
  const stats = newScanStats();
  const cells = new Cells();
  for (let u = 0; u < units.length; u++) {
    const unit = units[u]!;
    const blocks = await source.open(unit, hasMetadata(unit) ? ALL_METADATA : NO_METADATA, stats);
    for (const block of blocks) {
      if (Atomics.load(cancel, 0) !== 0) throw new ScanCancelledError('the query was given up');
      stats.postFilterRows += measureBlock(block, buckets, cells, u);
    }
  }
  return { ...cells.arrays(), stats };
}

/** What is known of a head's metadata is an estimate. */
function hasMetadata({ blocks }: ScanUnit): boolean {
  return blocks.some((block) => block.kind === 'head' || block.metadataBytes > 0);
}

function measureBlock(block: OpenBlock, buckets: TimeBuckets, cells: Cells, unit: number): number {
  const { columns, duplicates } = block;
  const { rowCount, baseNs, offsetsNs, lineStarts } = columns;
  if (rowCount === 0) return 0;
  const { startsNs, endsNs } = buckets;
  const lastNs = baseNs + BigInt(offsetsNs[rowCount - 1]!);
  const metadata = metadataSizes(columns);
  let total = 0;
  let bucket = firstBucketUntil(buckets, baseNs + BigInt(offsetsNs[0]!));
  for (; bucket < endsNs.length && startsNs[bucket]! <= lastNs; bucket++) {
    const from = firstRowAtOrAfter(columns, startsNs[bucket]!);
    const to = firstRowAtOrAfter(columns, endsNs[bucket]! + 1n);
    if (from >= to) continue;
    let rows = to - from;
    let bytes = lineStarts[to]! - lineStarts[from]!;
    for (let row = from; duplicates !== null && row < to; row++) {
      if (duplicates[row] === 0) continue;
      rows--;
      bytes -= lineStarts[row + 1]! - lineStarts[row]!;
    }
    for (const { indexes, sizes } of metadata) {
      for (let row = from; row < to; row++) {
        if (duplicates === null || duplicates[row] === 0) bytes += sizes[indexes[row]!]!;
      }
    }
    if (rows === 0) continue;
    cells.add(unit, bucket, rows, bytes);
    total += rows;
  }
  return total;
}

/** Per column, what a row with the value of an index adds: name and value, 0 for a row without. */
function metadataSizes({ metadata }: BlockColumns): { indexes: Uint32Array; sizes: Float64Array }[] {
  return metadata
    .filter(({ name }) => name !== UNCOUNTED_NAME)
    .map(({ name, values, indexes }) => {
      const nameBytes = Buffer.byteLength(name);
      const sizes = Float64Array.from(values, (value) => nameBytes + Buffer.byteLength(value));
      sizes[0] = 0;
      return { indexes, sizes };
    });
}

class Cells {
  readonly #units: number[] = [];
  readonly #buckets: number[] = [];
  readonly #rows: number[] = [];
  readonly #bytes: number[] = [];

  add(unit: number, bucket: number, rows: number, bytes: number): void {
    this.#units.push(unit);
    this.#buckets.push(bucket);
    this.#rows.push(rows);
    this.#bytes.push(bytes);
  }

  arrays(): Omit<MeasureResult, 'stats'> {
    return {
      units: Uint32Array.from(this.#units),
      buckets: Uint32Array.from(this.#buckets),
      rows: Float64Array.from(this.#rows),
      bytes: Float64Array.from(this.#bytes),
    };
  }
}
