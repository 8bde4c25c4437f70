import { join } from 'node:path';
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/logger.ts';
import type { WalFile, WalFiles } from './files.ts';
import {
  encodeRecordHeader,
  encodeSegmentHeader,
  paddingFor,
  RECORD_PROBE,
  recordBytes,
  SEGMENT_HEADER_BYTES,
  segmentName,
} from './format.ts';
import type { Appended } from './wal.ts';

/** The disk does not take the record now. Try again later. */
export class WalUnavailableError extends Error {
  readonly code = 'wal_unavailable';
  readonly retryable = true;
}

export interface SegmentWriterOptions {
  readonly files: WalFiles;
  readonly directory: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly firstSegmentId: number;
  readonly firstSequence: number;
  readonly segmentBytes: number;
  readonly fsync: boolean;
  readonly maxQueuedBytes: number;
  readonly retryMs: number;
}

interface Queued {
  readonly header: Buffer;
  readonly payload: Uint8Array;
  readonly sequence: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Enough that the disk counts and not the calls, little enough that the first of a group does not wait long. */
const MAX_GROUP_BYTES = 32 << 20;
/** What a disk must take before pushes are let in again. */
const PROBE_BYTES = 64 << 10;

/**
 * Appends records to segments. While one write is under way everything new queues and goes out together in the next.
 *
 * When a write fails, its group and all that waits are refused, and the file is cut back to its last good record; if that
 * fails too, the file is left behind and a new segment begun. Appends are refused until a probe of some size was written.
 */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  #sequence: number;
  /** Segments with their sizes, ascending; the last is the one being written when `#file` is set. */
  readonly #segments: { id: number; bytes: number }[] = [];
  #nextSegmentId: number;
  #file: WalFile | null = null;
  #position = 0;
  #pumping: Promise<void> | null = null;
  #failure: Error | null = null;
  #recovering: Promise<void> | null = null;
  readonly #stopping = new AbortController();

  constructor(options: SegmentWriterOptions) {
    this.#options = options;
    this.#sequence = options.firstSequence;
    this.#nextSegmentId = options.firstSegmentId;
  }

  get segmentId(): number {
    return this.#file === null ? this.#nextSegmentId : this.#segments.at(-1)!.id;
  }

  /** Appends are refused until the disk takes bytes again. */
  get isFailing(): boolean {
    return this.#failure !== null;
  }

  get oldestSegmentId(): number {
    return this.#segments[0]?.id ?? this.#nextSegmentId;
  }

  get sizeBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  assertWritable(payloadBytes: number): void {
    if (this.#stopping.signal.aborted) throw new WalUnavailableError('the write-ahead log is closed');
    if (this.#failure !== null) {
      throw new WalUnavailableError('the write-ahead log cannot be written', { cause: this.#failure });
    }
    // A single record of any size is let through when nothing waits: it could never get in otherwise.
    if (this.#queuedBytes > 0 && this.#queuedBytes + payloadBytes > this.#options.maxQueuedBytes) {
      throw new WalUnavailableError('too much waits for the write-ahead log');
    }
  }

  append(type: number, payload: Uint8Array): Appended {
    this.assertWritable(payload.length);
    const sequence = this.#sequence++;
    const segmentId = this.segmentId;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#queue.push({ header: encodeRecordHeader(type, sequence, payload), payload, sequence, resolve, reject });
    this.#queuedBytes += recordBytes(payload.length);
    this.#pumping ??= this.#pump();
    return { sequence, segmentId, written: promise };
  }

  async removeBefore(segmentId: number): Promise<void> {
    const { files, directory } = this.#options;
    while (this.#segments.length > 0 && this.#segments[0]!.id < Math.min(segmentId, this.segmentId)) {
      await files.remove(join(directory, segmentName(this.#segments[0]!.id)));
      this.#segments.shift();
    }
  }

  /** Returns the ids of the segments that this writer made and did not remove. */
  async close(): Promise<number[]> {
    while (this.#pumping !== null) await this.#pumping;
    this.#stopping.abort(new WalUnavailableError('the write-ahead log is closed'));
    await this.#recovering;
    await this.#file?.close();
    this.#file = null;
    return this.#segments.map((segment) => segment.id);
  }

  async #pump(): Promise<void> {
    // One turn later, so that the pushes of this turn share a write.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const group = this.#takeGroup();
      try {
        await this.#write(group);
        for (const record of group) record.resolve();
      } catch (error: unknown) {
        this.#fail(group, error as Error);
        await this.#cutBack();
      }
    }
    this.#pumping = null;
  }

  #takeGroup(): Queued[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && (count === 0 || bytes < MAX_GROUP_BYTES)) {
      bytes += recordBytes(this.#queue[count++]!.payload.length);
    }
    return this.#queue.splice(0, count);
  }

  async #write(group: readonly Queued[]): Promise<void> {
    if (this.#file !== null && this.#position >= this.#options.segmentBytes) {
      const full = this.#file;
      this.#file = null;
      await full.close();
    }
    const file = this.#file ?? (await this.#begin(group[0]!.sequence));
    const buffers: Uint8Array[] = [];
    for (const { header, payload } of group) {
      buffers.push(header, payload);
      const padding = paddingFor(payload.length);
      if (padding.length > 0) buffers.push(padding);
    }
    const bytes = await writeFully(file, buffers, this.#position);
    if (this.#options.fsync) await file.sync();
    this.#position += bytes;
    this.#segments.at(-1)!.bytes = this.#position;
    this.#queuedBytes -= bytes;
  }

  /**
   * Until the segment is the one being written, its number stays the next one: what is appended meanwhile comes into it, and
   * it must not be removed as if it were past.
   */
  async #begin(firstSequence: number): Promise<WalFile> {
    const { files, directory, fsync } = this.#options;
    const id = this.#nextSegmentId;
    try {
      await files.makeDirectory(directory); // somebody may have removed it
      const file = await files.create(join(directory, segmentName(id)));
      this.#segments.push({ id, bytes: 0 });
      try {
        this.#position = await writeFully(file, [encodeSegmentHeader(id, firstSequence)], 0);
        if (fsync) await files.syncDirectory(directory);
      } catch (error: unknown) {
        // A segment without its header is nothing; a full disk must not collect one an attempt.
        await this.#abandon(file);
        this.#segments.pop();
        await files.remove(join(directory, segmentName(id)));
        throw error;
      }
      this.#file = file;
      return file;
    } finally {
      this.#nextSegmentId = id + 1;
    }
  }

  #fail(group: readonly Queued[], cause: Error): void {
    const refused = [...group, ...this.#queue];
    this.#queue = [];
    this.#queuedBytes = 0;
    if (this.#failure === null) {
      this.#options.logger.error('the write-ahead log cannot be written; pushes are refused', { err: cause });
    }
    this.#failure = cause;
    const error = new WalUnavailableError('the write-ahead log cannot be written', { cause });
    for (const record of refused) record.reject(error);
    this.#recovering ??= this.#recover();
  }

  /**
   * Takes back what a failed write left, and ends the segment: once its rows are stored it can be removed, which may be
   * the only way to room on a full disk. One without records is used again; after a failed sync nothing can be trusted.
   */
  async #cutBack(): Promise<void> {
    if (this.#file === null) return;
    const file = this.#file;
    try {
      await file.truncate(this.#position);
      if (!this.#options.fsync && this.#position <= SEGMENT_HEADER_BYTES) return;
    } catch (error: unknown) {
      this.#options.logger.warn('a torn write-ahead log segment is left behind', { err: error });
    }
    this.#file = null;
    await this.#abandon(file);
  }

  async #abandon(file: WalFile): Promise<void> {
    try {
      await file.close();
    } catch (error: unknown) {
      this.#options.logger.warn('a write-ahead log segment could not be closed', { err: error });
    }
  }

  async #recover(): Promise<void> {
    const { clock, logger, retryMs } = this.#options;
    while (!this.#stopping.signal.aborted) {
      try {
        await clock.sleep(retryMs, this.#stopping.signal);
      } catch {
        break; // closed while waiting: nothing to recover for
      }
      try {
        await this.#probe();
        this.#failure = null;
        logger.info('the write-ahead log can be written again');
        break;
      } catch (error: unknown) {
        this.#failure = error as Error;
      }
    }
    this.#recovering = null;
  }

  async #probe(): Promise<void> {
    while (this.#pumping !== null) await this.#pumping;
    const file = this.#file ?? (await this.#begin(this.#sequence));
    const payload = Buffer.alloc(PROBE_BYTES);
    try {
      await writeFully(file, [encodeRecordHeader(RECORD_PROBE, 0, payload), payload], this.#position);
      if (this.#options.fsync) await file.sync();
      await file.truncate(this.#position);
    } catch (error: unknown) {
      await this.#cutBack();
      throw error;
    }
  }
}

async function writeFully(file: WalFile, buffers: readonly Uint8Array[], position: number): Promise<number> {
  let total = 0;
  let rest = buffers;
  while (rest.length > 0) {
    let written = await file.writev(rest, position + total);
    if (written === 0) throw new Error('the file system wrote nothing');
    total += written;
    let i = 0;
    while (i < rest.length && written >= rest[i]!.length) written -= rest[i++]!.length;
    rest = written > 0 ? [rest[i]!.subarray(written), ...rest.slice(i + 1)] : rest.slice(i);
  }
  return total;
}
