import { giveBack, roundLength, someFloat64, someUint32, takeFloat64, takeUint32 } from '../kept-memory.ts';
import { QueryTooLargeError } from './errors.ts';

/**
 * What a bucket keeps of its samples. Every kind can be merged with another cell of the same bucket, in any order
 * (`first` and `last` carry the time and the block's sequence for that).
 *
 * | kind       | a     | b                  | c        |
 * |------------|-------|--------------------|----------|
 * | count      |       |                    |          |
 * | sum        | sum   |                    |          |
 * | min, max   | value |                    |          |
 * | mean       | mean  |                    |          |
 * | variance   | mean  | Σ(v - mean)²       |          |
 * | first,last | value | ns after lower end | sequence |
 */
export type CellKind = 'count' | 'sum' | 'min' | 'max' | 'mean' | 'variance' | 'first' | 'last';

const COLUMNS: Readonly<Record<CellKind, 0 | 1 | 2 | 3>> = {
  count: 0,
  sum: 1,
  min: 1,
  max: 1,
  mean: 1,
  variance: 2,
  first: 3,
  last: 3,
};

/** How many of the columns a, b, c a kind uses. */
export function columnsOf(kind: CellKind): 0 | 1 | 2 | 3 {
  return COLUMNS[kind];
}

/** Cells of a page. A group takes memory for the pages in which it has samples; 256 cells are 4 to 8 KiB. */
const PAGE_CELLS = 256;
const NONE = new Float64Array(0);

/**
 * Cells by group and bucket. Pages are slots of growing columns, so that a thousand groups with one bucket each (an
 * instant query) cost a thousand cells, and a few groups with thousands of buckets cost what they fill.
 */
export class CellStore {
  readonly kind: CellKind;
  counts: Float64Array = NONE;
  a: Float64Array = NONE;
  b: Float64Array = NONE;
  c: Float64Array = NONE;

  readonly #columns: number;
  readonly #pageCells: number;
  readonly #pagesPerGroup: number;
  readonly #maxCells: number;
  /** First cell of the page plus one, 0 for none, at `group * pagesPerGroup + page`. */
  #pages = new Uint32Array(0);
  #used = 0;
  #groupCount = 0;
  #groupsWithCells = 0;

  constructor(kind: CellKind, bucketCount: number, maxCells: number) {
    this.kind = kind;
    this.#columns = columnsOf(kind);
    this.#pageCells = Math.max(1, Math.min(bucketCount, PAGE_CELLS));
    this.#pagesPerGroup = Math.max(1, Math.ceil(bucketCount / this.#pageCells));
    this.#maxCells = maxCells;
  }

  /** One more than the highest group that has a cell. */
  get groupCount(): number {
    return this.#groupCount;
  }

  /** How many groups have a cell. */
  get groupsWithCells(): number {
    return this.#groupsWithCells;
  }

  /** The index of a cell in the columns; makes it when it is missing. Throws `QueryTooLargeError`. */
  cell(group: number, bucket: number): number {
    const page = (bucket / this.#pageCells) | 0;
    const at = group * this.#pagesPerGroup + page;
    if (at >= this.#pages.length) this.#growPages(group);
    let first = this.#pages[at]!;
    if (first === 0) {
      first = this.#addPage() + 1;
      if (!this.#hasPage(group)) this.#groupsWithCells++;
      this.#pages[at] = first;
      if (group >= this.#groupCount) this.#groupCount = group + 1;
    }
    return first - 1 + (bucket - page * this.#pageCells);
  }

  /** Calls back for every cell of a group that holds samples, in order of bucket. */
  forEachCell(group: number, visit: (bucket: number, cell: number) => void): void {
    if (group >= this.#groupCount) return;
    for (let page = 0; page < this.#pagesPerGroup; page++) {
      const first = this.#pages[group * this.#pagesPerGroup + page]!;
      if (first === 0) continue;
      for (let i = 0; i < this.#pageCells; i++) {
        const cell = first - 1 + i;
        if (this.counts[cell]! > 0) visit(page * this.#pageCells + i, cell);
      }
    }
  }

  /** Groups that have a cell with samples, ascending. */
  usedGroups(): Uint32Array {
    const groups = someUint32(this.#groupCount);
    let length = 0;
    for (let group = 0; group < this.#groupCount; group++) if (this.#isUsed(group)) groups[length++] = group;
    return groups.subarray(0, length);
  }

  /** All cells of some groups that hold samples, in their order and that of buckets; a group's number is its place there. */
  placed(groups: Uint32Array): PlacedCells {
    const total = this.usedCells();
    const { counts, a, b, c } = this;
    const groupIndexes = someUint32(total);
    const buckets = someUint32(total);
    const cells = someUint32(total);
    const pages = this.#pages;
    const perGroup = this.#pagesPerGroup;
    const perPage = this.#pageCells;
    let length = 0;
    // Of an instant query each group has one cell at most.
    const isPlain = perGroup * perPage === 1;
    for (let index = 0; isPlain && index < groups.length; index++) {
      const cell = pages[groups[index]!]! - 1;
      if (cell < 0 || counts[cell] === 0) continue;
      groupIndexes[length] = index;
      cells[length++] = cell;
    }
    for (let index = 0; !isPlain && index < groups.length; index++) {
      const from = groups[index]! * perGroup;
      for (let page = 0; page < perGroup; page++) {
        const first = pages[from + page]! - 1;
        if (first < 0) continue;
        for (let i = 0; i < perPage; i++) {
          if (counts[first + i] === 0) continue;
          groupIndexes[length] = index;
          buckets[length] = page * perPage + i;
          cells[length++] = first + i;
        }
      }
    }
    const taken = cells.subarray(0, length);
    const result = {
      groupIndexes: groupIndexes.subarray(0, length),
      buckets: buckets.subarray(0, length),
      counts: pick(counts, taken),
      a: this.#columns > 0 ? pick(a, taken) : NONE,
      b: this.#columns > 1 ? pick(b, taken) : NONE,
      c: this.#columns > 2 ? pick(c, taken) : NONE,
    };
    giveBack(cells);
    return result;
  }

  /** How many cells hold samples. */
  usedCells(): number {
    let cells = 0;
    for (let i = 0; i < this.#used; i++) if (this.counts[i]! > 0) cells++;
    return cells;
  }

  #isUsed(group: number): boolean {
    const from = group * this.#pagesPerGroup;
    for (let at = from; at < from + this.#pagesPerGroup; at++) {
      const first = this.#pages[at]!;
      if (first === 0) continue;
      for (let i = 0; i < this.#pageCells; i++) if (this.counts[first - 1 + i]! > 0) return true;
    }
    return false;
  }

  /** Calls back for every cell that holds samples, in order of group and bucket. */
  forEachUsed(visit: (group: number, bucket: number, cell: number) => void): void {
    for (let group = 0; group < this.#groupCount; group++) {
      for (let page = 0; page < this.#pagesPerGroup; page++) {
        const first = this.#pages[group * this.#pagesPerGroup + page]!;
        if (first === 0) continue;
        for (let i = 0; i < this.#pageCells; i++) {
          if (this.counts[first - 1 + i]! > 0) visit(group, page * this.#pageCells + i, first - 1 + i);
        }
      }
    }
  }

  add(cell: number, value: number): void {
    const n = this.counts[cell]! + 1;
    this.counts[cell] = n;
    switch (this.kind) {
      case 'count':
        return;
      case 'sum':
        this.a[cell]! += value;
        return;
      case 'min':
        if (n === 1 || value < this.a[cell]! || Number.isNaN(this.a[cell]!)) this.a[cell] = value;
        return;
      case 'max':
        if (n === 1 || value > this.a[cell]! || Number.isNaN(this.a[cell]!)) this.a[cell] = value;
        return;
      case 'mean': {
        const mean = this.a[cell]!;
        // An infinite mean stays; a difference of infinities would make it NaN.
        if ((mean === Infinity || mean === -Infinity) && (Number.isFinite(value) || value === mean)) return;
        this.a[cell] = mean + (value / n - mean / n);
        return;
      }
      case 'variance': {
        // Welford's method.
        const mean = this.a[cell]!;
        const delta = value - mean;
        const next = mean + delta / n;
        this.a[cell] = next;
        this.b[cell]! += delta * (value - next);
        return;
      }
      case 'first':
      case 'last':
        throw new TypeError(`${this.kind} needs the time of a sample`);
      default:
        this.kind satisfies never;
    }
  }

  /** For `first` and `last`. Samples of one time keep the order of (sequence, call). */
  addAt(cell: number, value: number, time: number, sequence: number): void {
    const n = this.counts[cell]! + 1;
    this.counts[cell] = n;
    const order = n === 1 ? 0 : time - this.b[cell]! || sequence - this.c[cell]!;
    if (n > 1 && (this.kind === 'first' ? order >= 0 : order < 0)) return;
    this.a[cell] = value;
    this.b[cell] = time;
    this.c[cell] = sequence;
  }

  /** Adds `n` samples of which only the sum matters (`count` and `sum`). */
  addMany(cell: number, n: number, sum: number): void {
    this.counts[cell]! += n;
    if (this.kind === 'sum') this.a[cell]! += sum;
  }

  /** Merges cells of another store of this kind; `groups`: by number of a group there, its number here. */
  mergeAll(from: PlacedCells, groups: Uint32Array): void {
    const { groupIndexes, buckets } = from;
    this.#reserve(groups);
    for (let i = 0; i < groupIndexes.length; i++) {
      mergeCell(this.kind, this, this.cell(groups[groupIndexes[i]!]!, buckets[i]!), from, i);
    }
  }

  #hasPage(group: number): boolean {
    const from = group * this.#pagesPerGroup;
    for (let at = from; at < from + this.#pagesPerGroup; at++) if (this.#pages[at] !== 0) return true;
    return false;
  }

  #addPage(): number {
    const first = this.#used;
    const needed = first + this.#pageCells;
    if (needed > this.#maxCells) throw new QueryTooLargeError('aggregates', this.#maxCells);
    if (needed > this.counts.length) this.#growColumns(Math.max(needed, this.counts.length * 2, 64));
    this.#used = needed;
    return first;
  }

  /** Makes room for a page of each of some groups at once. */
  #reserve(groups: Uint32Array): void {
    let last = -1;
    for (let i = 0; i < groups.length; i++) if (groups[i]! > last) last = groups[i]!;
    if ((last + 1) * this.#pagesPerGroup > this.#pages.length) this.#growPages(last);
    const cells = (last + 1) * this.#pageCells;
    if (cells > this.counts.length) this.#growColumns(roundLength(cells));
  }

  #growColumns(cells: number): void {
    const size = Math.min(this.#maxCells, cells);
    this.counts = grown(this.counts, size);
    if (this.#columns > 0) this.a = grown(this.a, size);
    if (this.#columns > 1) this.b = grown(this.b, size);
    if (this.#columns > 2) this.c = grown(this.c, size);
  }

  #growPages(group: number): void {
    const needed = (group + 1) * this.#pagesPerGroup;
    if (needed > this.#maxCells) throw new QueryTooLargeError('aggregates', this.#maxCells);
    const next = takeUint32(Math.min(this.#maxCells, roundLength(Math.max(needed, this.#pages.length * 2))));
    next.set(this.#pages);
    giveBack(this.#pages);
    this.#pages = next;
  }

  /** Gives its memory to others: the store cannot be used any more. */
  release(): void {
    for (const array of [this.#pages, this.counts, this.a, this.b, this.c]) giveBack(array);
    this.#pages = new Uint32Array(0);
    this.counts = NONE;
    this.a = NONE;
    this.b = NONE;
    this.c = NONE;
  }
}

/** Parallel columns of cells; b and c are empty where the kind does not use them. */
export interface CellColumns {
  readonly counts: Float64Array;
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly c: Float64Array;
}

export interface PlacedCells extends CellColumns {
  /** Of each cell. */
  readonly groupIndexes: Uint32Array;
  readonly buckets: Uint32Array;
}

/** Merges cell `j` of `from` into cell `i` of `into`. An empty cell (count 0) is neutral. */
export function mergeCell(kind: CellKind, into: CellColumns, i: number, from: CellColumns, j: number): void {
  const m = from.counts[j]!;
  if (m === 0) return;
  const n = into.counts[i]!;
  into.counts[i] = n + m;
  if (n === 0) {
    const columns = COLUMNS[kind];
    if (columns > 0) into.a[i] = from.a[j]!;
    if (columns > 1) into.b[i] = from.b[j]!;
    if (columns > 2) into.c[i] = from.c[j]!;
    return;
  }
  switch (kind) {
    case 'count':
      return;
    case 'sum':
      into.a[i]! += from.a[j]!;
      return;
    case 'min':
      if (from.a[j]! < into.a[i]! || Number.isNaN(into.a[i]!)) into.a[i] = from.a[j]!;
      return;
    case 'max':
      if (from.a[j]! > into.a[i]! || Number.isNaN(into.a[i]!)) into.a[i] = from.a[j]!;
      return;
    case 'mean':
      into.a[i] = into.a[i]! * (n / (n + m)) + from.a[j]! * (m / (n + m));
      return;
    case 'variance': {
      // Chan, Golub and LeVeque: updating formulae for sample variances.
      const delta = from.a[j]! - into.a[i]!;
      into.a[i] = into.a[i]! + delta * (m / (n + m));
      into.b[i] = into.b[i]! + from.b[j]! + delta * delta * ((n * m) / (n + m));
      return;
    }
    case 'first':
    case 'last': {
      const order = from.b[j]! - into.b[i]! || from.c[j]! - into.c[i]!;
      if (kind === 'first' ? order < 0 : order >= 0) {
        into.a[i] = from.a[j]!;
        into.b[i] = from.b[j]!;
        into.c[i] = from.c[j]!;
      }
      return;
    }
    default:
      kind satisfies never;
  }
}

function pick(column: Float64Array, cells: Uint32Array): Float64Array {
  const picked = someFloat64(cells.length);
  for (let i = 0; i < cells.length; i++) picked[i] = column[cells[i]!]!;
  return picked;
}

function grown(column: Float64Array, size: number): Float64Array {
  const next = takeFloat64(size);
  next.set(column);
  giveBack(column);
  return next;
}
