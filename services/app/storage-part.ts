import { availableParallelism } from 'node:os';
import { SegmentCatalog } from '../../storage/index/index.ts';
import { type ObjectStore, type ObjectStoreConfig, startObjectStore } from '../../storage/objectstore/index.ts';
import { WorkerPool } from '../../storage/scan/worker-pool.ts';
import { type Config, directoriesOf, s3SettingsOf } from '../config/index.ts';
import type { Host } from './host.ts';

/** Where stored rows lie, what is known of them, and the threads that read and write them. */
export interface StoragePart {
  readonly config: ObjectStoreConfig;
  readonly store: ObjectStore;
  readonly catalog: SegmentCatalog;
  readonly pool: WorkerPool;
}

/** Throws ObjectStoreError when the store cannot be read. */
export async function startStorage(host: Host): Promise<StoragePart> {
  const config = objectStoreConfig(host.config);
  const store = await startObjectStore(config);
  const catalog = new SegmentCatalog(store, host.logger('store'));
  await catalog.load();
  const pool = new WorkerPool({
    size: host.config.querier.workers || availableParallelism(),
    settings: { objectStore: config },
    logger: host.logger('workers'),
  });
  host.onStop('workers', () => pool.stop());
  return { config, store, catalog, pool };
}

function objectStoreConfig(config: Config): ObjectStoreConfig {
  const s3 = s3SettingsOf(config);
  return s3 === undefined ? { kind: 'filesystem', directory: directoriesOf(config).objects } : { kind: 's3', ...s3 };
}
