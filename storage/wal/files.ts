import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';

/** What the log asks of a file system. Tests wrap it to fail the nth write. */
export interface WalFiles {
  makeDirectory(directory: string): Promise<void>;
  list(directory: string): Promise<readonly string[]>;
  /** Creates a file that must not exist, for writing. */
  create(path: string): Promise<WalFile>;
  /** Opens for reading and truncating. */
  open(path: string): Promise<WalFile>;
  /** A file that is not there is no error. */
  remove(path: string): Promise<void>;
  /** Makes created and removed names survive a power loss. */
  syncDirectory(directory: string): Promise<void>;
}

export interface WalFile {
  /** May write less than everything; returns the number of bytes. */
  writev(buffers: readonly Uint8Array[], position: number): Promise<number>;
  read(into: Uint8Array, position: number): Promise<number>;
  size(): Promise<number>;
  truncate(length: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export const nodeFiles: WalFiles = {
  makeDirectory: async (directory) => {
    await mkdir(directory, { recursive: true });
  },
  list: (directory) => readdir(directory),
  create: async (path) => fileOf(await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o640)),
  open: async (path) => fileOf(await open(path, 'r+')),
  remove: (path) => rm(path, { force: true }),
  syncDirectory: async (directory) => {
    const handle = await open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

function fileOf(handle: FileHandle): WalFile {
  return {
    writev: async (buffers, position) => (await handle.writev(buffers as Uint8Array[], position)).bytesWritten,
    read: async (into, position) => (await handle.read(into, 0, into.length, position)).bytesRead,
    size: async () => (await handle.stat()).size,
    truncate: (length) => handle.truncate(length),
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}
