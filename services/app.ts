import { availableParallelism, hostname } from 'node:os';
import type { SecureContextOptions } from 'node:tls';
import { Registry } from 'prom-client';
import { defaultBlockLimits } from '../storage/block/index.ts';
import type { Clock } from '../storage/host/clock.ts';
import type { Logger } from '../storage/host/logger.ts';
import { SegmentCatalog } from '../storage/index/index.ts';
import { type ObjectStoreConfig, startObjectStore } from '../storage/objectstore/index.ts';
import { PoolBlockEncoder } from '../storage/scan/pool-block-encoder.ts';
import { PoolMerger } from '../storage/scan/pool-merger.ts';
import { WorkerPool } from '../storage/scan/worker-pool.ts';
import { AccessControl, namesOf, readTls, readUsers, WatchedFiles } from './access/index.ts';
import { Compactor, DeleteRequests, deleteRoutes, expiryOf } from './compactor/index.ts';
import { type Config, directoriesOf, s3SettingsOf, TenantLimits, type Version } from './config/index.ts';
import type { LimitsProvider } from './config/limits.ts';
import { Distributor, pushRoutes } from './distributor/index.ts';
import {
  adminRoutes,
  type ClientAuth,
  HttpServer,
  type IngesterControl,
  ingesterRoutes,
  registerProcessMetrics,
  ringRoutes,
} from './http/index.ts';
import { resolveTenants } from './http/tenants.ts';
import { defaultIngesterConfig, Ingester, type IngesterConfig } from './ingester/index.ts';
import { LOG_LEVELS, type LogLevel, type ProgramLog } from './log/index.ts';
import { type PatternConfig, PatternIngester } from './patterns/index.ts';
import { querierRoutes } from './querier/http.ts';
import { Metadata } from './querier/metadata.ts';
import { Patterns } from './querier/patterns.ts';
import { Querier } from './querier/querier.ts';
import { Tailer } from './querier/tail.ts';
import { InMemoryMembership, MembershipRing } from './ring/index.ts';
import { GrpcServer } from './rpc/grpc-server.ts';
import { rulerRoutes } from './ruler/index.ts';
import { CatalogSink } from './segment-sink.ts';
import { ShutdownMarker } from './shutdown-marker.ts';

export interface AppOptions {
  readonly config: Config;
  readonly version: Version;
  readonly log: ProgramLog;
  readonly clock: Clock;
  /** Asks for the end of the process, as a signal does. */
  readonly terminate: () => void;
}

export interface Endpoints {
  /** `http://host:port` with the prefix of all routes. */
  readonly http: string;
  /** `host:port` */
  readonly grpc: string;
}

type State = 'new' | 'starting' | 'running' | 'stopping' | 'stopped';

/** Share of the time of a stop that requests under way may take; the rest is for storing what is in memory. */
const DRAIN_SHARE = 0.3;
/** Names as Loki's `/services` shows them. */
const SERVICES = ['server', 'ring', 'store', 'ingester', 'distributor', 'querier', 'query-frontend', 'compactor'];

/** `-target=all`: every service of the process, made and joined here. */
export class App {
  readonly #options: AppOptions;
  readonly #logger: Logger;
  readonly #registry = new Registry();
  readonly #stopSteps: { readonly name: string; readonly run: (deadlineMs: number) => Promise<void> }[] = [];
  #state: State = 'new';
  #ingester: Ingester | undefined;
  #isIngesterStopped = false;
  #ingesterStopping: Promise<void> | undefined;
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
    const { config, clock, version } = this.#options;
    const registry = this.#registry;
    const logger = this.#logger;
    registerProcessMetrics(registry, version);

    const limits = new TenantLimits({
      base: config.limits_config,
      files: runtimeFiles(config),
      periodMs: config.runtime_config.period,
      clock,
      logger: logger.child({ component: 'limits' }),
    });
    await limits.start();
    this.#onStop('limits', () => limits.stop());

    const storeConfig = objectStoreConfig(config);
    const store = await startObjectStore(storeConfig);
    const catalog = new SegmentCatalog(store, logger.child({ component: 'store' }));
    await catalog.load();

    const pool = new WorkerPool({
      size: config.querier.workers || availableParallelism(),
      settings: { objectStore: storeConfig },
      logger: logger.child({ component: 'workers' }),
    });
    this.#onStop('workers', () => pool.stop());

    const directories = directoriesOf(config);
    const patterns = this.#startPatterns(limits);
    const ingesterConfig = ingesterConfigOf(config);
    const ingester = new Ingester({
      id: hostname(),
      config: ingesterConfig,
      limits,
      wal: {
        directory: directories.wal,
        segmentBytes: config.ingester.wal.segment_size,
        fsync: config.ingester.wal.fsync,
      },
      encoder: new PoolBlockEncoder(pool, {
        ...defaultBlockLimits,
        maxRows: ingesterConfig.blockRows,
        maxLineBytes: ingesterConfig.blockBytes,
      }),
      sink: new CatalogSink(store, catalog, clock),
      schemaFromMs: schemaStartOf(config),
      onDiscarded: (...refused) => distributor.discarded(...refused),
      clock,
      logger: logger.child({ component: 'ingester' }),
      registry,
      ...(patterns && { onTaken: (tenant, batch) => patterns.push(tenant, batch) }),
    });
    this.#ingester = ingester;
    this.#onStop('ingester', (deadlineMs) => this.#stopIngester(deadlineMs));

    const membership = new InMemoryMembership(clock);
    const distributor = new Distributor({
      limits,
      ring: new MembershipRing(membership),
      ingesters: (id) => (id === ingester.id ? ingester : undefined),
      clock,
      logger: logger.child({ component: 'distributor' }),
      registry,
      replicationFactor: config.common.replication_factor,
      maxReceivedBytes: config.distributor.max_recv_msg_size,
      maxDecompressedBytes: config.distributor.max_decompressed_size,
      otlpIndexAttributes: config.distributor.otlp_config.default_resource_attributes_as_index_labels,
    });

    const requests = new DeleteRequests({
      store,
      keyPrefix: config.compactor.delete_request_store_key_prefix,
      limits,
      clock,
      logger: logger.child({ component: 'compactor' }),
    });
    const sources = { catalog, ingesters: () => [ingester], deletes: requests };
    const querier = new Querier({
      sources,
      pool,
      limits,
      clock,
      logger,
      registry,
      maxOutstandingPerTenant: config.frontend.max_outstanding_per_tenant,
      perRequestLimits: config.querier.per_request_limits_enabled,
    });
    const metadata = new Metadata({ sources, limits, clock });
    const tailer = new Tailer({
      querier,
      ingesters: sources.ingesters,
      deletes: requests,
      limits,
      clock,
      logger: logger.child({ component: 'tailer' }),
      registry,
      maxDurationMs: config.querier.tail_max_duration,
    });

    expiryOf(config.limits_config, 0n); // a selector that is none must be told now, not at the first run
    const compactor = new Compactor({
      config: {
        intervalMs: config.compactor.compaction_interval,
        retentionIntervalMs: config.compactor.apply_retention_interval,
        retentionEnabled: config.compactor.retention_enabled,
        retentionDeleteDelayMs: config.compactor.retention_delete_delay,
        cancelPeriodMs: config.compactor.delete_request_cancel_period,
        maxSegmentBytes: config.compactor.max_segment_size,
      },
      store,
      catalog,
      merger: new PoolMerger({
        settings: { objectStore: storeConfig },
        logger: logger.child({ component: 'compactor' }),
      }),
      ingesters: sources.ingesters,
      limits,
      requests,
      clock,
      logger: logger.child({ component: 'compactor' }),
      registry,
    });
    await compactor.load();

    const tenancy = {
      authEnabled: config.auth_enabled,
      multiTenantQueries: config.querier.multi_tenant_queries_enabled,
    };
    const { server } = config;
    const access = await this.#startAccess();
    const httpTls = await this.#startTls(server.http_tls_config, (context) => http.replaceCertificate(context));
    const grpcTls = await this.#startTls(server.grpc_tls_config, (context) => grpc.replaceCertificate(context));
    const prefix = server.http_path_prefix || config.http_prefix;
    const http = new HttpServer({
      routes: [
        ...pushRoutes(distributor),
        ...querierRoutes({
          querier,
          metadata,
          patterns:
            patterns &&
            new Patterns({
              clients: () => [patterns],
              limits,
              clock,
              sampleIntervalMs: config.pattern_ingester.pattern_sample_interval,
            }),
          clock,
        }),
        ...ingesterRoutes(this.#ingesterControl(ingester, new ShutdownMarker(directories.shutdownMarker))),
        ...(config.compactor.retention_enabled
          ? deleteRoutes({
              requests,
              limits,
              clock,
              cancelPeriodMs: config.compactor.delete_request_cancel_period,
              maxIntervalMs: config.compactor.delete_max_interval,
              progressOf: (request) => compactor.progressOf(request),
              onReceived: (tenant) => compactor.metrics.deletesReceived.inc({ user: tenant }),
            })
          : []),
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
          version,
          registry,
          logLevel: this.#logLevel(),
          notReady: () => this.#notReady(),
          services: () => this.#services(),
        }),
      ],
      sockets: tailer.routes(),
      prefix,
      address: server.http_listen_address,
      port: server.http_listen_port,
      maxConnections: server.http_listen_conn_limit,
      readTimeoutMs: server.http_server_read_timeout,
      readHeaderTimeoutMs: server.http_server_read_header_timeout,
      writeTimeoutMs: server.http_server_write_timeout,
      idleTimeoutMs: server.http_server_idle_timeout,
      maxFormBytes: config.frontend.max_body_size,
      compressResponses: config.frontend.compress_responses,
      logRequestsAtInfo: server.log_request_at_info_level_enabled,
      tenancy,
      gatekeeper: access,
      tls: httpTls && {
        context: httpTls.value,
        clientAuth: (server.http_tls_config.client_auth_type || 'NoClientCert') as ClientAuth,
      },
      registry,
      logger: logger.child({ component: 'http' }),
    });
    const grpc = new GrpcServer({
      address: server.grpc_listen_address,
      port: server.grpc_listen_port,
      maxReceiveBytes: server.grpc_server_max_recv_msg_size,
      maxSendBytes: server.grpc_server_max_send_msg_size,
      maxConcurrentStreams: server.grpc_server_max_concurrent_streams,
      tls: grpcTls && {
        context: grpcTls.value,
        verifyClients: server.grpc_tls_config.client_auth_type === 'RequireAndVerifyClientCert',
      },
      push: async (orgId, message, signal, authorization) => {
        const target = { route: 'loki_api_v1_push', method: 'POST', auth: 'tenant' } as const;
        const caller = await access?.admit(authorization, target);
        const [tenant] = resolveTenants(orgId, 'tenant', tenancy, caller).ids;
        await distributor.pushMessage(tenant!, message, signal);
      },
      onCall: (method, code, seconds) => http.metrics.observe('gRPC', method, code, false, seconds),
      logger: logger.child({ component: 'grpc' }),
    });
    const httpPort = await http.start();
    this.#onStop('http', (deadlineMs) => http.stop(AbortSignal.timeout(deadlineMs)));
    const grpcPort = await grpc.start();
    this.#onStop('grpc', (deadlineMs) => grpc.stop(AbortSignal.timeout(deadlineMs)));

    await ingester.start();
    compactor.start();
    this.#onStop('compactor', () => compactor.stop());
    membership.register(ingester.id, 'ACTIVE', { address: `${config.common.instance_addr || hostname()}:${grpcPort}` });
    this.#onStop('ring', async () => membership.setState(ingester.id, 'LEAVING'));
    grpc.setStatus('SERVING');
    return {
      http: `${httpTls ? 'https' : 'http'}://${hostOf(server.http_listen_address)}:${httpPort}${prefix}`,
      grpc: `${hostOf(server.grpc_listen_address)}:${grpcPort}`,
    };
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

  async #startAccess(): Promise<AccessControl | undefined> {
    const { users_file: file, open_metrics: openMetrics } = this.#options.config.access;
    if (file === '') return undefined;
    const users = await this.#watch(
      [file],
      ([content]) => readUsers(content!.toString('utf8'), file),
      (changed) => access.replaceUsers(changed),
    );
    const access = new AccessControl(users.value, openMetrics);
    return access;
  }

  async #startTls(
    settings: Config['server']['http_tls_config'] | Config['server']['grpc_tls_config'],
    onChange: (context: SecureContextOptions) => void,
  ): Promise<WatchedFiles<SecureContextOptions> | undefined> {
    if (settings.cert_file === '') return undefined;
    const isNewest = this.#options.config.server.tls_min_version === 'VersionTLS13';
    const files = {
      certFile: settings.cert_file,
      keyFile: settings.key_file,
      clientCaFile: settings.client_ca_file,
      minVersion: isNewest ? 'TLSv1.3' : 'TLSv1.2',
    } as const;
    return this.#watch(namesOf(files), (contents) => readTls(files, contents), onChange);
  }

  async #watch<T>(
    files: readonly string[],
    read: (contents: readonly Buffer[]) => T,
    onChange: (value: T) => void,
  ): Promise<WatchedFiles<T>> {
    const { config, clock } = this.#options;
    const logger = this.#logger.child({ component: 'access' });
    const watched = await WatchedFiles.start({
      files,
      read,
      onChange,
      periodMs: config.access.reload_period,
      clock,
      logger,
    });
    this.#onStop('files', () => watched.stop());
    return watched;
  }

  #startPatterns(limits: LimitsProvider): PatternIngester | null {
    const { config, clock } = this.#options;
    if (!config.pattern_ingester.enabled) return null;
    const patterns = new PatternIngester({
      config: patternConfigOf(config),
      limits,
      clock,
      logger: this.#logger.child({ component: 'pattern-ingester' }),
      registry: this.#registry,
    });
    patterns.start();
    this.#onStop('patterns', () => patterns.stop());
    return patterns;
  }

  /** Parts are stopped in the reverse of the order in which they started. */
  #onStop(name: string, run: (deadlineMs: number) => Promise<void>): void {
    this.#stopSteps.push({ name, run });
  }

  async #stopIngester(deadlineMs: number): Promise<void> {
    this.#isIngesterStopped = true;
    // Who asks for it again waits for the same end: the workers and the process must outlive what is being stored.
    this.#ingesterStopping ??= this.#ingester?.stop(deadlineMs);
    await this.#ingesterStopping;
  }

  #ingesterControl(ingester: Ingester, marker: ShutdownMarker): IngesterControl {
    return {
      flush: () => ingester.flush(),
      isShutdownPrepared: () => marker.isSet(),
      prepareShutdown: (prepared) => marker.set(prepared),
      isStopping: () => this.#isIngesterStopped || this.#state === 'stopping',
      shutdown: async (flush) => {
        await this.#stopIngester(flush ? this.#options.config.server.graceful_shutdown_timeout : 0);
        await marker.set(false);
      },
      terminate: this.#options.terminate,
    };
  }

  #logLevel() {
    const { log } = this.#options;
    return { levels: LOG_LEVELS, get: () => log.level, set: (level: string) => log.setLevel(level as LogLevel) };
  }

  #notReady(): string | undefined {
    if (this.#state === 'stopping' || this.#state === 'stopped') return 'Application is stopping';
    if (this.#isIngesterStopped) return 'Ingester not ready: Stopping';
    if (this.#state === 'running') return undefined;
    return 'Some services are not Running:\nStarting: 1\ningester: Starting';
  }

  #services(): ReadonlyMap<string, string> {
    const state = this.#state === 'running' ? 'Running' : this.#state === 'starting' ? 'Starting' : 'Stopping';
    const names = this.#options.config.pattern_ingester.enabled ? [...SERVICES, 'pattern-ingester'] : SERVICES;
    return new Map(names.map((name) => [name, name === 'ingester' && this.#isIngesterStopped ? 'Terminated' : state]));
  }
}

function runtimeFiles(config: Config): string[] {
  const files = config.runtime_config.file || config.limits_config.per_tenant_override_config;
  return files
    .split(',')
    .map((file) => file.trim())
    .filter((file) => file !== '');
}

function objectStoreConfig(config: Config): ObjectStoreConfig {
  const s3 = s3SettingsOf(config);
  return s3 === undefined ? { kind: 'filesystem', directory: directoriesOf(config).objects } : { kind: 's3', ...s3 };
}

function ingesterConfigOf({ ingester }: Config): IngesterConfig {
  return {
    ...defaultIngesterConfig,
    blockBytes: ingester.chunk_block_size,
    chunkTargetBytes: ingester.chunk_target_size,
    chunkIdleMs: ingester.chunk_idle_period,
    maxChunkAgeMs: ingester.max_chunk_age,
    flushCheckMs: ingester.flush_check_period,
    flushBackoffMinMs: ingester.flush_op_backoff.min_period,
    flushBackoffMaxMs: ingester.flush_op_backoff.max_period,
    maxReturnedStreamErrors: ingester.max_returned_stream_errors,
    flushBytes: ingester.flush_bytes,
    maxUnflushedBytes: ingester.max_unflushed_bytes,
    maxWalBytes: ingester.wal.max_size,
  };
}

function patternConfigOf({ pattern_ingester: patterns }: Config): PatternConfig {
  return {
    retainForMs: patterns.retain_for,
    maxChunkAgeMs: patterns.max_chunk_age,
    sampleIntervalMs: patterns.pattern_sample_interval,
    maxClusters: patterns.max_clusters,
    maxEvictionRatio: patterns.max_eviction_ratio,
    maxLineBytes: patterns.max_allowed_line_length,
    maxMemoryBytes: patterns.max_memory,
  };
}

/** ms since 1970; null when no schema is configured. */
function schemaStartOf(config: Config): number | null {
  const first = config.schema_config.configs[0];
  return first === undefined ? null : Date.parse(first.from);
}

/** Where a person can reach what listens on `address`. */
function hostOf(address: string): string {
  if (address === '' || address === '0.0.0.0' || address === '::') return 'localhost';
  return address.includes(':') ? `[${address}]` : address;
}
