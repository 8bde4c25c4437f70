import type { StreamBatch, StreamRows } from '../rpc/push-batch.ts';

/** Rows of a batch, all for null, as a batch of what was not refused is made of them. */
export function keptRows(batch: StreamBatch, rows: Uint32Array | null): StreamRows {
  const count = rows === null ? batch.rowCount : rows.length;
  const offsetsNs = new Float64Array(count);
  const lineStarts = new Uint32Array(count);
  const lineLengths = new Uint32Array(count);
  const metaIndexes = new Uint32Array(count);
  let row = 0;
  let start = 0;
  for (let i = 0; i < count; i++) {
    const wanted = rows === null ? i : rows[i]!;
    while (row < wanted) start += batch.lineLengths[row++]!;
    offsetsNs[i] = batch.offsetsNs[wanted]!;
    lineStarts[i] = start;
    lineLengths[i] = batch.lineLengths[wanted]!;
    metaIndexes[i] = batch.metaIndexes[wanted]!;
  }
  return {
    labels: batch.labels,
    baseNs: batch.baseNs,
    firstRow: 0,
    rowCount: count,
    offsetsNs,
    lineStarts,
    lineLengths,
    source: batch.lineBytes,
    metaIndexes,
    metaSetCount: batch.metaEnds.length,
    metaEnds: batch.metaEnds,
    metaBytes: batch.metaBytes,
    ascending: batch.ascending,
  };
}
