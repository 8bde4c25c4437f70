/**
 * The order in which a head's rows are stored and read: by time, then by arrival, each row once.
 *
 * Rows usually arrive as a few ascending runs (one a push), so sorting is a merge sort over the runs that are there:
 * one pass when nothing is out of order. A row is dropped when an earlier one has the same timestamp, line and metadata.
 */
import type { HeadColumns } from './types.ts';

/** Up to this many rows of one timestamp are compared pair by pair, more through a hash table. */
const MAX_PAIRWISE_ROWS = 8;

/** Row numbers in order; null when that is every row as it stands. */
export function orderRows(head: HeadColumns): Uint32Array | null {
  const { rowCount, offsetsNs } = head;
  if (head.ascending || rowCount < 2) return null;
  const order = sortByTime(offsetsNs, rowCount);
  const kept = dropDuplicates(head, order);
  if (kept < rowCount) return order.subarray(0, kept);
  for (let i = 0; i < rowCount; i++) if (order[i] !== i) return order;
  return null;
}

/** A stable sort of `0 .. rowCount`. */
function sortByTime(offsetsNs: Float64Array, rowCount: number): Uint32Array {
  let order = new Uint32Array(rowCount);
  let runs: number[] = [0];
  order[0] = 0;
  for (let i = 1; i < rowCount; i++) {
    order[i] = i;
    if (offsetsNs[i]! < offsetsNs[i - 1]!) runs.push(i);
  }
  if (runs.length === 1) return order;
  let keys = offsetsNs.slice(0, rowCount);
  let nextOrder = new Uint32Array(rowCount);
  let nextKeys = new Float64Array(rowCount);
  while (runs.length > 1) {
    const merged: number[] = [];
    for (let r = 0; r < runs.length; r += 2) {
      const start = runs[r]!;
      const middle = runs[r + 1] ?? rowCount;
      const end = runs[r + 2] ?? rowCount;
      merged.push(start);
      let left = start;
      let right = middle;
      for (let to = start; to < end; to++) {
        const from = right >= end || (left < middle && keys[left]! <= keys[right]!) ? left++ : right++;
        nextOrder[to] = order[from]!;
        nextKeys[to] = keys[from]!;
      }
    }
    runs = merged;
    [order, nextOrder] = [nextOrder, order];
    [keys, nextKeys] = [nextKeys, keys];
  }
  return order;
}

/** Moves the rows to keep to the front of `order`, in their order, and returns how many they are. */
function dropDuplicates(head: HeadColumns, order: Uint32Array): number {
  const { offsetsNs } = head;
  const count = order.length;
  let kept = 0;
  for (let start = 0; start < count; ) {
    const time = offsetsNs[order[start]!]!;
    let end = start + 1;
    while (end < count && offsetsNs[order[end]!] === time) end++;
    if (end - start === 1) order[kept++] = order[start]!;
    else if (end - start <= MAX_PAIRWISE_ROWS) kept = keepDistinctPairwise(head, order, start, end, kept);
    else kept = keepDistinctHashed(head, order, start, end, kept);
    start = end;
  }
  return kept;
}

function keepDistinctPairwise(head: HeadColumns, order: Uint32Array, start: number, end: number, kept: number): number {
  const firstKept = kept;
  for (let i = start; i < end; i++) {
    const row = order[i]!;
    let known = false;
    for (let k = firstKept; k < kept && !known; k++) known = sameRow(head, order[k]!, row);
    if (!known) order[kept++] = row;
  }
  return kept;
}

function keepDistinctHashed(head: HeadColumns, order: Uint32Array, start: number, end: number, kept: number): number {
  const mask = 2 ** (32 - Math.clz32(2 * (end - start))) - 1; // a table at most half full
  const slots = new Uint32Array(mask + 1); // 1 + row
  for (let i = start; i < end; i++) {
    const row = order[i]!;
    let slot = hashRow(head, row) & mask;
    while (slots[slot] !== 0 && !sameRow(head, slots[slot]! - 1, row)) slot = (slot + 1) & mask;
    if (slots[slot] !== 0) continue;
    slots[slot] = row + 1;
    order[kept++] = row;
  }
  return kept;
}

/** Equal in line and metadata. */
function sameRow(head: HeadColumns, a: number, b: number): boolean {
  const { bytes, lineEnds, metaIndexes, metaEnds, metaBytes } = head;
  const startA = a === 0 ? 0 : lineEnds[a - 1]!;
  const startB = b === 0 ? 0 : lineEnds[b - 1]!;
  if (!sameBytes(bytes, startA, lineEnds[a]!, startB, lineEnds[b]!)) return false;
  const setA = metaIndexes[a]!;
  const setB = metaIndexes[b]!;
  if (setA === setB) return true;
  const setStartA = setA > 1 ? metaEnds[setA - 2]! : 0;
  const setStartB = setB > 1 ? metaEnds[setB - 2]! : 0;
  const setEndA = setA > 0 ? metaEnds[setA - 1]! : 0;
  const setEndB = setB > 0 ? metaEnds[setB - 1]! : 0;
  return sameBytes(metaBytes, setStartA, setEndA, setStartB, setEndB);
}

function sameBytes(bytes: Uint8Array, startA: number, endA: number, startB: number, endB: number): boolean {
  if (endA - startA !== endB - startB) return false;
  for (let a = startA, b = startB; a < endA; a++, b++) if (bytes[a] !== bytes[b]) return false;
  return true;
}

/** FNV-1a over line and metadata set. */
function hashRow(head: HeadColumns, row: number): number {
  const { bytes, lineEnds, metaIndexes, metaEnds, metaBytes } = head;
  let hash = 0x811c9dc5;
  const end = lineEnds[row]!;
  for (let i = row === 0 ? 0 : lineEnds[row - 1]!; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  const set = metaIndexes[row]!;
  if (set > 0) {
    const setEnd = metaEnds[set - 1]!;
    for (let i = set > 1 ? metaEnds[set - 2]! : 0; i < setEnd; i++) hash = Math.imul(hash ^ metaBytes[i]!, 0x01000193);
  }
  return hash ^ (hash >>> 15);
}
