import type { StreamBatch, StreamRows } from './push-batch.ts';

/** What a row takes beside its line and its metadata. */
const ROW_BYTES = 16;
const SET_BYTES = 4;

/**
 * The rows in runs of at most `maxBytes` of a batch, in order; a row that takes more is a run by itself. What is small
 * enough comes back as it is. Runs share the columns of `rows`, and have metadata of their own.
 */
export function splitIntoRuns(rows: StreamRows, maxBytes: number): readonly StreamRows[] {
  const { firstRow, rowCount, lineLengths, metaIndexes, metaEnds, metaSetCount } = rows;
  const lastRow = firstRow + rowCount;
  const setStart = (set: number): number => (set < 2 ? 0 : metaEnds[set - 2]!);
  const setSize = (set: number): number => SET_BYTES + metaEnds[set - 1]! - setStart(set);
  /** Per set of `rows`, the run that it was counted for last. */
  const countedFor = new Int32Array(metaSetCount + 1).fill(-1);
  const starts: number[] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (let row = firstRow; row < lastRow; row++) {
    const set = metaIndexes[row]!;
    const own = ROW_BYTES + lineLengths[row]!;
    const isNew = set > 0 && countedFor[set] !== starts.length - 1;
    if (bytes + own + (isNew ? setSize(set) : 0) > maxBytes) {
      starts.push(row);
      bytes = set > 0 ? setSize(set) : 0;
    } else if (isNew) bytes += setSize(set);
    bytes += own;
    if (set > 0) countedFor[set] = starts.length - 1;
  }
  if (starts.length < 2) return [rows];
  return starts.map((start, i) => runOf(rows, start, starts[i + 1] ?? lastRow));
}

function runOf(rows: StreamRows, start: number, end: number): StreamRows {
  const { metaEnds, metaBytes, metaSetCount } = rows;
  const metaIndexes = rows.metaIndexes.slice(start, end);
  const newIndexes = new Uint32Array(metaSetCount + 1);
  const sets: Uint8Array[] = [];
  metaIndexes.forEach((set, row) => {
    if (set === 0) return;
    if (newIndexes[set] === 0) {
      sets.push(metaBytes.subarray(set === 1 ? 0 : metaEnds[set - 2]!, metaEnds[set - 1]!));
      newIndexes[set] = sets.length;
    }
    metaIndexes[row] = newIndexes[set]!;
  });
  let metaEnd = 0;
  return {
    ...rows,
    firstRow: 0,
    rowCount: end - start,
    offsetsNs: rows.offsetsNs.subarray(start, end),
    lineStarts: rows.lineStarts.subarray(start, end),
    lineLengths: rows.lineLengths.subarray(start, end),
    metaIndexes,
    metaSetCount: sets.length,
    metaEnds: Uint32Array.from(sets, (set) => (metaEnd += set.length)),
    metaBytes: Buffer.concat(sets),
  };
}

/** The rows of a decoded batch for another one. They share its memory. */
export function rowsOfBatch(batch: StreamBatch): StreamRows {
  const { lineLengths, lineBytes, rowCount } = batch;
  const lineStarts = new Uint32Array(rowCount);
  for (let row = 1; row < rowCount; row++) lineStarts[row] = lineStarts[row - 1]! + lineLengths[row - 1]!;
  return { ...batch, firstRow: 0, lineStarts, source: lineBytes, metaSetCount: batch.metaEnds.length };
}
