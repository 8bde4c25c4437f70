import { encodeMetadataSet } from '../../storage/block/metadata-set.ts';
import type { Limits } from '../config/limits.ts';
import type { StreamRows } from '../rpc/push-batch.ts';
import { checkEntry, entryBounds, wrappedTime } from './entry-check.ts';
import { ErrorGroups } from './error-groups.ts';
import { findGenericField, type GenericField, genericFields } from './generic-fields.ts';
import { LEVELS, LevelDetector, levelOfSeverityNumber, normaliseLevel } from './level-detect.ts';
import { DETECTED_LEVEL, MetadataSets, type Shape, Shapes } from './metadata-sets.ts';
import { PushError } from './push-error.ts';
import type { PushedStream, PushRows } from './push-rows.ts';
import { formatRfc3339 } from './rfc3339.ts';
import { SLICE_BYTES, type Sliced } from './sliced.ts';
import type { KnownStream } from './stream-labels.ts';

/** What one tenant's limits mean for entries, prepared once as long as they stay the same object. */
export interface TenantRules {
  readonly limits: Limits;
  readonly detector: LevelDetector;
  readonly shapes: Shapes;
  readonly genericFields: readonly GenericField[];
  readonly truncateMark: Uint8Array;
}

export function tenantRules(limits: Limits): TenantRules {
  return {
    limits,
    detector: new LevelDetector(limits.log_level_fields, limits.log_level_from_json_max_depth),
    shapes: new Shapes(limits.log_level_fields),
    genericFields: genericFields(limits.discover_generic_fields.fields),
    truncateMark: Buffer.from(limits.max_line_size_truncate_identifier),
  };
}

/** Samples and bytes that were refused (or changed) for one reason. */
export interface Loss {
  readonly reason: string;
  readonly stream: KnownStream;
  samples: number;
  bytes: number;
}

export interface AcceptedStream {
  readonly stream: KnownStream;
  /** One, or more when the rows span more time than one base can hold exactly. */
  readonly rows: readonly StreamRows[];
  readonly lineCount: number;
  /** Lines and metadata, without the detected level. */
  readonly bytes: number;
}

export interface ValidatedPush {
  readonly accepted: readonly AcceptedStream[];
  readonly errors: ErrorGroups;
  /** Set when a stream was refused because ingestion is blocked, unless that is to stay silent. */
  readonly blocked: PushError | null;
  readonly discarded: readonly Loss[];
  readonly truncated: readonly Loss[];
}

/**
 * Judges every stream and every entry, in Loki's order: labels, enforced labels, a block on ingestion, then each entry;
 * what is valid survives. Throws PushError when a name of metadata cannot be kept. `streams` are those of `rows`, in order.
 */
export function* validatePush(
  rows: PushRows,
  streams: readonly KnownStream[],
  tenant: string,
  rules: TenantRules,
  nowMs: number,
): Sliced<ValidatedPush> {
  const { limits } = rules;
  const errors = new ErrorGroups();
  const losses = new Losses();
  const truncated = new Losses();
  const accepted: AcceptedStream[] = [];
  let blocked: PushError | null = null;
  const bounds = entryBounds(limits, nowMs);
  let pause = SLICE_BYTES;
  for (let i = 0; i < streams.length; i++) {
    const pushed = rows.streams[i]!;
    const stream = streams[i]!;
    if (pushed.rowCount === 0) continue;
    if (limits.max_line_size_truncate) truncateLines(rows, pushed, stream, rules, truncated);
    const refusal = stream.refusal;
    if (refusal !== null) {
      errors.add(refusal.message);
      losses.add(refusal.reason, stream, pushed.rowCount, pushedBytes(rows, pushed));
      continue;
    }
    const block = blockOf(limits, tenant, stream.policy, nowMs);
    if (block !== null) {
      losses.add(block.reason, stream, pushed.rowCount, pushedBytes(rows, pushed));
      if (block.status !== 200) blocked = new PushError(block.status, block.message);
      continue;
    }
    const builder = new StreamBuilder(rows, pushed, stream, rules);
    for (let row = pushed.firstRow; row < pushed.firstRow + pushed.rowCount; row++) {
      const size = metadataSize(rows, row);
      const problem = checkEntry(rows, row, size, bounds, limits, stream.text);
      if (problem !== null) {
        errors.add(problem.message);
        losses.add(problem.reason, stream, 1, rows.lineLengths[row]! + size);
        pause -= 64;
      } else builder.add(row);
      pause -= rows.lineLengths[row]! + size + 32;
      if (pause < 0) {
        pause = SLICE_BYTES;
        yield;
      }
    }
    if (builder.lineCount > 0) {
      accepted.push({ stream, rows: builder.finish(), lineCount: builder.lineCount, bytes: builder.bytes });
    }
  }
  return { accepted, errors, blocked, discarded: losses.all, truncated: truncated.all };
}

/** Refusals by reason and stream's place in the metrics. */
class Losses {
  readonly #byKey = new Map<string, Loss>();

  add(reason: string, stream: KnownStream, samples: number, bytes: number): void {
    const key = `${reason}\n${stream.retentionHours}\n${stream.policy}`;
    let loss = this.#byKey.get(key);
    if (loss === undefined) {
      loss = { reason, stream, samples: 0, bytes: 0 };
      this.#byKey.set(key, loss);
    }
    loss.samples += samples;
    loss.bytes += bytes;
  }

  get all(): readonly Loss[] {
    return [...this.#byKey.values()];
  }
}

/** Bytes of names and values of a row, without `detected_level`. */
export function metadataSize(rows: PushRows, row: number): number {
  const count = rows.pairCounts[row]!;
  if (count === 0) return 0;
  const { pairs, source } = rows;
  let size = 0;
  let at = 4 * rows.firstPairs[row]!;
  for (let i = 0; i < count; i++, at += 4) {
    const nameLength = pairs[at + 1]!;
    if (nameLength === DETECTED_LEVEL.length) {
      const start = pairs[at]!;
      if (source[start] === 0x64 && source.toString('latin1', start, start + nameLength) === DETECTED_LEVEL) continue;
    }
    size += nameLength + pairs[at + 3]!;
  }
  return size;
}

function pushedBytes(rows: PushRows, pushed: PushedStream): number {
  let bytes = 0;
  for (let row = pushed.firstRow; row < pushed.firstRow + pushed.rowCount; row++) {
    bytes += rows.lineLengths[row]! + metadataSize(rows, row);
  }
  return bytes;
}

/** Cuts lines that are too long, with the tenant's mark at their end. Writes into the source. */
function truncateLines(
  rows: PushRows,
  pushed: PushedStream,
  stream: KnownStream,
  rules: TenantRules,
  into: Losses,
): void {
  const max = rules.limits.max_line_size;
  const mark = rules.truncateMark;
  if (max === 0 || mark.length >= max) return;
  for (let row = pushed.firstRow; row < pushed.firstRow + pushed.rowCount; row++) {
    const length = rows.lineLengths[row]!;
    if (length <= max) continue;
    rows.source.set(mark, rows.lineStarts[row]! + max - mark.length);
    rows.lineLengths[row] = max;
    into.add('line_too_long', stream, 1, length - max);
  }
}

interface Block {
  readonly reason: string;
  readonly status: number;
  readonly message: string;
}

function blockOf(limits: Limits, tenant: string, policy: string, nowMs: number): Block | null {
  const status = limits.block_ingestion_status_code;
  const until = (ms: number): string => `until '${formatRfc3339(ms / 1000)}' with status code '${status}'`;
  if (nowMs < limits.block_ingestion_until) {
    const message = `ingestion blocked for user '${tenant}' ${until(limits.block_ingestion_until)}`;
    return { reason: 'blocked_ingestion', status, message };
  }
  const policyUntil = limits.block_ingestion_policy_until[policy] ?? 0;
  if (nowMs < policyUntil) {
    const message = `ingestion blocked for user '${tenant}' (policy: '${policy}') ${until(policyUntil)}`;
    return { reason: 'blocked_ingestion_policy', status, message };
  }
  return null;
}

/** Farther than this from the base (ns), a row goes into the next StreamRows: its offset has to stay exact. */
const MAX_SPAN_NS = 2 ** 51;

/** Collects the valid rows of one stream as columns. */
class StreamBuilder {
  readonly #rows: PushRows;
  readonly #stream: KnownStream;
  readonly #rules: TenantRules;
  readonly #done: StreamRows[] = [];
  readonly #findsLevels: boolean;
  readonly #increments: boolean;
  #room: number;
  lineCount = 0;
  bytes = 0;

  #count = 0;
  #offsets: Float64Array;
  #lineStarts: Uint32Array;
  #lineLengths: Uint32Array;
  #metaIndexes: Uint32Array;
  #sets = new MetadataSets();
  #baseSeconds = 0;
  #baseNanos = 0;
  #lowest = 0;
  #ascending = true;

  // Of the row stored last, for increment_duplicate_timestamp.
  #lastRow = -1;
  #lastSeconds = 0;
  #lastNanos = 0;
  #plainSeconds = 0;
  #plainNanos = 0;

  constructor(rows: PushRows, pushed: PushedStream, stream: KnownStream, rules: TenantRules) {
    const { limits } = rules;
    this.#rows = rows;
    this.#stream = stream;
    this.#rules = rules;
    this.#findsLevels = limits.discover_log_levels && limits.allow_structured_metadata && !stream.isInternal;
    this.#increments = limits.increment_duplicate_timestamp;
    this.#room = pushed.rowCount;
    this.#offsets = new Float64Array(this.#room);
    this.#lineStarts = new Uint32Array(this.#room);
    this.#lineLengths = new Uint32Array(this.#room);
    this.#metaIndexes = new Uint32Array(this.#room);
  }

  add(row: number): void {
    const rows = this.#rows;
    const lineStart = rows.lineStarts[row]!;
    const lineLength = rows.lineLengths[row]!;
    let seconds = rows.seconds[row]!;
    let nanos = rows.nanos[row]!;
    if (seconds >= 9223372036 || seconds <= -9223372036) [seconds, nanos] = wrappedTime(seconds, nanos);
    if (this.#increments) [seconds, nanos] = this.#incremented(row, seconds, nanos);

    if (this.#count === 0) {
      this.#baseSeconds = seconds;
      this.#baseNanos = nanos;
    }
    let offset = (seconds - this.#baseSeconds) * 1e9 + (nanos - this.#baseNanos);
    if (offset > MAX_SPAN_NS || offset < -MAX_SPAN_NS) {
      this.#close();
      this.#baseSeconds = seconds;
      this.#baseNanos = nanos;
      offset = 0;
    }
    const at = this.#count;
    const index = this.#metadata(row, lineStart, lineLength);
    this.#offsets[at] = offset;
    this.#lineStarts[at] = lineStart;
    this.#lineLengths[at] = lineLength;
    this.#metaIndexes[at] = index;
    if (offset < this.#lowest) this.#lowest = offset;
    if (at > 0 && offset <= this.#offsets[at - 1]!) this.#ascending = false;
    this.#count = at + 1;
    this.lineCount++;
    this.bytes += lineLength + this.#sets.lastSize;
  }

  finish(): readonly StreamRows[] {
    this.#close();
    return this.#done;
  }

  /** Ends one StreamRows; the base becomes its earliest row, so that offsets are never negative. */
  #close(): void {
    const count = this.#count;
    if (count === 0) return;
    const offsets = this.#offsets;
    const lowest = this.#lowest;
    if (lowest < 0) for (let i = 0; i < count; i++) offsets[i]! -= lowest;
    const sets = this.#sets;
    this.#done.push({
      labels: this.#stream.text,
      baseNs: BigInt(this.#baseSeconds) * 1_000_000_000n + BigInt(this.#baseNanos) + BigInt(lowest),
      rowCount: count,
      offsetsNs: offsets.subarray(0, count),
      lineStarts: this.#lineStarts.subarray(0, count),
      lineLengths: this.#lineLengths.subarray(0, count),
      source: this.#rows.source,
      metaIndexes: this.#metaIndexes.subarray(0, count),
      metaSetCount: sets.setCount,
      metaEnds: sets.ends,
      metaBytes: sets.bytes,
      ascending: this.#ascending,
    });
    this.#room -= count;
    this.#offsets = offsets.subarray(count);
    this.#lineStarts = this.#lineStarts.subarray(count);
    this.#lineLengths = this.#lineLengths.subarray(count);
    this.#metaIndexes = this.#metaIndexes.subarray(count);
    this.#sets = new MetadataSets();
    this.#count = 0;
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
    const found: [string, string][] = [];
    for (const field of this.#rules.genericFields) {
      const value = findGenericField(field, this.#stream.labels, metadata, line);
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
