import { setImmediate } from 'node:timers/promises';
import { type Labels, labelsKey } from '../../logql/labels.ts';
import type { RowCondition } from '../../logql/plan/index.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import { compileFilterSieve, type FilterSet, type FilterSieve } from '../filter/index.ts';
import type { Logger } from '../host/logger.ts';
import { type ObjectStore, ObjectStoreError } from '../objectstore/index.ts';
import {
  type BlockPlace,
  CorruptSegmentError,
  parseSegmentKey,
  type SegmentFooter,
  segmentPrefix,
  TimeBounds,
} from '../segment/index.ts';
import { FilterCache } from './filter-cache.ts';
import { FooterCache } from './footer-cache.ts';
import { compileSelector, matchSeries } from './match-series.ts';
import {
  activeKey,
  activePrefix,
  exchangeOf,
  type Replacement,
  type ReplacementNote,
  readReplacements,
} from './replacement.ts';
import { type ListedSegment, SegmentList } from './segment-list.ts';

export interface SelectRequest {
  readonly tenant: string;
  readonly startNs: bigint;
  /** Inclusive. */
  readonly endNs: bigint;
  /** None: every stream. */
  readonly matchers: readonly Matcher[];
  /** What every row that is looked for satisfies: `select` may leave out blocks that have none. */
  readonly condition?: RowCondition | null;
  /** Called for each segment that overlaps the time and cannot be read. */
  readonly onLeftOut?: () => void;
}

/** A stream and its blocks that overlap the request's time, in order of arrival. */
export interface SeriesBlocks {
  readonly labels: Labels;
  readonly blocks: BlockPlace[];
}

/** Sums over the blocks that overlap a request's time; a block that only does in part is counted by its share of time. */
export interface StoredFigures {
  readonly streams: number;
  readonly blocks: number;
  readonly bytes: number;
  readonly entries: number;
}

export interface CatalogOptions {
  /** Memory for footers. */
  readonly maxFooterBytes?: number;
  /** Memory for filters. */
  readonly maxFilterBytes?: number;
}

const DEFAULT_FOOTER_BYTES = 128 * 1024 * 1024;
const DEFAULT_FILTER_BYTES = 128 * 1024 * 1024;
/** A segment's filters are read when they are smaller than this share of the blocks that they may spare. */
const WORTHWHILE_SHARE = 1 / 2;
/** Footers read from the store at once, for one request. */
const LOADS_AT_ONCE = 16;
/** After so many segments other work gets its turn, should all their footers be at hand; a multiple of LOADS_AT_ONCE. */
const SEGMENTS_A_TURN = 128;

/**
 * The segments of the object store: which there are is known from their keys, what is in them from their footers.
 * Calls take the list of segments as it is in their tick; `add` and `remove` in one tick are seen together.
 */
export class SegmentCatalog {
  readonly #store: ObjectStore;
  readonly #logger: Logger;
  readonly #footers: FooterCache;
  readonly #filters: FilterCache;
  /** What `#numbersFor` answers with. */
  #numbers = new Uint32Array(64);
  readonly #segments = new SegmentList();
  readonly #setAside = new Set<string>();
  /** Segments whose filters are damaged. */
  readonly #badFilters = new Set<string>();
  /** Segments that were not there when they were last asked for: tried again each time, told of once. */
  readonly #missing = new Set<string>();
  /** Keys of segments that others have replaced and that may still lie in the store. */
  #replaced = new Set<string>();
  /** What has been replaced here since each listing under way began: it may not have seen that. */
  readonly #listings = new Set<Set<string>>();
  /** The listing under way, or the last one. */
  #refreshing: Promise<void> = Promise.resolve();
  /** Notes of what replaced what, as last read: they do not change. */
  #notes: ReadonlyMap<string, Replacement> = new Map();

  constructor(store: ObjectStore, logger: Logger, options: CatalogOptions = {}) {
    this.#store = store;
    this.#logger = logger;
    this.#footers = new FooterCache(store, options.maxFooterBytes ?? DEFAULT_FOOTER_BYTES);
    this.#filters = new FilterCache(store, options.maxFilterBytes ?? DEFAULT_FILTER_BYTES);
  }

  /** Lists the store and takes over what it finds; once, at start. Throws ObjectStoreError. */
  async load(signal?: AbortSignal): Promise<void> {
    this.#segments.add(await this.#list(signal));
  }

  /**
   * Lists the store again, for processes that do not write themselves: segments that appeared are added, those that
   * were there before the listing and are not in it are removed. One listing at a time: an earlier one that ends later
   * would bring back what has been replaced since. Throws ObjectStoreError.
   */
  refresh(signal?: AbortSignal): Promise<void> {
    const done = this.#refreshing.then(() => this.#refresh(signal));
    this.#refreshing = done.catch(() => {}); // told to who asked for it
    return done;
  }

  async #refresh(signal?: AbortSignal): Promise<void> {
    const missing = new Set(this.#segments.keys());
    const found = await this.#list(signal);
    for (const { key } of found) missing.delete(key);
    // One that others have replaced may have been added during the listing, by somebody who did not know of that.
    this.#removeAll([...missing, ...this.#replaced]);
    this.#segments.add(found);
  }

  /**
   * Reads what has replaced what, without listing segments: much cheaper than `refresh`. Replaced segments must be hidden
   * before their objects are removed, so this must succeed more often than the compactor's time of grace, and after a
   * pause that was longer only `refresh` will do: notes of that time may be gone. A note counts only with its outputs in
   * the store, as in a listing. Throws ObjectStoreError.
   */
  async refreshReplaced(signal?: AbortSignal): Promise<void> {
    for (const note of await this.#readNotes(signal)) {
      if (note.kind === 'claim' || note.sources.every((source) => this.#replaced.has(source))) continue;
      if (await this.#areThere(note.outputs, signal)) this.replace(note.sources, note.outputs);
    }
  }

  async #areThere(keys: readonly string[], signal?: AbortSignal): Promise<boolean> {
    for (const key of keys) {
      if (this.#segments.has(key) || this.#replaced.has(key)) continue;
      try {
        await this.#store.head(key, signal);
      } catch (error: unknown) {
        if (error instanceof ObjectStoreError && error.code === 'not_found') return false;
        throw error;
      }
    }
    return true;
  }

  /**
   * Without what has been replaced, and what is to replace others and does not count yet. Another process may replace
   * segments meanwhile: notes that were there before the listing tell of sources that go away after it, those after it of
   * outputs that came before.
   */
  async #list(signal?: AbortSignal): Promise<ListedSegment[]> {
    const meanwhile = new Set<string>();
    this.#listings.add(meanwhile);
    try {
      const before = await this.#readNotes(signal);
      const found: ListedSegment[] = [];
      const listed = new Map<string, string>();
      for await (const { key, sizeBytes } of this.#store.list(segmentPrefix(), signal)) {
        const segment = this.#segments.get(key) ?? parseKey(key);
        if (segment === null || segment.sizeBytes !== sizeBytes) {
          this.#putAside(key, new CorruptSegmentError(key, 'key and object do not fit', 0));
          continue;
        }
        listed.set(key, segment.id);
        found.push(segment);
      }
      const { replaced, unfinished } = exchangeOf(listed, before, await this.#readNotes(signal));
      this.#replaced = replaced.union(meanwhile);
      return found.filter(({ key }) => !this.#replaced.has(key) && !unfinished.has(key));
    } finally {
      this.#listings.delete(meanwhile);
    }
  }

  async #readNotes(signal?: AbortSignal): Promise<ReplacementNote[]> {
    const onCorrupt = (err: Error) =>
      this.#logger.error('note of a compaction cannot be read and is left out', { err });
    const notes = await readReplacements(this.#store, activePrefix(), onCorrupt, signal, this.#notes);
    this.#notes = new Map(notes.flatMap((note) => (note.kind === 'claim' ? [] : [[activeKey(note), note] as const])));
    return notes;
  }

  /**
   * Puts stored segments, or nothing, in the place of others, in one tick. The others' objects must stay for longer than
   * a query may run.
   */
  replace(sources: readonly string[], outputs: readonly string[]): void {
    for (const source of sources) {
      this.#replaced.add(source);
      for (const meanwhile of this.#listings) meanwhile.add(source);
    }
    this.#removeAll(sources);
    for (const output of outputs) this.add(output);
  }

  /** The objects of replaced segments are gone. */
  forgetReplaced(sources: readonly string[]): void {
    for (const source of sources) this.#replaced.delete(source);
  }

  /**
   * Makes a stored segment visible, unless others stand for it. Whoever tells of segments must not tell of one for longer
   * than the note of its replacement stays in its place: without the note its rows would come back, be they deleted or
   * merely repeated. Throws RangeError when the key is not that of a segment.
   */
  add(key: string): void {
    if (this.#segments.has(key) || this.#replaced.has(key)) return;
    const segment = parseKey(key);
    if (segment === null) throw new RangeError(`${key} is not a segment's key`);
    this.#segments.add([segment]);
  }

  /**
   * Hides a segment. Requests under way may still read it: its object must stay for longer than a query may run.
   */
  remove(key: string): void {
    this.#removeAll([key]);
  }

  #removeAll(keys: readonly string[]): void {
    const known = keys.filter((key) => this.#segments.has(key));
    this.#segments.remove(known);
    for (const key of known) {
      this.#footers.forget(key);
      this.#filters.forget(key);
      this.#setAside.delete(key);
      this.#badFilters.delete(key);
      this.#missing.delete(key);
    }
  }

  /** Tenants that have segments, ascending. */
  tenants(): string[] {
    return this.#segments.tenants();
  }

  /** A tenant's segments in order of arrival. */
  segments(tenant: string): readonly ListedSegment[] {
    return this.#segments.of(tenant);
  }

  /** What a segment says of itself; null when it cannot be read, as in `select`. Throws ObjectStoreError. */
  async footer(key: string): Promise<SegmentFooter | null> {
    return this.#footers.peek(key) ?? (await this.#loadFooter(key));
  }

  /**
   * Reads footers and filters of the newest segments, one after the other, until all that is kept of them takes `maxBytes`:
   * what a first query would have to wait for. Throws ObjectStoreError.
   */
  async readAhead(maxBytes: number, signal: AbortSignal): Promise<void> {
    const segments = this.tenants().flatMap((tenant) => this.segments(tenant));
    segments.sort((a, b) => (a.maxNs > b.maxNs ? -1 : a.maxNs < b.maxNs ? 1 : 0));
    for (const { key } of segments) {
      if (signal.aborted || this.footerBytes + this.filterBytes >= maxBytes) return;
      if (!this.#segments.has(key)) continue; // replaced meanwhile
      const footer = await this.footer(key);
      const isFiltered = footer !== null && footer.filters.length > 0 && !this.#badFilters.has(key);
      if (isFiltered && this.#filters.peek(key) === undefined) await this.#readFilters(footer);
    }
  }

  get segmentCount(): number {
    return this.#segments.size;
  }

  /** Segments that could not be read: corrupt, or gone without `remove`. */
  get setAsideCount(): number {
    return this.#setAside.size + this.#missing.size;
  }

  /** Footers read from the store so far, and the memory that those kept take. */
  get footerReads(): number {
    return this.#footers.reads;
  }
  get footerBytes(): number {
    return this.#footers.sizeBytes;
  }
  get filterBytes(): number {
    return this.#filters.sizeBytes;
  }

  /**
   * Matching streams with their blocks. Throws RegexError, and ObjectStoreError when the store cannot be read; segments
   * that are corrupt or gone are left out, logged once and counted.
   */
  async select(request: SelectRequest): Promise<SeriesBlocks[]> {
    const { startNs, endNs } = request;
    const found: { footer: SegmentFooter; matching: Uint32Array }[] = [];
    await this.#visit(request, (footer, matching) => {
      if (matching.length > 0) found.push({ footer, matching });
    });
    const sieve = compileFilterSieve(request.condition ?? null);
    const bounds = new TimeBounds(startNs, endNs);
    const streams = new Map<string, SeriesBlocks>();
    for (const [i, { footer, matching }] of found.entries()) {
      if (i > 0 && i % SEGMENTS_A_TURN === 0) await setImmediate();
      const filters =
        sieve === null ? null : (this.#filters.peek(footer.key) ?? (await this.#loadFilters(footer, matching, bounds)));
      const numbers = this.#numbersFor(footer);
      const count =
        sieve === null || filters === null
          ? footer.blocksOfAll(matching, bounds, numbers)
          : keptBlocks(footer, matching, bounds, sieve, filters, numbers);
      let series = -1;
      let stream: SeriesBlocks | undefined;
      for (let n = 0; n < count; n++) {
        const owner = footer.seriesOf(numbers[n]!);
        if (owner !== series || stream === undefined) {
          series = owner;
          const key = footer.labelsKeyOf(series);
          stream = streams.get(key);
          if (stream === undefined) {
            stream = { labels: footer.labelsOf(series), blocks: [] };
            streams.set(key, stream);
          }
        }
        stream.blocks.push(footer.placeOf(numbers[n]!));
      }
    }
    return [...streams.values()];
  }

  /** Room for the numbers of all of its blocks, until the next call. */
  #numbersFor({ blockCount }: SegmentFooter): Uint32Array {
    if (this.#numbers.length < blockCount) this.#numbers = new Uint32Array(2 * blockCount);
    return this.#numbers;
  }

  /** Null when the filters cannot be used or are not worth their reading. */
  async #loadFilters(footer: SegmentFooter, matching: Uint32Array, bounds: TimeBounds): Promise<FilterSet | null> {
    const { length } = footer.filters;
    if (length === 0 || this.#badFilters.has(footer.key)) return null;
    let bytes = 0;
    const numbers = this.#numbersFor(footer);
    const count = footer.blocksOfAll(matching, bounds, numbers);
    for (let n = 0; n < count; n++) bytes += footer.lengthOf(numbers[n]!);
    return length > bytes * WORTHWHILE_SHARE ? null : this.#readFilters(footer);
  }

  /** Null when they are damaged or gone. */
  async #readFilters(footer: SegmentFooter): Promise<FilterSet | null> {
    try {
      return await this.#filters.load(footer);
    } catch (error: unknown) {
      // Gone: its rows are in another segment by now, or reading its blocks says so.
      if (error instanceof ObjectStoreError && error.code === 'not_found') return null;
      if (!(error instanceof CorruptSegmentError)) throw error;
      this.#badFilters.add(footer.key);
      this.#logger.error('filters of a segment are damaged; all of its blocks are read', {
        segment: footer.key,
        err: error,
      });
      return null;
    }
  }

  /** Label sets of matching streams with rows in the time. */
  async series(request: SelectRequest): Promise<Labels[]> {
    const bounds = new TimeBounds(request.startNs, request.endNs);
    const found = new Map<string, Labels>();
    await this.#visit(request, (footer, matching) => {
      for (const series of matching) {
        const key = footer.labelsKeyOf(series);
        if (!found.has(key) && footer.hasBlockBetween(series, bounds)) found.set(key, footer.labelsOf(series));
      }
    });
    return [...found.values()];
  }

  /** Names of labels of matching streams, ascending. */
  async labelNames(request: SelectRequest): Promise<string[]> {
    const names = new Set<string>();
    await this.#visit(request, (footer, matching) => {
      const isVisible = visibleSeries(footer, matching, request);
      for (const name of footer.labelNames()) {
        if (names.has(name)) continue;
        footer.forEachValue(name, (_, series) => {
          if (!names.has(name) && series.some((s) => isVisible[s] === 1)) names.add(name);
        });
      }
    });
    return [...names].sort();
  }

  /** Values of one label among matching streams, ascending. */
  async labelValues(request: SelectRequest, name: string): Promise<string[]> {
    const values = new Set<string>();
    await this.#visit(request, (footer, matching) => {
      const isVisible = visibleSeries(footer, matching, request);
      footer.forEachValue(name, (value, series) => {
        if (!values.has(value) && series.some((s) => isVisible[s] === 1)) values.add(value);
      });
    });
    return [...values].sort();
  }

  /** Sums over matching streams. */
  async figures(request: SelectRequest): Promise<StoredFigures> {
    const { startNs, endNs } = request;
    const streams = new Set<string>();
    let blocks = 0;
    let bytes = 0;
    let entries = 0;
    for (const series of await this.select(request)) {
      streams.add(labelsKey(series.labels));
      for (const { stats } of series.blocks) {
        const share = shareOfTime(stats.minNs, stats.maxNs, startNs, endNs);
        blocks++;
        bytes += (stats.lineBytes + stats.metadataBytes) * share;
        entries += stats.rowCount * share;
      }
    }
    return { streams: streams.size, blocks, bytes: Math.round(bytes), entries: Math.round(entries) };
  }

  /** Calls `visit` for every segment that overlaps the time, in order of arrival, with the series that match. */
  async #visit(request: SelectRequest, visit: (footer: SegmentFooter, matching: Uint32Array) => void): Promise<void> {
    const { tenant, startNs, endNs, matchers } = request;
    const selector = compileSelector(matchers);
    const segments = this.#segments.of(tenant).filter((s) => s.minNs <= endNs && s.maxNs >= startNs);
    for (let from = 0; from < segments.length; from += LOADS_AT_ONCE) {
      if (from > 0 && from % SEGMENTS_A_TURN === 0) await setImmediate();
      const some = segments.slice(from, from + LOADS_AT_ONCE);
      const footers = some.map(({ key }) => this.#footers.peek(key) ?? this.#loadFooter(key));
      const loaded = footers.some((footer) => footer instanceof Promise)
        ? await Promise.all(footers)
        : (footers as SegmentFooter[]);
      loaded.forEach((footer, i) => {
        if (footer) visit(footer, matchSeries(footer, selector));
        else if (this.#segments.has(some[i]!.key)) request.onLeftOut?.();
      });
    }
  }

  /** Null when the segment cannot be used. */
  async #loadFooter(key: string): Promise<SegmentFooter | null> {
    if (this.#setAside.has(key)) return null;
    try {
      const footer = await this.#footers.load(key);
      if (this.#missing.delete(key)) this.#logger.info('segment is there again', { segment: key });
      return footer;
    } catch (error: unknown) {
      const isGone = error instanceof ObjectStoreError && error.code === 'not_found';
      if (!isGone && !(error instanceof CorruptSegmentError)) throw error;
      if (!isGone) this.#putAside(key, error);
      // Not when it was removed while the request ran; then its rows are in another segment or were to go.
      else if (this.#segments.has(key)) this.#miss(key, error);
      return null;
    }
  }

  /** What is not there now may be back soon: a volume that was not mounted, a folder that was moved. */
  #miss(key: string, err: Error): void {
    if (this.#missing.has(key)) return;
    this.#missing.add(key);
    this.#logger.error('segment is not in the object store and is left out of queries', { segment: key, err });
  }

  #putAside(key: string, err: Error): void {
    if (this.#setAside.has(key)) return;
    this.#setAside.add(key);
    this.#logger.error('segment cannot be read and is left out of queries', { segment: key, err });
  }
}

/**
 * Writes the numbers of matching series' blocks that a filter lets through, ascending, to `numbers`, and returns how many they
 * are. Those of all series are looked at in one go where labels do not matter: a call for each series, of few blocks a
 * segment, takes longer than to look at its filters.
 */
function keptBlocks(
  footer: SegmentFooter,
  matching: Uint32Array,
  bounds: TimeBounds,
  sieve: FilterSieve,
  filters: FilterSet,
  numbers: Uint32Array,
): number {
  if (!sieve.hiding.some((name) => footer.hasLabel(name))) {
    return sieve.keep(filters, numbers, footer.blocksOfAll(matching, bounds, numbers), []);
  }
  let kept = 0;
  for (const series of matching) {
    const own = numbers.subarray(kept);
    kept += sieve.keep(filters, own, footer.blocksBetween(series, bounds, own), footer.labelsOf(series));
  }
  return kept;
}

/** Per series 1 when it matches and has rows in the request's time. */
function visibleSeries(footer: SegmentFooter, matching: Uint32Array, { startNs, endNs }: SelectRequest): Uint8Array {
  const isVisible = new Uint8Array(footer.seriesCount);
  const bounds = new TimeBounds(startNs, endNs);
  for (const series of matching) if (footer.hasBlockBetween(series, bounds)) isVisible[series] = 1;
  return isVisible;
}

function parseKey(key: string): ListedSegment | null {
  const parts = parseSegmentKey(key);
  return parts === null ? null : { ...parts, key };
}

/** Of a block from `minNs` to `maxNs`, the part within `[startNs, endNs]`, from 0 to 1. */
function shareOfTime(minNs: bigint, maxNs: bigint, startNs: bigint, endNs: bigint): number {
  if (minNs >= startNs && maxNs <= endNs) return 1;
  const from = minNs > startNs ? minNs : startNs;
  const to = maxNs < endNs ? maxNs : endNs;
  return Number(to - from) / Number(maxNs - minNs);
}
