import { Registry } from 'prom-client';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { type Config, parseTargets, SERVICES, type Service, TenantLimits, type Version } from '../config/index.ts';
import { type Distributor, pushRoutes } from '../distributor/index.ts';
import { adminRoutes, type Route, registerProcessMetrics } from '../http/index.ts';
import { DiscardMetrics } from '../ingester/index.ts';
import { LOG_LEVELS, type LogLevel, type ProgramLog } from '../log/index.ts';
import { HeldDeletes } from '../querier/held-deletes.ts';
import { noDeletes } from '../rpc/deletes.ts';
import { rulerRoutes } from '../ruler/index.ts';
import { deleteRequestsOf, loadCompactor } from './compactor-part.ts';
import { followDeletes } from './deletes-part.ts';
import { distributorOf } from './distributor-part.ts';
import type { FrontendPart } from './frontend-part.ts';
import type { Host } from './host.ts';
import { IngesterPart } from './ingester-part.ts';
import { connectIngesters } from './ingesters-part.ts';
import { querierPart, startThreadsWhenIdle } from './querier-part.ts';
import { ringPages } from './ring-pages.ts';
import { type RingPart, startRing } from './ring-part.ts';
import { type Endpoints, startServer } from './server-part.ts';
import { keepCatalog, type StoragePart, startStorage } from './storage-part.ts';

export interface AppOptions {
  readonly config: Config;
  readonly version: Version;
  readonly log: ProgramLog;
  readonly clock: Clock;
  /** Asks for the end of the process, as a signal does. */
  readonly terminate: () => void;
}

type State = 'new' | 'starting' | 'running' | 'stopping' | 'stopped';

/** Share of the time of a stop that requests under way may take; the rest is for storing what is in memory. */
const DRAIN_SHARE = 0.3;
/** Names as Loki's `/services` shows them. */
const SHOWN_SERVICES = ['server', 'ring', 'store', 'ingester', 'distributor', 'querier', 'query-frontend', 'compactor'];
const isService = (name: string): name is Service => (SERVICES as readonly string[]).includes(name);

/** The services of this process, made and joined here. */
export class App {
  readonly #options: AppOptions;
  readonly #logger: Logger;
  readonly #registry = new Registry();
  readonly #stopSteps: { readonly name: string; readonly run: (deadlineMs: number) => Promise<void> }[] = [];
  #state: State = 'new';
  #ingester: IngesterPart | undefined;
  #distributor: Distributor | undefined;
  #frontend: FrontendPart | undefined;
  #stopping: Promise<void> | undefined;
  #started: Promise<void> = Promise.resolve();

  constructor(options: AppOptions) {
    this.#options = options;
    this.#logger = options.log.logger;
  }

  /**
   * Starts everything and resolves once pushes and queries are taken. HTTP answers before that: `/ready` says what is
   * still missing while the write-ahead log is read. Rejects, with everything stopped again, when a part cannot start.
   */
  async start(): Promise<Endpoints> {
    this.#state = 'starting';
    const starting = this.#start();
    this.#started = starting.then(
      () => {},
      () => {}, // told to the caller of start
    );
    try {
      const endpoints = await starting;
      this.#state = 'running';
      return endpoints;
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /** True from the end of `start` to the beginning of a stop. */
  get isRunning(): boolean {
    return this.#state === 'running';
  }

  /**
   * Takes no more requests, finishes those under way, stores what is in memory, and ends, all within `timeoutMs`. While
   * the program is starting, the start comes to its end before.
   */
  stop(timeoutMs: number): Promise<void> {
    this.#stopping ??= this.#started.then(() => this.#stop(timeoutMs));
    return this.#stopping;
  }

  async #start(): Promise<Endpoints> {
    const host = await this.#host();
    registerProcessMetrics(host.registry, host.version);
    const ring = await startRing(host);
    const runs = (...services: Service[]) => services.some((service) => host.services.has(service));
    const storage = runs('ingester', 'querier', 'compactor') ? await startStorage(host) : undefined;
    const reads = runs('querier', 'compactor') ? storage : undefined;

    const ingester = runs('ingester') ? this.#ingesterPart(host, ring, storage!, reads) : undefined;
    const clients = await connectIngesters(host, ring, ingester?.ingester, reads?.catalog);
    const distributor = runs('distributor') ? distributorOf(host, ring, clients) : undefined;
    this.#distributor = distributor;

    const requests = storage && deleteRequestsOf(host, storage);
    const held = host.config.compactor.retention_enabled && requests ? new HeldDeletes(requests) : undefined;
    const keeper = reads && (await keepCatalog(host, reads, ring, held));
    if (ring.isCluster && ingester && storage) await ingester.nameLatest(storage.catalog, reads !== undefined);
    const recent = clients.rows(keeper);
    const deletes = ring.isCluster ? (held ?? noDeletes) : (requests ?? noDeletes);
    const keepsResults = host.config.query_range.cache_results;
    const querier =
      runs('querier') && storage && requests
        ? querierPart(host, storage, {
            recent,
            deletes,
            patterns: clients.patterns(ingester?.patterns ?? null),
            behindFrontend: ring.isCluster || keepsResults,
          })
        : undefined;
    // One process answers queries itself: parts would only cost it.
    const frontend =
      runs('query-frontend') && ring.isCluster
        ? await (await importFrontend()).frontendPart(
            host,
            recent,
            keeper || !host.config.compactor.retention_enabled ? deletes : await followDeletes(host),
          )
        : undefined;
    this.#frontend = frontend;
    const queryRoutes =
      frontend?.routes ??
      (querier && keepsResults && !ring.isCluster
        ? await (await importFrontend()).localFrontendRoutes(host, querier)
        : querier?.routes);
    const compactor =
      runs('compactor') && storage && requests
        ? await loadCompactor(host, storage, requests, ring, clients)
        : undefined;

    const server = await startServer(host, {
      routes: [
        ...(distributor ? pushRoutes(distributor) : []),
        ...(queryRoutes ?? []),
        ...(ingester?.routes(() => this.#state === 'stopping') ?? []),
        ...(compactor?.routes ?? []),
        ...(runs('ruler') ? rulerRoutes({ rulesDirectory: rulesDirectoryOf(host.config) }) : []),
        ...this.#statusRoutes(host, ring, ingester?.patterns != null),
      ],
      sockets: frontend?.sockets ?? querier?.sockets() ?? [],
      distributor,
      // They ask no users: only other processes of the installation are to reach them.
      services: [...(ingester && ring.isCluster ? [await ingester.service()] : []), ...(frontend?.services ?? [])],
    });
    const { grpc, grpcPort } = server;
    if (ingester) await this.#joinAsIngester(host, ring, ingester, grpcPort);
    if (frontend) host.onStop('query frontend', frontend.stop);
    host.onStop('http', server.stopHttp);
    if (querier && ring.isCluster) await (await importFrontend()).startQuerierWorker(host, ring, querier);
    compactor?.start();
    for (const service of ['distributor', 'query-frontend', 'compactor'] as const) {
      if (!runs(service)) continue;
      await ring.join(service, 'ACTIVE', grpcPort);
      host.onStop('ring', () => ring.members[service].unregister(ring.id));
    }
    if (ingester) host.onStop('ring', () => ring.members.ingester.setState(ring.id, 'LEAVING'));
    if (querier && storage) startThreadsWhenIdle(host, storage);
    grpc.setStatus('SERVING');
    return server.endpoints;
  }

  #ingesterPart(host: Host, ring: RingPart, storage: StoragePart, reads: StoragePart | undefined): IngesterPart {
    const { replication_factor: replicationFactor } = host.config.common;
    const losses = host.services.has('distributor') ? undefined : new DiscardMetrics(host.registry);
    this.#ingester = new IngesterPart(host, {
      id: ring.id,
      members: ring.members.ingester,
      store: storage.store,
      pool: storage.pool,
      catalog: reads?.catalog ?? null,
      share: () => ({ ingesters: Math.max(1, ring.members.ingester.healthy().length), replicationFactor }),
      onDiscarded: (tenant, labels, reason, rows, bytes) => {
        losses?.discarded(tenant, reason, rows, bytes);
        this.#distributor?.discarded(tenant, labels, reason, rows, bytes);
      },
    });
    return this.#ingester;
  }

  /** Others know of this ingester while it reads its log: what it holds is missing elsewhere. */
  async #joinAsIngester(host: Host, ring: RingPart, part: IngesterPart, grpcPort: number): Promise<void> {
    host.onStop('ingester', (deadlineMs) => part.stop(deadlineMs));
    await ring.join('ingester', 'JOINING', grpcPort);
    await part.ingester.start();
    await ring.members.ingester.setState(ring.id, 'ACTIVE');
  }

  #statusRoutes(host: Host, ring: RingPart, findsPatterns: boolean): Route[] {
    const { config, clock, limits, registry, version } = host;
    return [
      ...ringPages(ring, clock, findsPatterns),
      ...adminRoutes({
        config,
        limits,
        overrides: () => limits.overrides,
        version,
        registry,
        logLevel: this.#logLevel(),
        notReady: () => this.#notReady(),
        services: () => this.#services(host),
      }),
    ];
  }

  async #host(): Promise<Host> {
    const { config, clock, version, log, terminate } = this.#options;
    const logger = (component: string) => this.#logger.child({ component });
    const limits = new TenantLimits({
      base: config.limits_config,
      files: runtimeFiles(config),
      periodMs: config.runtime_config.period,
      clock,
      logger: logger('limits'),
    });
    await limits.start();
    const onStop: Host['onStop'] = (name, run) => this.#stopSteps.push({ name, run });
    onStop('limits', () => limits.stop());
    const services = parseTargets(config.target);
    return { config, version, services, limits, clock, log, logger, registry: this.#registry, onStop, terminate };
  }

  async #stop(timeoutMs: number): Promise<void> {
    const { config, clock } = this.#options;
    const wasRunning = this.#state === 'running';
    this.#state = 'stopping';
    if (wasRunning && config.shutdown_delay > 0) await clock.sleep(config.shutdown_delay);
    const endMs = clock.nowMs() + timeoutMs;
    const drainMs = Math.floor(timeoutMs * DRAIN_SHARE);
    let failure: unknown;
    for (const { name, run } of this.#stopSteps.reverse()) {
      const leftMs = Math.max(0, endMs - clock.nowMs());
      try {
        await run(name === 'ingester' ? leftMs : Math.min(leftMs, drainMs));
      } catch (error) {
        this.#logger.error('a part did not stop as it should', { part: name, err: error });
        failure ??= error;
      }
    }
    this.#state = 'stopped';
    if (failure !== undefined && wasRunning) throw failure;
  }

  #logLevel() {
    const { log } = this.#options;
    return { levels: LOG_LEVELS, get: () => log.level, set: (level: string) => log.setLevel(level as LogLevel) };
  }

  #notReady(): string | undefined {
    if (this.#state === 'stopping' || this.#state === 'stopped') return 'Application is stopping';
    if (this.#ingester?.isStopped) return 'Ingester not ready: Stopping';
    if (this.#state === 'running') return this.#frontend?.notReady();
    return 'Some services are not Running:\nStarting: 1\ningester: Starting';
  }

  #services({ services, config }: Host): ReadonlyMap<string, string> {
    const state = this.#state === 'running' ? 'Running' : this.#state === 'starting' ? 'Starting' : 'Stopping';
    const names = SHOWN_SERVICES.filter((name) => !isService(name) || services.has(name));
    if (services.has('ingester') && config.pattern_ingester.enabled) names.push('pattern-ingester');
    return new Map(
      names.map((name) => [name, name === 'ingester' && this.#ingester?.isStopped ? 'Terminated' : state]),
    );
  }
}

/** With gRPC, which weighs some MB: not for processes without a query frontend. */
const importFrontend = () => import('./frontend-part.ts');

const rulesDirectoryOf = (config: Config): string | null => config.common.storage.filesystem.rules_directory || null;

function runtimeFiles(config: Config): string[] {
  const files = config.runtime_config.file || config.limits_config.per_tenant_override_config;
  return files
    .split(',')
    .map((file) => file.trim())
    .filter((file) => file !== '');
}
