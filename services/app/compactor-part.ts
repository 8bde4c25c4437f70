import { PoolMerger } from '../../storage/scan/pool-merger.ts';
import { Compactor, DeleteRequests, deleteRoutes, expiryOf, settleMsOf } from '../compactor/index.ts';
import type { Route } from '../http/index.ts';
import type { IngesterClient } from '../rpc/ingester.ts';
import type { Host } from './host.ts';
import type { IngestersPart } from './ingesters-part.ts';
import type { RingPart } from './ring-part.ts';
import type { StoragePart } from './storage-part.ts';

/** The delete requests of the object store: queriers apply them, the compactor carries them out. */
export function deleteRequestsOf(host: Host, { store }: Pick<StoragePart, 'store'>): DeleteRequests {
  return new DeleteRequests({
    store,
    keyPrefix: host.config.compactor.delete_request_store_key_prefix,
    limits: host.limits,
    clock: host.clock,
    logger: host.logger('compactor'),
  });
}

export interface CompactorPart {
  readonly routes: readonly Route[];
  /** To be called once the ingesters know what they hold. */
  start(): void;
}

/** Throws ObjectStoreError when the requests cannot be read. */
export async function loadCompactor(
  host: Host,
  { config: storeConfig, store, catalog }: StoragePart,
  requests: DeleteRequests,
  ring: RingPart,
  { client }: IngestersPart,
): Promise<CompactorPart> {
  const { config, limits, clock, registry } = host;
  expiryOf(config.limits_config, 0n); // a selector that is none must be told now, not at the first run
  const compactor = new Compactor({
    config: {
      intervalMs: config.compactor.compaction_interval,
      retentionIntervalMs: config.compactor.apply_retention_interval,
      retentionEnabled: config.compactor.retention_enabled,
      retentionDeleteDelayMs: config.compactor.retention_delete_delay,
      cancelPeriodMs: config.compactor.delete_request_cancel_period,
      maxSegmentBytes: config.compactor.max_segment_size,
      settleMs: settleMsOf(config.ingester.max_chunk_age),
    },
    store,
    catalog,
    merger: new PoolMerger({
      settings: { objectStore: { ...storeConfig, cache: undefined } },
      logger: host.logger('compactor'),
    }),
    ingesters: () => allIngesters(ring, client),
    isLeader: () => !ring.isCluster || ring.members.compactor.healthy()[0] === ring.id,
    limits,
    requests,
    clock,
    logger: host.logger('compactor'),
    registry,
  });
  await compactor.load();
  const routes = config.compactor.retention_enabled
    ? deleteRoutes({
        requests,
        limits,
        clock,
        cancelPeriodMs: config.compactor.delete_request_cancel_period,
        maxIntervalMs: config.compactor.delete_max_interval,
        progressOf: (request) => compactor.progressOf(request),
        onReceived: (tenant) => compactor.metrics.deletesReceived.inc({ user: tenant }),
      })
    : [];
  return {
    routes,
    start: () => {
      compactor.start();
      host.onStop('compactor', () => compactor.stop());
    },
  };
}

/** Everybody who may hold rows. Throws while that is not known: a delete must not count as done then. */
function allIngesters(ring: RingPart, client: IngestersPart['client']): IngesterClient[] {
  const ids = ring.isCluster ? ring.members.ingester.all().map(({ id }) => id) : [ring.id];
  const clients = ids.map((id) => client(id)).filter((one) => one !== undefined);
  if (ids.length === 0 || clients.length < ids.length) throw new Error('not every ingester is known');
  return clients;
}
