import { FilesystemStore, type FilesystemStoreConfig } from './filesystem-store.ts';
import type { ObjectStore } from './object-store.ts';
import { S3Store, type S3StoreConfig } from './s3-store.ts';

/** Plain data, so that a worker thread can be handed it and make a store of its own. */
export type ObjectStoreConfig = FilesystemStoreConfig | S3StoreConfig;

/** Touches nothing: the first call of the store does. */
export function createObjectStore(config: ObjectStoreConfig): ObjectStore {
  switch (config.kind) {
    case 'filesystem':
      return new FilesystemStore(config);
    case 's3':
      return new S3Store(config);
    default:
      throw new TypeError(`no such object store: ${JSON.stringify(config satisfies never)}`);
  }
}

/** As `createObjectStore`, for the process as a whole: also clears away what an earlier one left half written. */
export async function startObjectStore(config: ObjectStoreConfig): Promise<ObjectStore> {
  const store = createObjectStore(config);
  if (store instanceof FilesystemStore) await store.removeLeftovers();
  return store;
}
