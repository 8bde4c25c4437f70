import type { Labels } from '../../logql/labels.ts';
import { parseLabelsString } from '../../logql/syntax/index.ts';
import { encodeMetadataSet } from '../../storage/block/metadata-set.ts';
import { type AcceptedStream, anyRows, type OpenStream } from './accepted-streams.ts';
import { wrappedTime } from './entry-check.ts';
import { findGenericField } from './generic-fields.ts';
import { LEVELS, levelOfSeverityNumber, normaliseLevel } from './level-detect.ts';
import { DETECTED_LEVEL, type MetadataSets, type Shape } from './metadata-sets.ts';
import type { PushedStream, PushRows } from './push-rows.ts';
import type { KnownStream } from './stream-labels.ts';
import type { TenantRules } from './tenant-rules.ts';

/** Farther than this from the base (ns), a row goes into the next StreamRows: its offset has to stay exact. */
const MAX_SPAN_NS = 2 ** 51;

/**
 * Collects the valid rows of a push as columns, one stream after the other: in place, from the stream's first row on,
 * where offsets stand in the column of seconds and metadata indexes in that of nanoseconds. A row is read before its place
 * is written, since no row moves to a later one. What `finish` answers are ranges of the push's columns.
 */
export class StreamBuilder {
  readonly #rows: PushRows;
  readonly #rules: TenantRules;
  readonly #increments: boolean;
  #stream: KnownStream;
  /** Of the stream; null until somebody asks. */
  #labels: Labels | null = null;
  #findsLevels = false;
  #done: OpenStream;
  #doneRows = 0;
  #lineCount = 0;
  #bytes = 0;

  /** First row of the StreamRows that is being filled, and the row after its last. */
  #start = 0;
  #end = 0;
  #sets: MetadataSets;
  #baseSeconds = 0;
  #baseNanos = 0;
  #lowest = 0;
  #last = 0;
  #ascending = true;

  // Of the row stored last, for increment_duplicate_timestamp.
  #lastRow = -1;
  #lastSeconds = 0;
  #lastNanos = 0;
  #plainSeconds = 0;
  #plainNanos = 0;

  /** `stream`: the first one, for which `begin` is called like for all others. */
  constructor(rows: PushRows, stream: KnownStream, rules: TenantRules) {
    const { limits } = rules;
    this.#rows = rows;
    this.#sets = rows.takeSets();
    this.#stream = stream;
    this.#done = rows.accepted.take(stream);
    this.#rules = rules;
    this.#increments = limits.increment_duplicate_timestamp;
  }

  begin(pushed: PushedStream, stream: KnownStream): void {
    const { limits } = this.#rules;
    this.#stream = stream;
    this.#labels = null;
    this.#findsLevels = limits.discover_log_levels && limits.allow_structured_metadata && !stream.isInternal;
    // Unless no row of the stream before was valid.
    if (this.#lineCount > 0) this.#done = this.#rows.accepted.take(stream);
    this.#done.stream = stream;
    this.#doneRows = 0;
    this.#lineCount = 0;
    this.#bytes = 0;
    this.#start = pushed.firstRow;
    this.#end = pushed.firstRow;
    this.#freshSets();
    this.#lowest = 0;
    this.#ascending = true;
    this.#lastRow = -1;
  }

  add(row: number): void {
    const rows = this.#rows;
    const lineStart = rows.lineStarts[row]!;
    const lineLength = rows.lineLengths[row]!;
    let seconds = rows.seconds[row]!;
    let nanos = rows.nanos[row]!;
    if (seconds >= 9223372036 || seconds <= -9223372036) [seconds, nanos] = wrappedTime(seconds, nanos);
    if (this.#increments) [seconds, nanos] = this.#incremented(row, seconds, nanos);

    if (this.#end === this.#start) {
      this.#baseSeconds = seconds;
      this.#baseNanos = nanos;
      this.#last = Number.NEGATIVE_INFINITY;
    }
    let offset = (seconds - this.#baseSeconds) * 1e9 + (nanos - this.#baseNanos);
    if (offset > MAX_SPAN_NS || offset < -MAX_SPAN_NS) {
      this.#close();
      this.#freshSets();
      this.#baseSeconds = seconds;
      this.#baseNanos = nanos;
      this.#last = Number.NEGATIVE_INFINITY;
      offset = 0;
    }
    const index = this.#metadata(row, lineStart, lineLength);
    const at = this.#end++;
    rows.seconds[at] = offset;
    rows.nanos[at] = index;
    rows.lineStarts[at] = lineStart;
    rows.lineLengths[at] = lineLength;
    if (offset < this.#lowest) this.#lowest = offset;
    if (offset <= this.#last) this.#ascending = false;
    this.#last = offset;
    this.#lineCount++;
    this.#bytes += lineLength + this.#sets.lastSize;
  }

  /** The stream's valid rows; null without any. */
  finish(): AcceptedStream | null {
    this.#close();
    const done = this.#done;
    done.rows.length = Math.max(1, this.#doneRows);
    done.lineCount = this.#lineCount;
    done.bytes = this.#bytes;
    return this.#lineCount > 0 ? done : null;
  }

  #freshSets(): void {
    if (this.#sets.setCount > 0) this.#sets = this.#rows.takeSets();
  }

  /** Ends one StreamRows; the base becomes its earliest row, so that offsets are never negative. */
  #close(): void {
    const start = this.#start;
    const end = this.#end;
    if (end === start) return;
    const { seconds, nanos, lineStarts, lineLengths, source } = this.#rows;
    const lowest = this.#lowest;
    if (lowest < 0) for (let i = start; i < end; i++) seconds[i]! -= lowest;
    const sets = this.#sets;
    const all = this.#done.rows;
    if (this.#doneRows === all.length) all.push(anyRows());
    const done = all[this.#doneRows++]!;
    done.labels = this.#stream.text;
    done.baseNs = BigInt(this.#baseSeconds) * 1_000_000_000n + BigInt(this.#baseNanos) + BigInt(lowest);
    done.firstRow = start;
    done.rowCount = end - start;
    done.offsetsNs = seconds;
    done.lineStarts = lineStarts;
    done.lineLengths = lineLengths;
    done.source = source;
    done.metaIndexes = nanos;
    done.metaSetCount = sets.setCount;
    done.metaEnds = sets.ends;
    done.metaBytes = sets.bytes;
    done.ascending = this.#ascending;
    this.#start = end;
    this.#lowest = 0;
    this.#ascending = true;
  }

  /** 1 + the index of the row's metadata set. */
  #metadata(row: number, lineStart: number, lineLength: number): number {
    const rows = this.#rows;
    const sets = this.#sets;
    const { detector, shapes, genericFields } = this.#rules;
    if (rows.pairCounts[row] === 0) {
      let level = '';
      if (this.#findsLevels) {
        level = this.#stream.level ?? LEVELS[detector.detect(rows.source, lineStart, lineStart + lineLength)]!;
      }
      if (genericFields.length > 0 && this.#findsFields)
        return this.#withFields(row, null, level, lineStart, lineLength);
      return sets.addLevel(level);
    }
    const shape = shapes.of(rows, row);
    const level = this.#levelWith(row, shape, lineStart, lineLength);
    if (genericFields.length > 0 && this.#findsFields)
      return this.#withFields(row, shape, level, lineStart, lineLength);
    return sets.addRow(rows, row, shape, level);
  }

  get #findsFields(): boolean {
    return this.#rules.limits.allow_structured_metadata;
  }

  #levelWith(row: number, shape: Shape, lineStart: number, lineLength: number): string {
    if (shape.levelPair >= 0) {
      const level = this.#value(row, shape.levelPair);
      return this.#findsLevels ? normaliseLevel(level) : level;
    }
    if (!this.#findsLevels) return '';
    if (this.#stream.level !== null) return this.#stream.level;
    if (shape.fieldPair >= 0) return normaliseLevel(this.#value(row, shape.fieldPair));
    if (shape.severityPair >= 0) {
      const number = this.#value(row, shape.severityPair);
      if (number !== '') return levelOfSeverityNumber(number);
    }
    return LEVELS[this.#rules.detector.detect(this.#rows.source, lineStart, lineStart + lineLength)]!;
  }

  #value(row: number, pair: number): string {
    const { pairs, firstPairs, source } = this.#rows;
    const at = 4 * (firstPairs[row]! + pair);
    const start = pairs[at + 2]!;
    return source.toString('utf8', start, start + pairs[at + 3]!).replaceAll('\ufffd', ' ');
  }

  /** The way of tenants with `discover_generic_fields`: as strings, since fields may come from anywhere. */
  #withFields(row: number, shape: Shape | null, level: string, lineStart: number, lineLength: number): number {
    const metadata = new Map<string, string>();
    shape?.names.forEach((name, pair) => {
      metadata.set(name, this.#value(row, pair));
    });
    if (level !== '') metadata.set(DETECTED_LEVEL, level);
    const line = this.#rows.source.subarray(lineStart, lineStart + lineLength);
    this.#labels ??= parseLabelsString(this.#stream.text);
    const found: [string, string][] = [];
    for (const field of this.#rules.genericFields) {
      const value = findGenericField(field, this.#labels, metadata, line);
      if (value !== '') found.push([field.name, value]);
    }
    for (const [name, value] of found) metadata.set(name, value);
    const pairs = [...metadata].filter(([, value]) => value !== '').sort(([a], [b]) => (a < b ? -1 : 1));
    let size = 0;
    for (const [name, value] of pairs) if (name !== DETECTED_LEVEL) size += name.length + Buffer.byteLength(value);
    const index = this.#sets.addEncoded(encodeMetadataSet(pairs));
    this.#sets.lastSize = size;
    return index;
  }

  /**
   * A line that differs from the one before it, at the time of that one (as it was sent, or as it was moved), moves to
   * 1 ns after it; a repeated line stays where it is, and is dropped later.
   */
  #incremented(row: number, seconds: number, nanos: number): [number, number] {
    const isFirst = this.#lastRow < 0;
    const isAtPlain = seconds === this.#plainSeconds && nanos === this.#plainNanos;
    const isAtLast = seconds === this.#lastSeconds && nanos === this.#lastNanos;
    if (!isFirst && (isAtPlain || isAtLast) && !this.#isSameLine(row, this.#lastRow)) {
      nanos = this.#lastNanos + 1;
      seconds = this.#lastSeconds;
      if (nanos === 1e9) {
        nanos = 0;
        seconds++;
      }
    } else {
      this.#plainSeconds = seconds;
      this.#plainNanos = nanos;
    }
    this.#lastRow = row;
    this.#lastSeconds = seconds;
    this.#lastNanos = nanos;
    return [seconds, nanos];
  }

  #isSameLine(a: number, b: number): boolean {
    const { source, lineStarts, lineLengths } = this.#rows;
    const length = lineLengths[a]!;
    if (length !== lineLengths[b]) return false;
    const startA = lineStarts[a]!;
    const startB = lineStarts[b]!;
    return source.compare(source, startB, startB + length, startA, startA + length) === 0;
  }
}
