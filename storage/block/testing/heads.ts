/** Rows as tests write them, and heads made of them. */
import type { BlockColumns } from '../../../logql/source.ts';
import { encodeMetadataSet, type MetadataPairs } from '../metadata-set.ts';
import type { HeadColumns } from '../types.ts';

export interface TestRow {
  readonly ns: bigint;
  readonly line: string | Uint8Array;
  readonly metadata?: MetadataPairs;
}

/** A head as an ingester keeps it: shared memory with spare room, a metadata set stored once unless told otherwise. */
export function headOf(rows: readonly TestRow[], options: { shareSets?: boolean } = {}): HeadColumns {
  const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes + 64);
  const baseNs = rows[0]?.ns ?? 0n;
  const lines = rows.map((row) => Buffer.from(row.line as string));
  const offsetsNs = new Float64Array(shared(8 * rows.length));
  const lineEnds = new Uint32Array(shared(4 * rows.length));
  const metaIndexes = new Uint32Array(shared(4 * rows.length));
  const bytes = new Uint8Array(shared(lines.reduce((sum, line) => sum + line.length, 0)));
  const sets: Buffer[] = [];
  const known = new Map<string, number>();
  let at = 0;
  let ascending = true;
  let metadataBytes = 0;
  rows.forEach((row, r) => {
    offsetsNs[r] = Number(row.ns - baseNs);
    bytes.set(lines[r]!, at);
    at += lines[r]!.length;
    lineEnds[r] = at;
    if (r > 0 && rows[r - 1]!.ns >= row.ns) ascending = false;
    if (!row.metadata?.length) return;
    for (const [name, value] of row.metadata) {
      if (name !== 'detected_level') metadataBytes += Buffer.byteLength(name) + Buffer.byteLength(value);
    }
    const set = encodeMetadataSet(row.metadata);
    const key = set.toString('latin1');
    let index = options.shareSets === false ? undefined : known.get(key);
    if (index === undefined) {
      index = sets.push(set);
      known.set(key, index);
    }
    metaIndexes[r] = index;
  });
  const metaBytes = new Uint8Array(shared(sets.reduce((sum, set) => sum + set.length, 0)));
  const metaEnds = new Uint32Array(shared(4 * sets.length));
  let metaAt = 0;
  sets.forEach((set, s) => {
    metaBytes.set(set, metaAt);
    metaEnds[s] = metaAt += set.length;
  });
  return {
    rowCount: rows.length,
    baseNs,
    offsetsNs,
    lineEnds,
    bytes,
    metaIndexes,
    metaEnds,
    metaBytes,
    ascending,
    metadataBytes,
  };
}

/** A row as one text, so that rows compare as values. */
export function rowText(row: TestRow): string {
  return JSON.stringify([String(row.ns), Buffer.from(row.line as string).toString('latin1'), row.metadata ?? []]);
}

export function rowTexts(columns: BlockColumns): string[] {
  const texts: string[] = [];
  for (let r = 0; r < columns.rowCount; r++) {
    const metadata: [string, string][] = [];
    for (const column of columns.metadata) {
      if (column.indexes[r] !== 0) metadata.push([column.name, column.valueAt(column.indexes[r]!)]);
    }
    const line = columns.bytes!.subarray(columns.lineStarts[r], columns.lineStarts[r + 1]);
    texts.push(rowText({ ns: columns.baseNs + BigInt(columns.offsetsNs[r]!), line, metadata }));
  }
  return texts;
}

/** What a block must hold: sorted by time, then arrival, every row once. */
export function expectedTexts(rows: readonly TestRow[]): string[] {
  const sorted = [...rows].sort((a, b) => (a.ns < b.ns ? -1 : a.ns > b.ns ? 1 : 0));
  return [...new Set(sorted.map(rowText))];
}
