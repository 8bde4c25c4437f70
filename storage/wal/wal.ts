import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/logger.ts';
import { nodeFiles, type WalFiles } from './files.ts';
import { SEGMENT_NAME, segmentName } from './format.ts';
import { DirectoryLock } from './lock.ts';
import { scanSegment, type WalCorruption, type WalRecord } from './segment-reader.ts';
import { SegmentWriter } from './segment-writer.ts';

export interface WalOptions {
  readonly directory: string;
  /** A segment is closed by the first group that finds it at this size or above. */
  readonly segmentBytes?: number;
  /** Also survive a power loss: one `fdatasync` a group. */
  readonly fsync?: boolean;
  /** Bytes that may wait for the disk before appends are refused. */
  readonly maxQueuedBytes?: number;
  /** How long to wait between attempts after the disk refused a write. */
  readonly retryMs?: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly files?: WalFiles;
}

export interface Appended {
  /** Place in the order of all records ever appended; ascending, also across restarts. */
  readonly sequence: number;
  /** The record is in this segment or in a later one. */
  readonly segmentId: number;
  /** Resolves once the record is written (and synced, when asked for); rejects with WalUnavailableError. */
  readonly written: Promise<void>;
}

export interface ReplayResult {
  readonly records: number;
  readonly corruptions: readonly WalCorruption[];
}

/**
 * The write-ahead log: numbered segments, appended in groups, read once at start, dropped from the old end.
 * Life: `open`, `replay`, `start`, `append`s, `close`. `replay` reads what earlier processes left, and may run again after
 * `start`, as long as nothing was truncated. What an earlier process left is never appended to:
 * the first append begins a segment of its own, so nothing ever stands behind a damaged place.
 */
export class Wal {
  readonly #options: WalOptions;
  readonly #files: WalFiles;
  readonly #lock: DirectoryLock;
  /** Ids of segments of earlier processes, ascending. */
  #old: number[];
  #oldBytes = new Map<number, number>();
  #lastSequence = 0;
  #writer: SegmentWriter | null = null;
  #truncation: Promise<void> = Promise.resolve();

  private constructor(options: WalOptions, files: WalFiles, lock: DirectoryLock, old: number[]) {
    this.#options = options;
    this.#files = files;
    this.#lock = lock;
    this.#old = old;
  }

  /** Throws WalLockedError when another process holds the directory. */
  static async open(options: WalOptions): Promise<Wal> {
    const files = options.files ?? nodeFiles;
    await files.makeDirectory(options.directory);
    const lock = await DirectoryLock.take(options.directory);
    try {
      const ids = (await files.list(options.directory)).map((name) => SEGMENT_NAME.exec(name)?.[1]);
      const old = ids.filter((id) => id !== undefined).map(Number);
      return new Wal(
        options,
        files,
        lock,
        old.sort((x, y) => x - y),
      );
    } catch (error: unknown) {
      await lock.release();
      throw error;
    }
  }

  /**
   * Hands every readable record to `onRecord`, oldest first. A damaged place ends its segment, and reading goes on with
   * the next. The torn end of the newest segment, which a crash leaves, is cut off, so that it is reported once.
   */
  async replay(onRecord: (record: WalRecord) => void | Promise<void>): Promise<ReplayResult> {
    const corruptions: WalCorruption[] = [];
    let records = 0;
    for (const id of [...this.#old]) {
      const file = await this.#files.open(this.#path(id));
      try {
        const scan = await scanSegment(file, id, onRecord);
        records += scan.records;
        this.#lastSequence = Math.max(this.#lastSequence, scan.lastSequence);
        if (scan.corruption !== null) {
          corruptions.push(scan.corruption);
          if (id === this.#old.at(-1)) await file.truncate(scan.corruption.offset);
        }
        this.#oldBytes.set(id, await file.size());
      } finally {
        await file.close();
      }
    }
    return { records, corruptions };
  }

  /** Ends replay: from here on records can be appended. */
  start(): void {
    const { directory, clock, logger } = this.#options;
    this.#writer ??= new SegmentWriter({
      files: this.#files,
      directory,
      clock,
      logger,
      firstSegmentId: (this.#old.at(-1) ?? 0) + 1,
      firstSequence: this.#lastSequence + 1,
      segmentBytes: this.#options.segmentBytes ?? 64 << 20,
      fsync: this.#options.fsync ?? false,
      maxQueuedBytes: this.#options.maxQueuedBytes ?? 256 << 20,
      retryMs: this.#options.retryMs ?? 1000,
    });
  }

  /**
   * Queues a record. `payload` must not change until `written` settles. Throws WalUnavailableError at once while the
   * disk refuses writes or when too much waits for it.
   */
  append(type: number, payload: Uint8Array): Appended {
    return this.#active().append(type, payload);
  }

  /** Throws what `append` would throw, so that a caller can refuse before it changes anything. */
  assertWritable(payloadBytes: number): void {
    this.#active().assertWritable(payloadBytes);
  }

  /** Segment that the next record goes to, at the earliest. */
  get segmentId(): number {
    return this.#active().segmentId;
  }

  /** The disk refuses writes. */
  get isFailing(): boolean {
    return this.#writer?.isFailing ?? false;
  }

  get sizeBytes(): number {
    let sum = this.#writer?.sizeBytes ?? 0;
    for (const bytes of this.#oldBytes.values()) sum += bytes;
    return sum;
  }

  /** Oldest segment on disk. */
  get oldestSegmentId(): number {
    return this.#old[0] ?? this.#active().oldestSegmentId;
  }

  /** Removes segments below `segmentId`; the one being written stays. */
  truncateBefore(segmentId: number): Promise<void> {
    const done = this.#truncation.then(() => this.#truncate(segmentId));
    this.#truncation = done.catch(() => {}); // the caller of this truncation hears of it; the next one tries again
    return done;
  }

  /** Waits for what is queued. With `removeAll`, when nothing in the log is needed any more, leaves no segment. */
  async close({ removeAll = false } = {}): Promise<void> {
    try {
      await this.#truncation;
      const closed = await this.#writer?.close();
      if (removeAll) {
        for (const id of [...this.#old, ...(closed ?? [])]) await this.#files.remove(this.#path(id));
        this.#old = [];
      }
    } finally {
      await this.#lock.release();
    }
  }

  async #truncate(segmentId: number): Promise<void> {
    while (this.#old.length > 0 && this.#old[0]! < segmentId) {
      await this.#files.remove(this.#path(this.#old[0]!));
      this.#oldBytes.delete(this.#old[0]!);
      this.#old.shift();
    }
    await this.#writer?.removeBefore(segmentId);
  }

  #active(): SegmentWriter {
    assert(this.#writer !== null, 'the log is started');
    return this.#writer;
  }

  #path(id: number): string {
    return join(this.#options.directory, segmentName(id));
  }
}
