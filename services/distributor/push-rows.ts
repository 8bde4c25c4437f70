import { AcceptedStreams } from './accepted-streams.ts';
import { MetadataSets } from './metadata-sets.ts';

/**
 * A decoded push as columns of offsets into the request's bytes; no object and no string per line.
 *
 *     streams  one record a stream: where its label text lies, which rows are its own
 *     rows     seconds, nanos (since 1970, nanos 0..999999999), line start and length, first pair, number of pairs
 *     pairs    structured metadata: name start, name length, value start, value length (four numbers a pair)
 */
export type LabelsForm = 'selector' | 'whole-selector' | 'json-object' | 'none';

export interface PushedStream {
  /**
   * `selector`: `{a="b"}` as text. `whole-selector`: the same, to which no service name is added. `json-object`: a JSON
   * object of strings. `none`: the push named no labels.
   */
  labelsForm: LabelsForm;
  labelsStart: number;
  labelsEnd: number;
  firstRow: number;
  rowCount: number;
  /** Bytes of metadata that came once and stand in several rows; the metrics count them once. */
  repeatedBytes: number;
}

/** Go's zero time, which a timestamp that was not sent becomes. */
export const ZERO_TIME_SECONDS = -62135596800;

export class PushRows {
  /** What all offsets point into, once decoding is done. The scanner may have unescaped JSON strings in place. */
  source: Buffer;
  readonly streams: PushedStream[] = [];
  rowCount = 0;
  pairCount = 0;
  seconds: Float64Array;
  nanos: Uint32Array;
  lineStarts: Uint32Array;
  lineLengths: Uint32Array;
  firstPairs: Uint32Array;
  pairCounts: Uint32Array;
  pairs: Uint32Array;
  /** What of the push is valid; its objects are used again by the next push. */
  readonly accepted = new AcceptedStreams();
  /** By place; used again by the next push. */
  readonly #spareStreams: PushedStream[] = [];
  /** Used again by the next push; those before `#setsTaken` are in use. */
  readonly #sets: MetadataSets[] = [];
  #setsTaken = 0;

  constructor(source: Buffer) {
    this.source = source;
    const rows = Math.min(1 << 20, Math.max(16, source.length >>> 7));
    this.seconds = new Float64Array(rows);
    this.nanos = new Uint32Array(rows);
    this.lineStarts = new Uint32Array(rows);
    this.lineLengths = new Uint32Array(rows);
    this.firstPairs = new Uint32Array(rows);
    this.pairCounts = new Uint32Array(rows);
    this.pairs = new Uint32Array(64);
  }

  addStream(): PushedStream {
    const spare = this.#spareStreams[this.streams.length];
    const stream = spare ?? {
      labelsForm: 'none',
      labelsStart: 0,
      labelsEnd: 0,
      firstRow: 0,
      rowCount: 0,
      repeatedBytes: 0,
    };
    if (spare === undefined) this.#spareStreams.push(stream);
    stream.labelsForm = 'none';
    stream.labelsStart = 0;
    stream.labelsEnd = 0;
    stream.firstRow = this.rowCount;
    stream.rowCount = 0;
    stream.repeatedBytes = 0;
    this.streams.push(stream);
    return stream;
  }

  /** Appends a row at the zero time with an empty line and no metadata; its fields are then set in place. */
  addRow(): number {
    return this.addLine(ZERO_TIME_SECONDS, 0, 0, 0);
  }

  /** Appends a row without metadata. */
  addLine(seconds: number, nanos: number, start: number, length: number): number {
    const row = this.rowCount++;
    if (row === this.seconds.length) this.#growRows();
    this.seconds[row] = seconds;
    this.nanos[row] = nanos;
    this.lineStarts[row] = start;
    this.lineLengths[row] = length;
    this.firstPairs[row] = this.pairCount;
    this.pairCounts[row] = 0;
    return row;
  }

  /** Empty metadata sets, in use until the push is over. */
  takeSets(): MetadataSets {
    let sets = this.#sets[this.#setsTaken];
    if (sets === undefined) this.#sets.push((sets = new MetadataSets()));
    else sets.clear();
    this.#setsTaken++;
    return sets;
  }

  /** Adds a pair to the last row. */
  addPair(nameStart: number, nameLength: number, valueStart: number, valueLength: number): void {
    const at = 4 * this.pairCount++;
    if (at === this.pairs.length) this.pairs = grown(this.pairs, Uint32Array);
    this.pairs[at] = nameStart;
    this.pairs[at + 1] = nameLength;
    this.pairs[at + 2] = valueStart;
    this.pairs[at + 3] = valueLength;
    this.pairCounts[this.rowCount - 1]!++;
  }

  /** Forgets everything, and what it held of the push before. */
  restart(source: Buffer): void {
    this.source = source;
    this.#setsTaken = 0;
    this.accepted.clear();
    if (this.#sets.length > MAX_SPARE_SETS) this.#sets.length = MAX_SPARE_SETS;
    if (this.#spareStreams.length > MAX_SPARE_STREAMS) this.#spareStreams.length = MAX_SPARE_STREAMS;
    this.clear();
  }

  /** Puts the rows in another order: `order[i]` is the row that comes to place `i`. Streams are set after it. */
  permute(order: Uint32Array): void {
    this.seconds = Float64Array.from(order, (row) => this.seconds[row]!);
    this.nanos = order.map((row) => this.nanos[row]!);
    this.lineStarts = order.map((row) => this.lineStarts[row]!);
    this.lineLengths = order.map((row) => this.lineLengths[row]!);
    this.firstPairs = order.map((row) => this.firstPairs[row]!);
    this.pairCounts = order.map((row) => this.pairCounts[row]!);
  }

  clear(): void {
    this.streams.length = 0;
    this.rowCount = 0;
    this.pairCount = 0;
  }

  #growRows(): void {
    this.seconds = grown(this.seconds, Float64Array);
    this.nanos = grown(this.nanos, Uint32Array);
    this.lineStarts = grown(this.lineStarts, Uint32Array);
    this.lineLengths = grown(this.lineLengths, Uint32Array);
    this.firstPairs = grown(this.firstPairs, Uint32Array);
    this.pairCounts = grown(this.pairCounts, Uint32Array);
  }
}

/** Rows for which columns are kept from push to push. */
const MAX_SPARE_ROWS = 64 * 1024;
const MAX_SPARES = 8;
/** Of each; about 1 kB. */
const MAX_SPARE_SETS = 1000;
/** Of each; about 70 bytes. */
const MAX_SPARE_STREAMS = 2000;
const NO_BYTES = Buffer.alloc(0);

/** Columns that pushes hand on to each other, instead of new ones for each. */
export class SparePushRows {
  readonly #spares: PushRows[] = [];

  take(source: Buffer): PushRows {
    const rows = this.#spares.pop();
    if (rows === undefined) return new PushRows(source);
    rows.restart(source);
    return rows;
  }

  /** Nobody may look at the rows any more, nor at views of their columns. */
  give(rows: PushRows): void {
    if (this.#spares.length >= MAX_SPARES || rows.seconds.length > MAX_SPARE_ROWS) return;
    rows.restart(NO_BYTES);
    this.#spares.push(rows);
  }
}

function grown<T extends Float64Array | Uint32Array>(column: T, type: new (length: number) => T): T {
  const larger = new type(2 * column.length);
  larger.set(column);
  return larger;
}
