export type { RangeCacheConfig } from './cached-store.ts';
export { createObjectStore, type ObjectStoreConfig, startObjectStore } from './create.ts';
export { FilesystemStore, type FilesystemStoreConfig } from './filesystem-store.ts';
export {
  type ByteRange,
  MAX_KEY_BYTES,
  type ObjectEntry,
  type ObjectStore,
  ObjectStoreError,
  type ObjectStoreErrorCode,
} from './object-store.ts';
export type { S3StoreConfig } from './s3-store.ts';
