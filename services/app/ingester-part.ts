import { defaultBlockLimits } from '../../storage/block/index.ts';
import type { SegmentCatalog } from '../../storage/index/index.ts';
import { PoolBlockEncoder } from '../../storage/scan/pool-block-encoder.ts';
import { type Config, directoriesOf } from '../config/index.ts';
import { type IngesterControl, ingesterRoutes, type Route } from '../http/index.ts';
import { defaultIngesterConfig, Ingester, type IngesterConfig, type IngesterOptions } from '../ingester/index.ts';
import { type PatternConfig, PatternIngester } from '../patterns/index.ts';
import type { Registration } from '../ring/index.ts';
import type { GrpcService } from '../rpc/grpc-server.ts';
import { CatalogSink } from '../segment-sink.ts';
import { ShutdownMarker } from '../shutdown-marker.ts';
import type { Host } from './host.ts';
import { LatestSegments } from './latest-segments.ts';
import type { StoragePart } from './storage-part.ts';

export interface IngesterPartOptions extends Pick<StoragePart, 'store' | 'pool'> {
  readonly id: string;
  /** The ring of ingesters. */
  readonly members: Pick<Registration, 'setState' | 'unregister'>;
  /** Null where this process answers no queries. */
  readonly catalog: SegmentCatalog | null;
  readonly share: NonNullable<IngesterOptions['share']>;
  readonly onDiscarded: NonNullable<IngesterOptions['onDiscarded']>;
}

/** The ingester of this process and what belongs to it. */
export class IngesterPart {
  readonly ingester: Ingester;
  /** Null when patterns are not looked for. */
  readonly patterns: PatternIngester | null;
  readonly #host: Host;
  readonly #members: IngesterPartOptions['members'];
  readonly #sink: CatalogSink;
  readonly #marker: ShutdownMarker;
  #latest: LatestSegments | undefined;
  #stopping: Promise<void> | undefined;

  /** `catalog`: of this process, if it answers queries. */
  constructor(host: Host, { id, members, store, catalog, pool, share, onDiscarded }: IngesterPartOptions) {
    this.#host = host;
    this.#members = members;
    this.#sink = new CatalogSink(store, catalog, host.clock, host.logger('ingester'));
    const { config, limits, clock, registry } = host;
    const directories = directoriesOf(config);
    this.#marker = new ShutdownMarker(directories.shutdownMarker);
    this.patterns = startPatterns(host);
    const { patterns } = this;
    const ingesterConfig = ingesterConfigOf(config);
    this.ingester = new Ingester({
      id,
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
      sink: this.#sink,
      share,
      schemaFromMs: schemaStartOf(config),
      onDiscarded,
      clock,
      logger: host.logger('ingester'),
      registry,
      ...(patterns && { onTaken: (tenant, batch) => patterns.push(tenant, batch) }),
    });
  }

  /** For the other processes of the installation. */
  async service(): Promise<GrpcService> {
    const { IngesterService } = await import('../rpc/ingester-service.ts'); // it weighs some MB
    const { ingester } = this;
    return new IngesterService({
      client: ingester,
      patterns: this.patterns,
      published: (tenant) => this.#sink.published(tenant),
      isReadable: () => ingester.isReadable && this.#latest?.isNamed !== false,
      logger: this.#host.logger('ingester'),
    });
  }

  /**
   * Who asks is to be told of what was stored right before. `catalog`: listed since the process started, or else of no
   * other use here, and listed now. Resolves once pushes may be taken, see `LatestSegments`.
   */
  async nameLatest(catalog: SegmentCatalog, isListed: boolean): Promise<void> {
    const name = () => this.#sink.nameLatest(catalog);
    if (isListed) return name();
    const { clock, logger, onStop } = this.#host;
    const list = (signal: AbortSignal) => catalog.load(signal);
    const latest = new LatestSegments({ list, name, clock, logger: logger('ingester') });
    this.#latest = latest;
    onStop('names of segments', () => latest.stop());
    await latest.start();
  }

  /** Takes no more pushes, for good. */
  get isStopped(): boolean {
    return this.#stopping !== undefined;
  }

  /** `isStopping`: of the whole process. */
  routes(isStopping: () => boolean): Route[] {
    const control: IngesterControl = {
      flush: () => this.ingester.flush(),
      isShutdownPrepared: () => this.#marker.isSet(),
      prepareShutdown: (prepared) => this.#marker.set(prepared),
      isStopping: () => this.isStopped || isStopping(),
      shutdown: async (flush) => {
        await this.#members.setState(this.ingester.id, 'LEAVING'); // nobody is to push here any more
        await this.stop(flush ? this.#host.config.server.graceful_shutdown_timeout : 0);
        await this.#marker.set(false);
      },
      terminate: this.#host.terminate,
    };
    return ingesterRoutes(control);
  }

  /**
   * As `Ingester.stop`. It leaves the ring for good only with everything stored; else it stays known, and queries count it
   * among those that are away. Who asks for it again waits for the same end: the workers and the process must outlive
   * what is being stored.
   */
  stop(deadlineMs: number): Promise<void> {
    this.#stopping ??= this.#stop(deadlineMs);
    return this.#stopping;
  }

  async #stop(deadlineMs: number): Promise<void> {
    if (await this.ingester.stop(deadlineMs)) await this.#members.unregister(this.ingester.id);
  }
}

function startPatterns(host: Host): PatternIngester | null {
  const { config, limits, clock, registry } = host;
  if (!config.pattern_ingester.enabled) return null;
  const patterns = new PatternIngester({
    config: patternConfigOf(config),
    limits,
    clock,
    logger: host.logger('pattern-ingester'),
    registry,
  });
  patterns.start();
  host.onStop('patterns', () => patterns.stop());
  return patterns;
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
