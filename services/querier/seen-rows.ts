import { hash } from 'node:crypto';
import { type Labels, labelsKey } from '../../logql/labels.ts';
import type { BlockColumns } from '../../logql/source.ts';

/** Rows in each of the two halves of the window; one takes some 100 bytes. */
const DEFAULT_HALF = 50_000;

/**
 * The rows of late, to tell those that several ingesters report. Replicas of a row arrive within moments of each other,
 * so the last 50,000 to 100,000 rows are enough; a row is kept as a hash of all that it has.
 */
export class SeenRows {
  readonly #half: number;
  #newer = new Set<string>();
  #older = new Set<string>();

  constructor(half = DEFAULT_HALF) {
    this.#half = half;
  }

  /** True when the same row of the same stream came before. `columns` must have lines and all metadata. */
  isKnown(labels: Labels, columns: BlockColumns, row: number): boolean {
    const key = keyOf(labels, columns, row);
    if (this.#newer.has(key)) return true;
    const isKnown = this.#older.has(key);
    this.#newer.add(key);
    if (this.#newer.size >= this.#half) {
      this.#older = this.#newer;
      this.#newer = new Set();
    }
    return isKnown;
  }
}

function keyOf(labels: Labels, columns: BlockColumns, row: number): string {
  const metadata = columns.metadata
    .filter(({ indexes }) => indexes[row] !== 0)
    .map((column) => [column.name, column.valueAt(column.indexes[row]!)])
    .sort(([a], [b]) => (a! < b! ? -1 : 1));
  const ns = columns.baseNs + BigInt(columns.offsetsNs[row]!);
  const head = Buffer.from(`${JSON.stringify([labelsKey(labels), String(ns), metadata])}\n`);
  const line = columns.bytes!.subarray(columns.lineStarts[row], columns.lineStarts[row + 1]);
  return hash('sha1', Buffer.concat([head, line]), 'base64');
}
