import { availableParallelism } from 'node:os';
import { SegmentCatalog } from '../../storage/index/index.ts';
import { type ObjectStore, type ObjectStoreConfig, startObjectStore } from '../../storage/objectstore/index.ts';
import { WorkerPool } from '../../storage/scan/worker-pool.ts';
import { type Config, directoriesOf, s3SettingsOf } from '../config/index.ts';
import { CatalogKeeper } from '../querier/catalog-keeper.ts';
import type { HeldDeletes } from '../querier/held-deletes.ts';
import type { Membership } from '../ring/index.ts';
import { remoteCacheOf } from './cache-part.ts';
import type { Host } from './host.ts';
import type { RingPart } from './ring-part.ts';

/** Footers and filters that are read before anybody asks: of about 3 GB of lines. */
const READ_AHEAD_BYTES = 32 * 1024 * 1024;

/** Where stored rows lie, what is known of them, and the threads that read and write them. */
export interface StoragePart {
  readonly config: ObjectStoreConfig;
  readonly store: ObjectStore;
  readonly catalog: SegmentCatalog;
  readonly pool: WorkerPool;
}

/** The catalog is empty until it is loaded or looked after by `keepCatalog`. Throws ObjectStoreError. */
export async function startStorage(host: Host): Promise<StoragePart> {
  const config = objectStoreConfig(host.config);
  const store = await startObjectStore(config);
  const catalog = new SegmentCatalog(store, host.logger('store'));
  const pool = new WorkerPool({
    size: workersOf(host.config),
    settings: { objectStore: config },
    logger: host.logger('workers'),
  });
  host.onStop('workers', () => pool.stop());
  return { config, store, catalog, pool };
}

/** Ranges of segments are kept at hand where reading them again would be a request to S3. */
export function objectStoreConfig(config: Config): ObjectStoreConfig {
  const s3 = s3SettingsOf(config);
  if (s3 === undefined) return { kind: 'filesystem', directory: directoriesOf(config).objects };
  const settings = config.chunk_store_config.chunk_cache_config;
  const { enabled, max_size_mb: megabytes, ttl } = settings.embedded_cache;
  const threads = workersOf(config) + 1;
  const memoryBytes = enabled ? Math.floor((megabytes * 1024 * 1024) / threads) : 0;
  return { kind: 's3', ...s3, cache: { memoryBytes, ttlMs: ttl, remote: remoteCacheOf(settings) } };
}

const workersOf = (config: Config): number => config.querier.workers || availableParallelism();

/**
 * Lists what is stored, and in a cluster goes on looking after it: others store, replace and delete as well. Throws
 * ObjectStoreError.
 */
export async function keepCatalog(
  host: Host,
  { catalog }: StoragePart,
  ring: RingPart,
  deletes: HeldDeletes | undefined,
): Promise<CatalogKeeper | undefined> {
  if (!ring.isCluster) {
    await catalog.load();
    readAhead(host, catalog);
    return undefined;
  }
  const keeper = new CatalogKeeper({
    catalog,
    members: startsOf(ring.members.ingester),
    ...(deletes && { deletes }),
    clock: host.clock,
    logger: host.logger('store'),
  });
  await keeper.start();
  host.onStop('catalog', () => keeper.stop());
  return keeper;
}

/** While nobody asks yet. A query that comes before its end reads what it needs itself. */
function readAhead(host: Host, catalog: SegmentCatalog): void {
  const stopping = new AbortController();
  const logger = host.logger('store');
  const done = catalog
    .readAhead(READ_AHEAD_BYTES, stopping.signal)
    .catch((err: unknown) => logger.warn('what is stored cannot be read ahead; queries will try again', { err }));
  host.onStop('reading ahead', () => {
    stopping.abort();
    return done;
  });
}

/** Each ingester that the ring knows of, under another text once it has started again: what it named before is gone. */
function startsOf(ingesters: Membership): () => string[] {
  const starts = new Map<string, number>();
  let joining: ReadonlySet<string> = new Set();
  ingesters.onChange(() => {
    const now = new Set(ingesters.all().flatMap(({ id, state }) => (state === 'JOINING' ? [id] : [])));
    for (const id of now) if (!joining.has(id)) starts.set(id, (starts.get(id) ?? 0) + 1);
    joining = now;
  });
  return () => ingesters.all().map(({ id }) => `${id} ${starts.get(id) ?? 0}`);
}
