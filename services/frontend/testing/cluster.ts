/** A query frontend and queriers that take work from it over gRPC, all in this process. */
import { Registry } from 'prom-client';
import type { Cache } from '../../../storage/cache/index.ts';
import { type Clock, systemClock } from '../../../storage/host/clock.ts';
import { type Logger, silentLogger } from '../../../storage/host/logger.ts';
import type { WorkerPool } from '../../../storage/scan/worker-pool.ts';
import { defaultLimits, type Limits } from '../../config/limits.ts';
import { type Handler, type WholePath, wholeHandlers } from '../../querier/http.ts';
import { Metadata } from '../../querier/metadata.ts';
import { type PartRunner, QuerierParts } from '../../querier/parts.ts';
import { Querier } from '../../querier/querier.ts';
import type { Sources } from '../../querier/select.ts';
import { startWorkServer, type WorkServer } from '../../rpc/testing/work-server.ts';
import { connectToFrontend } from '../../rpc/work-stream.ts';
import { Dispatcher } from '../dispatcher.ts';
import { Frontend } from '../frontend.ts';
import { type FrontendMetrics, frontendMetrics } from '../metrics.ts';
import { RemoteParts } from '../remote-parts.ts';
import { QuerierWorker } from '../worker.ts';

export interface FrontOptions {
  /** Asked for at each use: tests change them. */
  readonly limits?: () => Partial<Limits>;
  readonly cache?: Cache;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly maxOutstandingPerTenant?: number;
  readonly giveUpMs?: number;
}

/** A frontend with its door for queriers. */
export interface Front {
  readonly dispatcher: Dispatcher;
  readonly remote: RemoteParts;
  readonly frontend: Frontend;
  readonly metrics: FrontendMetrics;
  readonly registry: Registry;
  readonly server: WorkServer;
  readonly limits: { for(): Limits };
  stop(): Promise<void>;
}

export async function startFront(options: FrontOptions = {}): Promise<Front> {
  const { clock = systemClock, logger = silentLogger, maxOutstandingPerTenant = 100 } = options;
  const limits = { for: (): Limits => ({ ...defaultLimits, ...options.limits?.() }) };
  const registry = new Registry();
  const dispatcher = new Dispatcher({
    maxOutstandingPerTenant,
    logger,
    ...(options.giveUpMs !== undefined && { giveUpMs: options.giveUpMs }),
  });
  const metrics = frontendMetrics(registry, {
    inProgress: () => frontend.inProgress,
    queued: () => dispatcher.queued,
    streams: () => dispatcher.streams,
  });
  dispatcher.metrics = metrics;
  const remote = new RemoteParts({ dispatcher, metrics, maxRetries: 5 });
  const frontend = new Frontend({
    parts: remote,
    metrics,
    limits,
    clock,
    logger,
    registry,
    cache: options.cache ?? null,
  });
  const server = await startWorkServer((stream) => dispatcher.attach(stream));
  return {
    dispatcher,
    remote,
    frontend,
    metrics,
    registry,
    server,
    limits,
    stop: async () => {
      await dispatcher.stop(AbortSignal.abort());
      server.stop();
    },
  };
}

export interface WorkerOptions {
  readonly parts: PartRunner;
  readonly handlerOf?: (path: WholePath) => Handler | undefined;
  readonly querier?: string;
  readonly concurrency?: number;
}

/** A querier that works for a frontend. */
export function startWorker({ server }: Front, options: WorkerOptions): QuerierWorker {
  const worker = new QuerierWorker({
    addresses: async () => [server.address],
    connect: (address) => connectToFrontend(address),
    querier: options.querier ?? 'querier',
    concurrency: options.concurrency ?? 4,
    lookMs: 1000,
    parts: options.parts,
    handlerOf: options.handlerOf ?? (() => undefined),
    clock: systemClock,
    logger: silentLogger,
  });
  worker.start();
  return worker;
}

/** A querier over these sources, and what a worker needs of it. */
export function querierOver(sources: Sources, pool: WorkerPool, limits: Front['limits'], clock: Clock = systemClock) {
  const querier = new Querier({
    sources,
    pool,
    limits,
    clock,
    logger: silentLogger,
    registry: new Registry(),
    maxOutstandingPerTenant: 1000,
  });
  const metadata = new Metadata({ sources, limits, clock });
  const handlerOf = wholeHandlers({ querier, metadata, patterns: null, clock });
  return { querier, parts: new QuerierParts(querier, sources), handlerOf };
}
