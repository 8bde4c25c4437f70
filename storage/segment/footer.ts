import { type Labels, labelsKey } from '../../logql/labels.ts';
import type { BlockStats } from '../block/types.ts';
import {
  COUNTS_BYTES,
  type FooterColumns,
  type FooterCounts,
  footerSize,
  mapFooter,
  readCounts,
} from './footer-layout.ts';
import { BlockTimes, TimeBounds } from './time-bounds.ts';
import { SEGMENT_MAGIC } from './trailer.ts';

/** Where a block lies in the object store, and what is known of it without opening it. */
export interface BlockPlace {
  readonly segmentKey: string;
  readonly offset: number;
  readonly length: number;
  /** Enough of the block, in bytes from its start, for a reader that wants no lines. */
  readonly linesOffset: number;
  /** The block's filter in what `SegmentReader.filters` reads; of no bytes when it has none. */
  readonly filterOffset: number;
  readonly filterBytes: number;
  readonly stats: BlockStats;
}

/** Fixed cost of a footer beside its bytes, for caches: views, maps, and strings that are made once asked for. */
const OVERHEAD_BYTES = 4096;
/** A symbol as a JavaScript string, the series' labels and keys: an estimate that errs upwards. */
const OVERHEAD_PER_SYMBOL = 64;
const OVERHEAD_PER_PAIR = 96;

/** What a segment says of itself. Strings are made when first asked for, and kept. */
export class SegmentFooter {
  readonly key: string;
  readonly tenant: string;
  readonly seriesCount: number;
  /** Memory that this object may come to hold. */
  readonly memoryBytes: number;
  /** The filters of all blocks lie together before the footer. */
  readonly filters: { readonly offset: number; readonly length: number; readonly crc: number };
  readonly #columns: FooterColumns;
  /** Per block, where its filter starts among the filters. */
  readonly #filterStarts: Float64Array;
  readonly #times: BlockTimes;
  readonly #texts: (string | undefined)[];
  readonly #labels: ({ labels: Labels; key: string } | undefined)[];

  /** `memory`: the decompressed footer. Throws RangeError when it is none. */
  constructor(key: string, memory: ArrayBuffer, footerOffset: number) {
    this.key = key;
    if (memory.byteLength < COUNTS_BYTES) throw new RangeError('cut short');
    const counts = readCounts(memory);
    if (footerSize(counts) !== memory.byteLength) throw new RangeError('columns do not add up');
    this.#columns = mapFooter(memory, counts);
    this.#times = new BlockTimes(this.#columns.blockMinNs, this.#columns.blockMaxNs);
    this.#filterStarts = startsOf(this.#columns.blockFilterBytes);
    const length = this.#filterStarts[counts.blocks]!;
    this.filters = { offset: footerOffset - length, length, crc: counts.filtersCrc };
    checkColumns(this.#columns, this.filters.offset);
    this.tenant = this.#columns.tenant.toString('utf8');
    this.seriesCount = counts.series;
    this.memoryBytes = memory.byteLength + overhead(counts);
    this.#texts = new Array(counts.symbols);
    this.#labels = new Array(counts.series);
  }

  labelsOf(series: number): Labels {
    return this.#labelsAndKey(series).labels;
  }

  /** `labelsKey` of the series. */
  labelsKeyOf(series: number): string {
    return this.#labelsAndKey(series).key;
  }

  /** The series' blocks that overlap `[startNs, endNs]`, in order of arrival. */
  blocksOf(series: number, startNs: bigint, endNs: bigint): BlockPlace[] {
    const numbers = new Uint32Array(this.blockCountOf(series));
    const count = this.blocksBetween(series, new TimeBounds(startNs, endNs), numbers);
    return Array.from(numbers.subarray(0, count), (block) => this.placeOf(block));
  }

  hasBlockBetween(series: number, bounds: TimeBounds): boolean {
    const { seriesBlockStart } = this.#columns;
    const end = seriesBlockStart[series + 1]!;
    for (let b = seriesBlockStart[series]!; b < end; b++) if (bounds.overlap(this.#times, b)) return true;
    return false;
  }

  blockCountOf(series: number): number {
    const { seriesBlockStart } = this.#columns;
    return seriesBlockStart[series + 1]! - seriesBlockStart[series]!;
  }

  /**
   * Writes the numbers of the series' blocks that overlap the bounds to `numbers`, which has room for `blockCountOf`,
   * ascending and so in order of arrival, and returns how many they are.
   */
  blocksBetween(series: number, bounds: TimeBounds, numbers: Uint32Array): number {
    return this.blocksOfAll(Uint32Array.of(series), bounds, numbers);
  }

  /** The same of several series, ascending. `numbers` has room for `blockCount`. */
  blocksOfAll(series: Uint32Array, bounds: TimeBounds, numbers: Uint32Array): number {
    const { seriesBlockStart } = this.#columns;
    const times = this.#times;
    const isCovered = bounds.cover(times);
    let count = 0;
    for (let i = 0; i < series.length; i++) {
      const one = series[i]!;
      const end = seriesBlockStart[one + 1]!;
      for (let b = seriesBlockStart[one]!; b < end; b++) {
        if (isCovered || bounds.overlap(times, b)) numbers[count++] = b;
      }
    }
    return count;
  }

  get blockCount(): number {
    return this.#columns.counts.blocks;
  }

  /** Whose a block is. */
  seriesOf(block: number): number {
    const { seriesBlockStart } = this.#columns;
    let low = 0;
    let high = this.seriesCount;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (seriesBlockStart[middle]! <= block) low = middle;
      else high = middle;
    }
    return low;
  }

  hasLabel(name: string): boolean {
    return this.#findName(name) >= 0;
  }

  /** Bytes of a block in the segment. */
  lengthOf(block: number): number {
    return this.#columns.blockLength[block]!;
  }

  /** Where the filter of each block starts among the filters, and where the last one ends. */
  get filterStarts(): Float64Array {
    return this.#filterStarts;
  }

  labelNames(): string[] {
    return Array.from(this.#columns.nameSymbol, (symbol) => this.#text(symbol));
  }

  /** Visits the distinct values of a label with the series that have each, ascending. */
  forEachValue(name: string, visit: (value: string, series: Uint32Array) => void): void {
    const n = this.#findName(name);
    if (n < 0) return;
    const { nameValueStart, valueSymbol } = this.#columns;
    for (let v = nameValueStart[n]!; v < nameValueStart[n + 1]!; v++)
      visit(this.#text(valueSymbol[v]!), this.#posting(v));
  }

  /** The series with `name="value"`, ascending; empty when there are none. */
  postings(name: string, value: string): Uint32Array {
    const n = this.#findName(name);
    if (n < 0) return NO_SERIES;
    const { nameValueStart, valueSymbol } = this.#columns;
    const v = this.#find(valueSymbol, nameValueStart[n]!, nameValueStart[n + 1]!, value);
    return v < 0 ? NO_SERIES : this.#posting(v);
  }

  #posting(value: number): Uint32Array {
    const { postings, valuePostingStart } = this.#columns;
    return postings.subarray(valuePostingStart[value], valuePostingStart[value + 1]);
  }

  #findName(name: string): number {
    return this.#find(this.#columns.nameSymbol, 0, this.#columns.counts.names, name);
  }

  /** Where in `symbols[from .. to)`, ascending, `text` stands; -1 when it does not. */
  #find(symbols: Uint32Array, from: number, to: number, text: string): number {
    const { symbols: bytes, symbolStart } = this.#columns;
    const wanted = Buffer.from(text, 'utf8');
    while (from < to) {
      const middle = (from + to) >>> 1;
      const symbol = symbols[middle]!;
      const order = bytes.compare(wanted, 0, wanted.length, symbolStart[symbol], symbolStart[symbol + 1]);
      if (order === 0) return middle;
      if (order < 0) from = middle + 1;
      else to = middle;
    }
    return -1;
  }

  #text(symbol: number): string {
    const { symbols, symbolStart } = this.#columns;
    return (this.#texts[symbol] ??= symbols.toString('utf8', symbolStart[symbol], symbolStart[symbol + 1]));
  }

  #labelsAndKey(series: number): { labels: Labels; key: string } {
    const known = this.#labels[series];
    if (known) return known;
    const { seriesPairStart, pairName, pairValue } = this.#columns;
    const labels: [string, string][] = [];
    for (let p = seriesPairStart[series]!; p < seriesPairStart[series + 1]!; p++) {
      labels.push([this.#text(pairName[p]!), this.#text(pairValue[p]!)]);
    }
    return (this.#labels[series] = { labels, key: labelsKey(labels) });
  }

  /** Of a block by its number. */
  placeOf(b: number): BlockPlace {
    const c = this.#columns;
    return {
      segmentKey: this.key,
      offset: c.blockOffset[b]!,
      length: c.blockLength[b]!,
      linesOffset: c.blockLinesOffset[b]!,
      filterOffset: this.#filterStarts[b]!,
      filterBytes: c.blockFilterBytes[b]!,
      stats: {
        minNs: c.blockMinNs[b]!,
        maxNs: c.blockMaxNs[b]!,
        rowCount: c.blockRowCount[b]!,
        lineBytes: c.blockLineBytes[b]!,
        metadataBytes: c.blockMetadataBytes[b]!,
        encodedBytes: c.blockLength[b]!,
      },
    };
  }
}

const NO_SERIES = new Uint32Array(0);

function overhead(counts: FooterCounts): number {
  return OVERHEAD_BYTES + OVERHEAD_PER_SYMBOL * counts.symbols + OVERHEAD_PER_PAIR * counts.pairs;
}

function startsOf(lengths: Uint32Array): Float64Array {
  const starts = new Float64Array(lengths.length + 1);
  for (let i = 0; i < lengths.length; i++) starts[i + 1] = starts[i]! + lengths[i]!;
  return starts;
}

/** Every number that is used to look something up lies within what it points to. */
function checkColumns(c: FooterColumns, blocksEnd: number): void {
  const { series, blocks, pairs, values, postings, symbols, symbolBytes } = c.counts;
  checkStarts(c.seriesPairStart, pairs);
  checkStarts(c.seriesBlockStart, blocks);
  checkStarts(c.nameValueStart, values);
  checkStarts(c.valuePostingStart, postings);
  checkStarts(c.symbolStart, symbolBytes);
  for (const column of [c.pairName, c.pairValue, c.nameSymbol, c.valueSymbol]) checkBelow(column, symbols);
  checkBelow(c.postings, series);
  for (let b = 0; b < blocks; b++) {
    const offset = c.blockOffset[b]!;
    const length = c.blockLength[b]!;
    const isInside = Number.isSafeInteger(offset) && offset >= SEGMENT_MAGIC.length && offset + length <= blocksEnd;
    if (!isInside || c.blockLinesOffset[b]! > length) throw new RangeError(`block ${b} lies outside of the segment`);
  }
}

function checkStarts(starts: Uint32Array, end: number): void {
  let last = 0;
  for (const start of starts) {
    if (start < last) throw new RangeError('starts run backwards');
    last = start;
  }
  if (starts[0] !== 0 || last !== end) throw new RangeError('starts do not cover what they divide');
}

function checkBelow(column: Uint32Array, bound: number): void {
  for (const value of column) if (value >= bound) throw new RangeError(`${value} is not below ${bound}`);
}
