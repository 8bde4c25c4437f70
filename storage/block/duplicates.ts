/**
 * Rows that several blocks of one stream share: replicas store the same push, and a retried push may land in two
 * blocks. A query counts such a row once, in the earliest of the given blocks.
 */
import type { BlockColumns, MetadataColumn } from '../../logql/source.ts';

/** Above this many pairs of rows of one timestamp, rows are looked up by a key instead of compared. */
const MAX_PAIRS = 64;

/**
 * Per block a mask with 1 for each row equal in time, line and metadata to a row of an earlier block; null when there
 * is none. Blocks must have been opened with all metadata, and with lines or at least lengths: where one of two blocks
 * has no lines, those of one length count as equal. Costs a few bigint comparisons per pair of blocks that do not overlap.
 */
export function overlappingDuplicates(blocks: readonly BlockColumns[]): (Uint8Array | null)[] {
  const masks = blocks.map((): Uint8Array | null => null);
  for (const { j, i, shift } of overlappingPairs(blocks))
    masks[i] = markShared(blocks[j]!, blocks[i]!, shift, masks[i]!);
  return masks;
}

/** The blocks, by place, whose lines are needed to tell which rows they share with another. Demands the same of them. */
export function blocksToCompare(blocks: readonly BlockColumns[]): Set<number> {
  const places = new Set<number>();
  for (const { j, i, shift } of overlappingPairs(blocks)) {
    if (markShared(blocks[j]!, blocks[i]!, shift, null) !== null) places.add(j).add(i);
  }
  return places;
}

/**
 * Marks rows of `later` that `earlier` has in `mask`, which is made when it is needed; null when there are none. The same
 * is demanded of the two as by `overlappingDuplicates`, with which this agrees.
 */
export function markDuplicates(earlier: BlockColumns, later: BlockColumns, mask: Uint8Array | null): Uint8Array | null {
  for (const { shift } of overlappingPairs([earlier, later])) return markShared(earlier, later, shift, mask);
  return mask;
}

/** Whether some row of one block has the time of one of the other. Looks at nothing but times. */
export function shareTime(a: BlockColumns, b: BlockColumns): boolean {
  for (const { shift } of overlappingPairs([a, b])) {
    const { offsetsNs: timesA, rowCount: countA } = a;
    const { offsetsNs: timesB, rowCount: countB } = b;
    const first = timesB[0]! - timesA[0]! - shift; // what a time of b has more than an equal one of a
    let rowA = lowerBound(timesA, countA, timesB[0]! - first);
    let rowB = lowerBound(timesB, countB, timesA[0]! + first);
    while (rowA < countA && rowB < countB) {
      const difference = timesA[rowA]! + first - timesB[rowB]!;
      if (difference === 0) return true;
      if (difference < 0) rowA++;
      else rowB++;
    }
  }
  return false;
}

interface OverlappingPair {
  /** Places of the earlier and the later block. */
  readonly j: number;
  readonly i: number;
  /** From the first row of the earlier to that of the later, ns. */
  readonly shift: number;
}

function* overlappingPairs(blocks: readonly BlockColumns[]): Generator<OverlappingPair> {
  const bounds = blocks.map((block) => {
    if (block.rowCount === 0) return null;
    const { baseNs, offsetsNs, rowCount } = block;
    return { minNs: baseNs + BigInt(offsetsNs[0]!), maxNs: baseNs + BigInt(offsetsNs[rowCount - 1]!) };
  });
  for (let i = 1; i < blocks.length; i++) {
    const later = bounds[i]!;
    for (let j = 0; j < i && later !== null; j++) {
      const earlier = bounds[j]!;
      if (earlier === null || earlier.maxNs < later.minNs || earlier.minNs > later.maxNs) continue;
      yield { j, i, shift: Number(later.minNs - earlier.minNs) };
    }
  }
}

/**
 * Marks rows of `later` that `earlier` has. `shift`: from the first row of `earlier` to that of `later`, ns. Times are
 * compared relative to those first rows: blocks overlap and each spans less than 2^53 ns, so doubles are exact.
 */
function markShared(
  earlier: BlockColumns,
  later: BlockColumns,
  shift: number,
  mask: Uint8Array | null,
): Uint8Array | null {
  const timesA = earlier.offsetsNs;
  const timesB = later.offsetsNs;
  const firstA = timesA[0]!;
  const firstB = timesB[0]!;
  const countA = earlier.rowCount;
  const countB = later.rowCount;
  let a = lowerBound(timesA, countA, firstA + Math.max(0, shift));
  let b = lowerBound(timesB, countB, firstB + Math.max(0, -shift));
  let compare: RowComparer | null = null;
  while (a < countA && b < countB) {
    const difference = timesA[a]! - firstA - (timesB[b]! - firstB + shift);
    if (difference !== 0) {
      if (difference < 0) a++;
      else b++;
      continue;
    }
    let endA = a + 1;
    while (endA < countA && timesA[endA] === timesA[a]) endA++;
    let endB = b + 1;
    while (endB < countB && timesB[endB] === timesB[b]) endB++;
    compare ??= new RowComparer(earlier, later);
    const known = (endA - a) * (endB - b) > MAX_PAIRS ? compare.keysOfEarlier(a, endA) : null;
    for (; b < endB; b++) {
      let shared = known?.has(compare.keyOfLater(b)) ?? false;
      for (let r = a; known === null && r < endA && !shared; r++) shared = compare.equal(r, b);
      if (!shared) continue;
      mask ??= new Uint8Array(countB);
      mask[b] = 1;
    }
    a = endA;
  }
  return mask;
}

function lowerBound(times: Float64Array, count: number, target: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < target) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface ColumnPair {
  readonly name: string;
  readonly a: MetadataColumn | undefined;
  readonly b: MetadataColumn | undefined;
}

/** Compares rows of two blocks by line and metadata; by the line's length where one of them has no lines. */
class RowComparer {
  readonly #a: BlockColumns;
  readonly #b: BlockColumns;
  readonly #bytesA: Buffer | null;
  readonly #bytesB: Buffer | null;
  readonly #pairs: ColumnPair[] = [];

  constructor(a: BlockColumns, b: BlockColumns) {
    const hasLines = a.bytes !== null && b.bytes !== null;
    this.#a = a;
    this.#b = b;
    this.#bytesA = hasLines ? a.bytes : null;
    this.#bytesB = hasLines ? b.bytes : null;
    const names = new Set([...a.metadata, ...b.metadata].map((column) => column.name));
    for (const name of names) {
      this.#pairs.push({
        name,
        a: a.metadata.find((column) => column.name === name),
        b: b.metadata.find((column) => column.name === name),
      });
    }
  }

  equal(rowA: number, rowB: number): boolean {
    const startA = this.#a.lineStarts[rowA]!;
    const endA = this.#a.lineStarts[rowA + 1]!;
    const startB = this.#b.lineStarts[rowB]!;
    const endB = this.#b.lineStarts[rowB + 1]!;
    if (endA - startA !== endB - startB) return false;
    const bytesA = this.#bytesA;
    if (bytesA !== null && bytesA.compare(this.#bytesB!, startB, endB, startA, endA) !== 0) return false;
    for (const { a, b } of this.#pairs) {
      const indexA = a?.indexes[rowA] ?? 0;
      const indexB = b?.indexes[rowB] ?? 0;
      if ((indexA === 0) !== (indexB === 0)) return false;
      if (indexA !== 0 && a!.valueAt(indexA) !== b!.valueAt(indexB)) return false;
    }
    return true;
  }

  keysOfEarlier(from: number, to: number): Set<string> {
    const keys = new Set<string>();
    for (let r = from; r < to; r++) {
      let key = lineKey(this.#bytesA, this.#a.lineStarts[r]!, this.#a.lineStarts[r + 1]!);
      for (const { name, a } of this.#pairs) key += keyPart(name, a, r);
      keys.add(key);
    }
    return keys;
  }

  keyOfLater(row: number): string {
    let key = lineKey(this.#bytesB, this.#b.lineStarts[row]!, this.#b.lineStarts[row + 1]!);
    for (const { name, b } of this.#pairs) key += keyPart(name, b, row);
    return key;
  }
}

function lineKey(bytes: Buffer | null, start: number, end: number): string {
  return bytes === null ? `${end - start}` : bytes.toString('latin1', start, end);
}

/** Read from the right a key is unambiguous: every part ends in its length, and parts come in one order. */
function keyPart(name: string, column: MetadataColumn | undefined, row: number): string {
  const index = column?.indexes[row] ?? 0;
  if (index === 0) return '|-';
  const value = column!.valueAt(index);
  return `${name}=${value}|${value.length}`;
}
