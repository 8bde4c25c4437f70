import type { RangeCacheConfig } from './cached-store.ts';
import { FilesystemStore, type FilesystemStoreConfig } from './filesystem-store.ts';
import type { ObjectStore } from './object-store.ts';
import type { S3StoreConfig } from './s3-store.ts';

/** Plain data, so that a worker thread can be handed it and make a store of its own. */
export type ObjectStoreConfig = (FilesystemStoreConfig | S3StoreConfig) & {
  /** For who reads the same ranges of segments again; absent: none is kept. */
  readonly cache?: RangeCacheConfig | undefined;
};

/**
 * Touches nothing: the first call of the store does. The client of S3 is loaded only where it is asked for: it takes
 * 20 MB of memory in each thread.
 */
export async function createObjectStore(config: ObjectStoreConfig): Promise<ObjectStore> {
  const store = await createPlainStore(config);
  if (config.cache === undefined) return store;
  const { CachedStore } = await import('./cached-store.ts');
  return CachedStore.create(store, config.cache);
}

async function createPlainStore(config: ObjectStoreConfig): Promise<ObjectStore> {
  switch (config.kind) {
    case 'filesystem':
      return new FilesystemStore(config);
    case 's3': {
      const { S3Store } = await import('./s3-store.ts');
      return new S3Store(config);
    }
    default:
      throw new TypeError(`no such object store: ${JSON.stringify(config satisfies never)}`);
  }
}

/** As `createObjectStore`, for the process as a whole: also clears away what an earlier one left half written. */
export async function startObjectStore(config: ObjectStoreConfig): Promise<ObjectStore> {
  if (config.kind === 'filesystem') await new FilesystemStore(config).removeLeftovers();
  return createObjectStore(config);
}
