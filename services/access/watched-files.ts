import { readFile } from 'node:fs/promises';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';

export interface WatchedFilesOptions<T> {
  readonly files: readonly string[];
  /** Makes the value of the contents, in the order of `files`. Throws, naming the file, when they are wrong. */
  readonly read: (contents: readonly Buffer[]) => T;
  /** Told of each value but the first. */
  readonly onChange?: (value: T) => void;
  readonly periodMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A value made of files, read again every period. Files that went wrong leave the old value. */
export class WatchedFiles<T> {
  readonly #options: WatchedFilesOptions<T>;
  readonly #stopping = new AbortController();
  #value: T;
  #contents: readonly Buffer[];
  #isHealthy = true;
  #loop: Promise<void> | undefined;

  private constructor(options: WatchedFilesOptions<T>, contents: readonly Buffer[]) {
    this.#options = options;
    this.#contents = contents;
    this.#value = options.read(contents);
  }

  /** Rejects when the files cannot be read or are wrong. */
  static async start<T>(options: WatchedFilesOptions<T>): Promise<WatchedFiles<T>> {
    const watched = new WatchedFiles(options, await readAll(options.files));
    watched.#loop = watched.#reloadForEver();
    return watched;
  }

  get value(): T {
    return this.#value;
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopped'));
    await this.#loop;
  }

  async reload(): Promise<void> {
    const contents = await readAll(this.#options.files);
    if (contents.every((content, index) => content.equals(this.#contents[index]!))) return;
    const value = this.#options.read(contents);
    this.#options.onChange?.(value);
    this.#contents = contents;
    this.#value = value;
    this.#options.logger.info('files were read again', { files: this.#options.files });
  }

  async #reloadForEver(): Promise<void> {
    const { clock, files, logger, periodMs } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      try {
        await clock.sleep(periodMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      try {
        await this.reload();
        this.#isHealthy = true;
      } catch (error) {
        // Also the moment between the two files of a new certificate and its key.
        if (this.#isHealthy) logger.error('files not read again, what they said before holds', { files, err: error });
        this.#isHealthy = false;
      }
    }
  }
}

/** Errors of the file system name the file. */
const readAll = (files: readonly string[]): Promise<Buffer[]> => Promise.all(files.map((file) => readFile(file)));
