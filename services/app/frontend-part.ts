import { createCache } from '../../storage/cache/index.ts';
import {
  Dispatcher,
  dnsAddresses,
  Frontend,
  frontendMetrics,
  frontendRoutes,
  QuerierWorker,
  RemoteParts,
} from '../frontend/index.ts';
import type { Route, SocketRoute } from '../http/index.ts';
import { rangeRoutes, wholeHandlers, wholeRoutes } from '../querier/http.ts';
import type { PartRunner } from '../querier/parts.ts';
import { Tailer } from '../querier/tail.ts';
import type { DeleteSource } from '../rpc/deletes.ts';
import type { GrpcClientTls } from '../rpc/grpc-client-tls.ts';
import type { GrpcService } from '../rpc/grpc-server.ts';
import type { RecentRows } from '../rpc/recent-rows.ts';
import { connectToFrontend, workService } from '../rpc/work-stream.ts';
import { startClientTls } from './access-part.ts';
import { cacheMetrics, memoryCacheOf, remoteCacheOf } from './cache-part.ts';
import type { Host } from './host.ts';
import type { QuerierPart } from './querier-part.ts';
import type { RingPart } from './ring-part.ts';

export interface FrontendPart {
  readonly routes: readonly Route[];
  readonly sockets: readonly SocketRoute[];
  /** On which queriers of other processes take work. */
  readonly services: readonly GrpcService[];
  /** Why queries cannot be answered; undefined when they can. */
  readonly notReady: () => string | undefined;
  /** Takes no more queries and finishes those it has. */
  readonly stop: (deadlineMs: number) => Promise<void>;
}

/** Answers queries over HTTP by queriers that take work from here. */
export async function frontendPart(host: Host, recent: RecentRows, deletes: DeleteSource): Promise<FrontendPart> {
  const { config, limits, clock } = host;
  const dispatcher = new Dispatcher({
    maxOutstandingPerTenant: config.frontend.max_outstanding_per_tenant,
    logger: host.logger('query-frontend'),
  });
  const metrics = frontendMetrics(host.registry, {
    inProgress: () => frontend.inProgress,
    queued: () => dispatcher.queued,
    streams: () => dispatcher.streams,
  });
  dispatcher.metrics = metrics;
  const remote = new RemoteParts({ dispatcher, metrics, maxRetries: config.query_range.max_retries });
  const frontend = await frontendOver(host, remote, metrics);
  const tailer = new Tailer({
    querier: frontend,
    recent,
    deletes,
    limits,
    clock,
    logger: host.logger('tailer'),
    registry: host.registry,
    maxDurationMs: config.querier.tail_max_duration,
  });
  const service = workService((stream) => dispatcher.attach(stream));
  return {
    routes: frontendRoutes({ frontend, remote, limits, clock }),
    sockets: tailer.routes(),
    services: [{ name: 'loptr.frontend.QueryFrontend', ...service }],
    notReady: () =>
      dispatcher.streams > 0 ? undefined : 'not ready: number of queriers connected to query-frontend is 0',
    stop: (deadlineMs) => dispatcher.stop(AbortSignal.timeout(deadlineMs)),
  };
}

/** One process that keeps results: its querier answers the parts. */
export async function localFrontendRoutes(host: Host, { parts, http }: QuerierPart): Promise<readonly Route[]> {
  const metrics = frontendMetrics(host.registry, {
    inProgress: () => frontend.inProgress,
    queued: () => 0,
    streams: () => 0,
  });
  const frontend = await frontendOver(host, parts, metrics);
  return [...rangeRoutes(frontend, host.clock), ...wholeRoutes(wholeHandlers(http))];
}

async function frontendOver(
  host: Host,
  parts: PartRunner,
  metrics: ReturnType<typeof frontendMetrics>,
): Promise<Frontend> {
  const { config, limits, clock, registry } = host;
  const { cache_results: keeps, results_cache: settings } = config.query_range;
  const cacheConfig = keeps ? (remoteCacheOf(settings.cache) ?? memoryCacheOf(settings.cache)) : undefined;
  const cache = cacheConfig === undefined ? null : await createCache(cacheConfig, cacheMetrics(registry, 'results'));
  if (cache !== null) host.onStop('results cache', () => cache.close());
  return new Frontend({
    parts,
    metrics,
    limits,
    clock,
    logger: host.log.logger,
    registry,
    perRequestLimits: config.querier.per_request_limits_enabled,
    cache,
  });
}

/** Takes work from the query frontends of the installation, and from that of this process. */
export async function startQuerierWorker(host: Host, ring: RingPart, { parts, http }: QuerierPart): Promise<void> {
  const { config, clock } = host;
  const {
    frontend_address: address,
    dns_lookup_duration: lookMs,
    id,
    grpc_client_config: grpc,
  } = config.frontend_worker;
  const frontends = ring.members['query-frontend'];
  // Addresses are looked up here: certificates have the name.
  const name = address.slice(0, Math.max(0, address.lastIndexOf(':')));
  const named = (tls: GrpcClientTls): GrpcClientTls => ({ ...tls, serverName: tls.serverName || name });
  const first = await startClientTls(host, grpc, (changed) => {
    tls = named(changed);
  });
  let tls = first && named(first);
  const worker = new QuerierWorker({
    addresses: async () =>
      address === ''
        ? frontends.all().flatMap((member) => (member.healthy && member.state === 'ACTIVE' ? [member.address] : []))
        : dnsAddresses(address),
    connect: (frontend) => connectToFrontend(frontend, () => tls),
    querier: id || ring.id,
    concurrency: config.querier.max_concurrent,
    lookMs,
    parts,
    handlerOf: wholeHandlers(http),
    clock,
    logger: host.logger('querier-worker'),
  });
  worker.start();
  host.onStop('querier worker', (deadlineMs) => worker.stop(AbortSignal.timeout(deadlineMs)));
}
