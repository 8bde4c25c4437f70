import { hostname } from 'node:os';
import { Registry } from 'prom-client';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { type Config, parseTargets, TenantLimits, type Version } from '../config/index.ts';
import { Distributor, pushRoutes } from '../distributor/index.ts';
import { adminRoutes, registerProcessMetrics, ringRoutes } from '../http/index.ts';
import { LOG_LEVELS, type LogLevel, type ProgramLog } from '../log/index.ts';
import { onlyIngester } from '../querier/ingester-set.ts';
import { InMemoryMembership, MembershipRing } from '../ring/index.ts';
import { rulerRoutes } from '../ruler/index.ts';
import { deleteRequestsOf, loadCompactor } from './compactor-part.ts';
import type { Host } from './host.ts';
import { IngesterPart } from './ingester-part.ts';
import { querierPart } from './querier-part.ts';
import { type Endpoints, startServer } from './server-part.ts';
import { startStorage } from './storage-part.ts';

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
const SERVICES = ['server', 'ring', 'store', 'ingester', 'distributor', 'querier', 'query-frontend', 'compactor'];

/** The services of this process, made and joined here. */
export class App {
  readonly #options: AppOptions;
  readonly #logger: Logger;
  readonly #registry = new Registry();
  readonly #stopSteps: { readonly name: string; readonly run: (deadlineMs: number) => Promise<void> }[] = [];
  #state: State = 'new';
  #ingester: IngesterPart | undefined;
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
    const { config, clock, registry, limits } = host;
    registerProcessMetrics(registry, host.version);
    if (config.common.ring.kvstore.store === 'etcd') throw new Error('this version cannot join a ring in etcd yet');

    const storage = await startStorage(host);
    const id = hostname();
    const ingesterPart = new IngesterPart(host, id, storage, (...refused) => distributor.discarded(...refused));
    const { ingester, patterns } = ingesterPart;
    this.#ingester = ingesterPart;

    const membership = new InMemoryMembership(clock);
    const distributor = new Distributor({
      limits,
      ring: new MembershipRing(membership),
      ingesters: (member) => (member === id ? ingester : undefined),
      clock,
      logger: host.logger('distributor'),
      registry,
      replicationFactor: config.common.replication_factor,
      maxReceivedBytes: config.distributor.max_recv_msg_size,
      maxDecompressedBytes: config.distributor.max_decompressed_size,
      otlpIndexAttributes: config.distributor.otlp_config.default_resource_attributes_as_index_labels,
    });
    const requests = deleteRequestsOf(host, storage);
    const ingesters = () => [ingester];
    const querier = querierPart(host, storage, { recent: onlyIngester(ingester, clock), requests, patterns });
    const compactor = await loadCompactor(host, storage, requests, ingesters);

    const { grpc, grpcPort, endpoints } = await startServer(host, {
      routes: [
        ...pushRoutes(distributor),
        ...querier.routes,
        ...ingesterPart.routes(() => this.#state === 'stopping'),
        ...compactor.routes,
        ...rulerRoutes({ rulesDirectory: config.common.storage.filesystem.rules_directory || null }),
        ...ringRoutes({
          members: () => membership.all(),
          nowMs: () => clock.nowMs(),
          findsPatterns: patterns !== null,
        }),
        ...adminRoutes({
          config,
          limits,
          overrides: () => limits.overrides,
          version: host.version,
          registry,
          logLevel: this.#logLevel(),
          notReady: () => this.#notReady(),
          services: () => this.#services(),
        }),
      ],
      sockets: querier.sockets,
      distributor,
    });

    await ingester.start();
    compactor.start();
    const address = `${config.common.instance_addr || hostname()}:${grpcPort}`;
    await membership.register({ id, address, zone: '', state: 'ACTIVE' });
    host.onStop('ring', () => membership.setState(id, 'LEAVING'));
    grpc.setStatus('SERVING');
    return endpoints;
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
    if (this.#state === 'running') return undefined;
    return 'Some services are not Running:\nStarting: 1\ningester: Starting';
  }

  #services(): ReadonlyMap<string, string> {
    const state = this.#state === 'running' ? 'Running' : this.#state === 'starting' ? 'Starting' : 'Stopping';
    const names = this.#options.config.pattern_ingester.enabled ? [...SERVICES, 'pattern-ingester'] : SERVICES;
    return new Map(
      names.map((name) => [name, name === 'ingester' && this.#ingester?.isStopped ? 'Terminated' : state]),
    );
  }
}

function runtimeFiles(config: Config): string[] {
  const files = config.runtime_config.file || config.limits_config.per_tenant_override_config;
  return files
    .split(',')
    .map((file) => file.trim())
    .filter((file) => file !== '');
}
