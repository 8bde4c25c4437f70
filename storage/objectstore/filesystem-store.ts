import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type FileHandle, mkdir, open, opendir, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { codeOf, isMissing, toObjectStoreError } from './file-errors.ts';
import { keyOfNames, pathOfKey } from './file-names.ts';
import {
  type ByteRange,
  checkKey,
  checkRange,
  type ObjectEntry,
  type ObjectStore,
  ObjectStoreError,
} from './object-store.ts';

export interface FilesystemStoreConfig {
  readonly kind: 'filesystem';
  readonly directory: string;
}

/** Objects on their way; a key's first name never starts with a dot. */
const TEMPORARY = '.tmp';
/** A temporary file of another machine (a shared volume) that is older than this belongs to nobody. */
const LEFTOVER_AGE_MS = 24 * 3600 * 1000;
const STATS_AT_ONCE = 64;
/** Files that `getSync` keeps open: opening one costs as much as reading a block. */
const MAX_OPEN_FILES = 32;
/** For so long: the disk space of a deleted object is free only when nobody has it open. */
const KEEP_OPEN_MS = 10_000;
/** Linux takes as many in one call. */
const PIECES_A_WRITE = 1024;

const newBytes = (length: number): Uint8Array => Buffer.allocUnsafeSlow(length);

/**
 * Objects as files below a directory. `put` writes a temporary file, syncs it, renames it into place and syncs the
 * folder: after it resolves the object survives a loss of power.
 */
export class FilesystemStore implements ObjectStore {
  readonly #directory: string;
  /** Descriptors by key, the latest used last. An object never changes; one that was deleted may still be read. */
  readonly #files = new Map<string, number>();

  constructor(config: FilesystemStoreConfig) {
    this.#directory = config.directory;
  }

  async put(key: string, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    checkKey(key);
    const target = this.#path(key);
    const folder = join(this.#directory, TEMPORARY);
    const temporary = join(folder, `${encodeURIComponent(hostname())} ${process.pid} ${randomUUID()}`);
    await attempt(
      'put',
      key,
      async () => {
        signal?.throwIfAborted();
        await mkdir(folder, { recursive: true });
        try {
          await writeSynced(temporary, pieces);
          signal?.throwIfAborted();
          await makeFolder(dirname(target));
          await rename(temporary, target);
          this.#forget(key);
          await syncFolder(dirname(target));
        } catch (error: unknown) {
          await rm(temporary, { force: true });
          throw error;
        }
      },
      signal,
    );
  }

  get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    return attempt(
      'get',
      key,
      async () => {
        checkKey(key);
        if (range) checkRange(range);
        signal?.throwIfAborted();
        const file = await open(this.#path(key), 'r');
        try {
          const { offset, length } = range ?? { offset: 0, length: await sizeOf(file) };
          const bytes = Buffer.allocUnsafeSlow(length);
          for (let done = 0; done < length; ) {
            const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
            if (bytesRead === 0) throw rangePastEnd(key, offset, length);
            done += bytesRead;
          }
          return bytes;
        } finally {
          await file.close();
        }
      },
      signal,
    );
  }

  getSync(key: string, range?: ByteRange, allocate: (bytes: number) => Uint8Array = newBytes): Uint8Array {
    if (range) checkRange(range);
    try {
      const file = this.#fileOf(key);
      const { offset, length } = range ?? { offset: 0, length: fstatSync(file).size };
      const bytes = allocate(length);
      for (let done = 0; done < length; ) {
        const bytesRead = readSync(file, bytes, done, length - done, offset + done);
        if (bytesRead === 0) throw rangePastEnd(key, offset, length);
        done += bytesRead;
      }
      return bytes;
    } catch (error: unknown) {
      throw toObjectStoreError('get', key, error);
    }
  }

  #fileOf(key: string): number {
    const known = this.#files.get(key);
    if (known !== undefined) {
      this.#files.delete(key);
      this.#files.set(key, known);
      return known;
    }
    checkKey(key);
    const file = openSync(this.#path(key), 'r');
    if (this.#files.size === 0) setTimeout(() => this.#closeFiles(), KEEP_OPEN_MS).unref();
    this.#files.set(key, file);
    if (this.#files.size > MAX_OPEN_FILES) {
      const [oldest, descriptor] = this.#files.entries().next().value!;
      this.#files.delete(oldest);
      closeSync(descriptor);
    }
    return file;
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectEntry> {
    // Whole parts of the prefix name a folder; what is behind its last slash is compared with keys.
    const lastSlash = prefix.lastIndexOf('/');
    const names = lastSlash > 0 ? pathOfKey(prefix.slice(0, lastSlash)).split('/') : [];
    for await (const { key, sizeBytes } of this.#walk(names, signal)) {
      if (key.startsWith(prefix)) yield { key, sizeBytes };
    }
  }

  async *#walk(names: readonly string[], signal?: AbortSignal): AsyncGenerator<ObjectEntry> {
    const folder = join(this.#directory, ...names);
    const entries = await attempt(
      'list',
      names.join('/'),
      async () => {
        signal?.throwIfAborted();
        try {
          return await readdir(folder, { withFileTypes: true });
        } catch (error: unknown) {
          if (isMissing(error)) return []; // nothing was put below this prefix
          throw error;
        }
      },
      signal,
    );
    const files: { key: string; file: string }[] = [];
    for (const entry of entries) {
      if (names.length === 0 && entry.name === TEMPORARY) continue;
      if (entry.isDirectory()) yield* this.#walk([...names, entry.name], signal);
      if (!entry.isFile()) continue;
      const key = keyOfNames([...names, entry.name]);
      if (key !== null) files.push({ key, file: join(folder, entry.name) });
    }
    for (let from = 0; from < files.length; from += STATS_AT_ONCE) {
      signal?.throwIfAborted();
      const some = files.slice(from, from + STATS_AT_ONCE);
      const sizes = await Promise.all(
        some.map(({ key, file }) => attempt('list', key, () => sizeIfThere(file), signal)),
      );
      for (let i = 0; i < some.length; i++) if (sizes[i] !== null) yield { key: some[i]!.key, sizeBytes: sizes[i]! };
    }
  }

  async delete(key: string, signal?: AbortSignal): Promise<void> {
    checkKey(key);
    await attempt(
      'delete',
      key,
      async () => {
        signal?.throwIfAborted();
        const path = this.#path(key);
        this.#forget(key);
        try {
          await rm(path);
        } catch (error: unknown) {
          if (isMissing(error)) return;
          throw error;
        }
        await syncFolder(dirname(path));
      },
      signal,
    );
  }

  head(key: string, signal?: AbortSignal): Promise<ObjectEntry> {
    return attempt(
      'head',
      key,
      async () => {
        checkKey(key);
        signal?.throwIfAborted();
        const found = await stat(this.#path(key));
        if (!found.isFile()) throw new ObjectStoreError('not_found', `${key} is a folder`);
        return { key, sizeBytes: found.size };
      },
      signal,
    );
  }

  close(): void {
    this.#closeFiles();
  }

  #closeFiles(): void {
    for (const file of this.#files.values()) closeSync(file);
    this.#files.clear();
  }

  #forget(key: string): void {
    const file = this.#files.get(key);
    if (file === undefined) return;
    this.#files.delete(key);
    closeSync(file);
  }

  /** Removes what puts that were killed left behind. Once, when the process starts. Returns how many. */
  async removeLeftovers(): Promise<number> {
    const folder = join(this.#directory, TEMPORARY);
    return attempt('start', folder, async () => {
      await mkdir(folder, { recursive: true });
      let removed = 0;
      for await (const entry of await opendir(folder)) {
        const path = join(folder, entry.name);
        if (!(await isLeftover(entry.name, path))) continue;
        await rm(path, { force: true });
        removed++;
      }
      return removed;
    });
  }

  #path(key: string): string {
    return join(this.#directory, pathOfKey(key));
  }
}

async function writeSynced(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'wx');
  try {
    for (let from = 0; from < pieces.length; from += PIECES_A_WRITE) {
      await writeAll(file, pieces.slice(from, from + PIECES_A_WRITE));
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A segment has a piece a block: each call for itself would wait for its turn of a busy event loop. */
async function writeAll(file: FileHandle, pieces: readonly Uint8Array[]): Promise<void> {
  for (let left = pieces; left.length > 0; ) {
    let { bytesWritten } = await file.writev(left);
    if (bytesWritten === 0 && left.some((piece) => piece.length > 0)) throw new Error('the file system wrote nothing');
    let done = 0;
    while (done < left.length && bytesWritten >= left[done]!.length) bytesWritten -= left[done++]!.length;
    left = left.slice(done);
    if (bytesWritten > 0) left = [left[0]!.subarray(bytesWritten), ...left.slice(1)];
  }
}

/** Makes a folder and those above it, and syncs every folder that got a new entry. */
async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function sizeOf(file: FileHandle): Promise<number> {
  return (await file.stat()).size;
}

/** Null when the file was deleted since its folder was read. */
async function sizeIfThere(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error: unknown) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function isLeftover(name: string, path: string): Promise<boolean> {
  const [host, pid] = name.split(' ');
  if (host === encodeURIComponent(hostname()) && pid !== undefined) {
    return Number(pid) === process.pid || !isAlive(Number(pid));
  }
  try {
    return Date.now() - (await stat(path)).mtimeMs > LEFTOVER_AGE_MS;
  } catch (error: unknown) {
    if (isMissing(error)) return false; // its put has just finished
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error: unknown) {
    return codeOf(error) === 'EPERM'; // alive, another user's
  }
}

function rangePastEnd(key: string, offset: number, length: number): ObjectStoreError {
  return new ObjectStoreError('invalid', `get ${key}: the range ${offset}+${length} passes the end`);
}

async function attempt<T>(operation: string, key: string, run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await run();
  } catch (error: unknown) {
    if (signal?.aborted) throw new ObjectStoreError('aborted', `${operation} ${key}: aborted`, { cause: error });
    throw toObjectStoreError(operation, key, error);
  }
}
