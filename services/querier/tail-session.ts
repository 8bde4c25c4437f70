import type { WebSocket } from 'ws';
import { type Labels, labelsKey } from '../../logql/labels.ts';
import type { BlockColumns } from '../../logql/source.ts';
import type { Pipeline } from '../../logql/stages/types.ts';
import { printLabels } from '../../logql/syntax/index.ts';
import { formatRfc3339Nano } from '../../logql/units/rfc3339.ts';
import { headToColumns } from '../../storage/block/index.ts';
import { type CompiledDelete, compileDeletes, deletedRows } from '../../storage/compaction/index.ts';
import { closeReason } from '../http/close-reason.ts';
import type { PendingDelete } from '../rpc/deletes.ts';
import type { StreamBatch } from '../rpc/push-batch.ts';
import { jsonLabels, jsonString } from './json.ts';
import { CATEGORIZE_LABELS, type LogEntry, renderFlags, renderValue } from './log-response.ts';
import { SeenRows } from './seen-rows.ts';

/** Entries of one message; Loki's bound. */
const MAX_ENTRIES_PER_MESSAGE = 100;
/** A reader that has this much unread gets no more for now; entries that then find no room to wait are dropped and reported. */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;
const MAX_WAITING_ENTRIES = 10_000;
const MAX_WAITING_CHARS = 16 * 1024 * 1024;
/** Dropped entries that are named to the client; more are only left out. */
const MAX_REPORTED_DROPS = 1000;
const MAX_LABEL_SETS = 10_000;
const SEND_EVERY_MS = 50;
const PING_EVERY_MS = 1000;
/** Answers of 1011 carry a text, as Loki's do. */
export const CLOSE_ERROR = 1011;
export const CLOSE_GOING_AWAY = 1001;

export interface TailSessionOptions {
  /** Makes the query's pipeline. Called again when the old one has met so many label sets that it is let go. */
  readonly compile: () => Pipeline;
  /** Requests that hide rows of the tenant now. */
  readonly deletes: () => readonly PendingDelete[];
  readonly flags: readonly string[];
  readonly delayMs: number;
  readonly maxDurationMs: number;
  readonly legacy: boolean;
  /** One row may arrive several times, from several ingesters. */
  readonly repeats: boolean;
  /** Entries sent, and dropped for a slow reader. */
  readonly onSent: (entries: number, bytes: number) => void;
}

interface Waiting {
  readonly entry: LogEntry;
  /** Time of the clock at which it is sent. */
  readonly dueMs: number;
}

/** What a client is told of an entry that it did not get. */
type Dropped = Pick<LogEntry, 'timestampNs' | 'group'>;

/**
 * One follower of a query: takes accepted rows as they arrive, runs the query's stages over them, and sends what is
 * left, in order of time within the delay that the client asked for.
 */
export class TailSession {
  readonly #socket: WebSocket;
  readonly #options: TailSessionOptions;
  #waiting: Waiting[] = [];
  #waitingChars = 0;
  #dropped: Dropped[] = [];
  /** The requests as they were when they were last looked at, compiled. */
  #deletes: { readonly of: readonly PendingDelete[]; readonly compiled: readonly CompiledDelete[] } | null = null;
  #pipeline: Pipeline;
  /** Null where no row arrives twice. */
  readonly #seen: SeenRows | null;
  /** The history is there; until then nothing is sent. */
  #ready = false;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(socket: WebSocket, options: TailSessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#pipeline = options.compile();
    this.#seen = options.repeats ? new SeenRows() : null;
    this.#timers.push(setInterval(() => this.#send(), SEND_EVERY_MS));
    this.#timers.push(setInterval(() => this.#ping(), PING_EVERY_MS));
    this.#timers.push(
      setTimeout(() => this.close(CLOSE_ERROR, 'reached tail max duration limit'), options.maxDurationMs),
    );
    socket.once('close', () => this.#end());
    socket.on('error', () => socket.terminate());
  }

  /** History, in the order in which it is to be sent, before everything else. Rows that arrived meanwhile count once. */
  backlog(entries: readonly LogEntry[]): void {
    const now = Date.now();
    const known = new Set(entries.map(entryKey));
    const live = this.#waiting.filter((w) => !known.has(entryKey(w.entry)));
    this.#waiting = [...entries.map((entry) => ({ entry, dueMs: now })), ...live];
    this.#waitingChars = charsOf(this.#waiting);
    this.#ready = true;
  }

  /** Rows that an ingester has accepted. The batch is only read during the call. */
  rows(labels: Labels, batch: StreamBatch): void {
    if (this.#pipeline.groups.length > MAX_LABEL_SETS) this.#pipeline = this.#options.compile();
    const pipeline = this.#pipeline;
    const columns = headToColumns(
      {
        rowCount: batch.rowCount,
        baseNs: batch.baseNs,
        offsetsNs: batch.offsetsNs,
        lineEnds: runningSum(batch.lineLengths),
        bytes: batch.lineBytes,
        metaIndexes: batch.metaIndexes,
        metaEnds: batch.metaEnds,
        metaBytes: batch.metaBytes,
        ascending: batch.ascending,
        metadataBytes: 0, // nobody asks a tail for figures
      },
      { lines: true, metadata: null },
    );
    const deleted = this.#deletedRows(columns, labels);
    pipeline.open(columns, labels);
    let rows = Uint32Array.from({ length: columns.rowCount }, (_, r) => r);
    if (deleted !== null) rows = rows.filter((row) => deleted[row] === 0);
    const count = pipeline.filter(rows, rows.length);
    const now = Date.now();
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (!pipeline.run(row) || this.#seen?.isKnown(labels, columns, row)) continue;
      const entry: LogEntry = {
        timestampNs: columns.baseNs + BigInt(columns.offsetsNs[row]!),
        group: pipeline.groups[pipeline.group]!,
        line: pipeline.line(),
      };
      if (this.#waiting.length >= MAX_WAITING_ENTRIES || this.#waitingChars > MAX_WAITING_CHARS) this.#drop(entry);
      else {
        this.#waiting.push({ entry, dueMs: this.#dueMs(entry, now) });
        this.#waitingChars += entry.line.length;
      }
    }
  }

  #deletedRows(columns: BlockColumns, labels: Labels): Uint8Array | null {
    const pending = this.#options.deletes();
    if (pending.length === 0) return null;
    if (this.#deletes?.of !== pending) {
      this.#deletes = { of: pending, compiled: compileDeletes(pending.map(({ rule }) => rule)) };
    }
    const rules = this.#deletes.compiled.filter((_, i) => pending[i]!.matches(labels));
    return deletedRows(columns, labels, rules, null);
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, closeReason(reason));
  }

  /** The delay runs from an entry's own time, so that one that is late is due before those it belongs in front of. */
  #dueMs({ timestampNs }: LogEntry, nowMs: number): number {
    return Math.min(nowMs, Number(timestampNs / 1_000_000n)) + this.#options.delayMs;
  }

  #drop({ timestampNs, group }: LogEntry): void {
    if (this.#dropped.length < MAX_REPORTED_DROPS) this.#dropped.push({ timestampNs, group });
  }

  #send(): void {
    if (!this.#ready || this.#socket.readyState !== this.#socket.OPEN) return;
    const now = Date.now();
    const due = this.#waiting.filter((w) => w.dueMs <= now);
    if (due.length === 0) return;
    this.#waiting = due.length === this.#waiting.length ? [] : this.#waiting.filter((w) => w.dueMs > now);
    this.#waitingChars = charsOf(this.#waiting);
    const entries = due.map((w) => w.entry);
    if (this.#options.delayMs > 0) entries.sort(byTime);
    for (let i = 0; i < entries.length; i += MAX_ENTRIES_PER_MESSAGE) {
      const part = entries.slice(i, i + MAX_ENTRIES_PER_MESSAGE);
      if (this.#socket.bufferedAmount > MAX_UNSENT_BYTES) {
        this.#waitAgain(entries.slice(i));
        return;
      }
      const message = this.#options.legacy ? this.#legacyMessage(part) : this.#message(part);
      this.#socket.send(message);
      this.#options.onSent(part.length, message.length);
    }
  }

  /** What the socket does not take now goes out before everything else; rows that come meanwhile may find no room. */
  #waitAgain(entries: readonly LogEntry[]): void {
    const first = entries.map((entry) => ({ entry, dueMs: Number.NEGATIVE_INFINITY }));
    this.#waiting = [...first, ...this.#waiting];
    this.#waitingChars = charsOf(this.#waiting);
  }

  #message(entries: readonly LogEntry[]): string {
    const { flags } = this.#options;
    const categorize = flags.includes(CATEGORIZE_LABELS);
    const streams = entries.map(
      (e) =>
        `{"stream":${jsonLabels(categorize ? e.group.stream : e.group.merged)},"values":[${renderValue(e, categorize)}]}`,
    );
    const dropped = this.#takeDropped();
    const droppedPart =
      dropped.length === 0
        ? ''
        : `,"dropped_entries":[${dropped
            .map((e) => `{"timestamp":"${e.timestampNs}","labels":${jsonLabels(e.group.merged)}}`)
            .join(',')}]`;
    return `{${renderFlags(flags)}"streams":[${streams.join(',')}]${droppedPart}}`;
  }

  #legacyMessage(entries: readonly LogEntry[]): string {
    const streams = entries.map((e) => {
      const labels = jsonString(printLabels(e.group.merged), false);
      return `{"labels":${labels},"entries":[{"ts":"${formatRfc3339Nano(e.timestampNs)}","line":${jsonString(e.line, true)}}]}`;
    });
    const dropped = this.#takeDropped();
    const list = dropped.map(
      (e) =>
        `{"timestamp":"${formatRfc3339Nano(e.timestampNs)}","labels":${jsonString(printLabels(e.group.merged), false)}}`,
    );
    return `{"streams":[${streams.join(',')}],"dropped_entries":${list.length ? `[${list.join(',')}]` : 'null'}}`;
  }

  #takeDropped(): Dropped[] {
    const dropped = this.#dropped;
    this.#dropped = [];
    return dropped;
  }

  #ping(): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
  }

  #end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#waiting = [];
  }
}

/** Tells entries apart; equal ones are the same row. */
function entryKey(entry: LogEntry): string {
  return `${entry.timestampNs} ${labelsKey(entry.group.merged)} ${entry.line}`;
}

function charsOf(waiting: readonly Waiting[]): number {
  let sum = 0;
  for (const { entry } of waiting) sum += entry.line.length;
  return sum;
}

function byTime(a: LogEntry, b: LogEntry): number {
  return a.timestampNs < b.timestampNs ? -1 : a.timestampNs > b.timestampNs ? 1 : 0;
}

function runningSum(lengths: Uint32Array): Uint32Array {
  const ends = new Uint32Array(lengths.length);
  let end = 0;
  for (let r = 0; r < lengths.length; r++) {
    end += lengths[r]!;
    ends[r] = end;
  }
  return ends;
}
