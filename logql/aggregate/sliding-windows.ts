import { type CellColumns, type CellKind, columnsOf, mergeCell } from './cell-store.ts';

function newCells(kind: CellKind, length: number): CellColumns {
  const columns = columnsOf(kind);
  return {
    counts: new Float64Array(length),
    a: new Float64Array(columns > 0 ? length : 0),
    b: new Float64Array(columns > 1 ? length : 0),
    c: new Float64Array(columns > 2 ? length : 0),
  };
}

function copyCells(to: CellColumns, from: CellColumns): void {
  to.counts.set(from.counts);
  to.a.set(from.a);
  to.b.set(from.b);
  to.c.set(from.c);
}

/**
 * Reduces every window `[i * stride, i * stride + perWindow)` of a group's buckets to one cell.
 *
 * Samples cannot be taken out of a mean or a minimum again, so windows do not slide by subtraction. Instead (van Herk,
 * Gil and Werman) the buckets are cut into pieces of `perWindow`, and within each piece reduced from the left (prefix)
 * and from the right (suffix): a window is the end of one piece and the beginning of the next, one merge, whatever its
 * length. Buffers are kept from group to group.
 */
export class SlidingWindows {
  /** The buckets of a group: clear, fill, reduce. */
  readonly buckets: CellColumns;

  readonly #kind: CellKind;
  readonly #stride: number;
  readonly #perWindow: number;
  readonly #prefix: CellColumns;
  readonly #windows: CellColumns;
  readonly #scratch: CellColumns;

  constructor(kind: CellKind, shape: { bucketCount: number; windowCount: number; stride: number; perWindow: number }) {
    this.#kind = kind;
    this.#stride = shape.stride;
    this.#perWindow = shape.perWindow;
    const trivial = shape.perWindow === 1 && shape.stride === 1;
    this.buckets = newCells(kind, shape.bucketCount);
    this.#prefix = newCells(kind, trivial ? 0 : shape.bucketCount);
    this.#windows = trivial ? this.buckets : newCells(kind, shape.windowCount);
    this.#scratch = newCells(kind, 1);
  }

  clear(): void {
    this.buckets.counts.fill(0);
  }

  /** The cell of each window; valid until `clear`. */
  reduce(): CellColumns {
    const { buckets } = this;
    const windows = this.#windows;
    if (windows === buckets) return windows;
    windows.counts.fill(0);
    const perWindow = this.#perWindow;
    if (perWindow === 0) return windows;
    const kind = this.#kind;
    const prefix = this.#prefix;
    copyCells(prefix, buckets);
    const length = buckets.counts.length;
    for (let i = 1; i < length; i++) {
      if (i % perWindow !== 0) this.#mergeBefore(prefix, i - 1, i);
    }
    const suffix = buckets;
    for (let i = length - 2; i >= 0; i--) {
      if ((i + 1) % perWindow !== 0) mergeCell(kind, suffix, i, suffix, i + 1);
    }
    for (let w = 0; w < windows.counts.length; w++) {
      const start = w * this.#stride;
      mergeCell(kind, windows, w, suffix, start);
      if (start % perWindow !== 0) mergeCell(kind, windows, w, prefix, start + perWindow - 1);
    }
    return windows;
  }

  /** Puts cell `j` in front of cell `i`. */
  #mergeBefore(cells: CellColumns, j: number, i: number): void {
    const scratch = this.#scratch;
    scratch.counts[0] = 0;
    mergeCell(this.#kind, scratch, 0, cells, j);
    mergeCell(this.#kind, scratch, 0, cells, i);
    cells.counts[i] = 0;
    mergeCell(this.#kind, cells, i, scratch, 0);
  }
}
