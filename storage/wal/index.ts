export { nodeFiles, type WalFile, type WalFiles } from './files.ts';
export { WalLockedError } from './lock.ts';
export type { WalCorruption, WalRecord } from './segment-reader.ts';
export { WalUnavailableError } from './segment-writer.ts';
export { type Appended, type ReplayResult, Wal, type WalOptions } from './wal.ts';
