import type { Route, SocketRoute } from '../http/index.ts';
import { type QuerierHttpOptions, querierRoutes } from '../querier/http.ts';
import { Metadata } from '../querier/metadata.ts';
import { type PartRunner, QuerierParts } from '../querier/parts.ts';
import { Patterns } from '../querier/patterns.ts';
import { Querier } from '../querier/querier.ts';
import { Tailer } from '../querier/tail.ts';
import type { DeleteSource } from '../rpc/deletes.ts';
import type { PatternClient } from '../rpc/patterns.ts';
import type { RecentRows } from '../rpc/recent-rows.ts';
import type { Host } from './host.ts';
import { idleMoment } from './idle.ts';
import type { StoragePart } from './storage-part.ts';

export interface QuerierPart {
  /** How requests are answered that come over HTTP, here or at a query frontend. */
  readonly http: QuerierHttpOptions;
  /** Parts of queries that a query frontend has divided. */
  readonly parts: PartRunner;
  readonly routes: readonly Route[];
  /** To be called where no query frontend of this process has them. */
  readonly sockets: () => readonly SocketRoute[];
}

export interface QuerierSources {
  readonly recent: RecentRows;
  readonly deletes: DeleteSource;
  /** Null where patterns are not looked for. */
  readonly patterns: PatternClient | null;
  /** A query frontend divides queries before they come here. */
  readonly behindFrontend: boolean;
}

/** Answers queries over HTTP from what the ingesters hold and what is stored. */
export function querierPart(
  host: Host,
  { catalog, pool }: StoragePart,
  { recent, deletes, patterns, behindFrontend }: QuerierSources,
): QuerierPart {
  const { config, limits, clock, log, registry } = host;
  const sources = { catalog, recent, deletes };
  const querier = new Querier({
    sources,
    pool,
    limits,
    clock,
    logger: log.logger,
    registry,
    maxOutstandingPerTenant: config.frontend.max_outstanding_per_tenant,
    behindFrontend,
    perRequestLimits: config.querier.per_request_limits_enabled,
  });
  const http: QuerierHttpOptions = {
    querier,
    metadata: new Metadata({ sources, limits, clock }),
    patterns:
      patterns &&
      new Patterns({
        clients: () => [patterns],
        limits,
        clock,
        sampleIntervalMs: config.pattern_ingester.pattern_sample_interval,
      }),
    clock,
  };
  const tailer = (): Tailer =>
    new Tailer({
      querier,
      recent,
      deletes,
      limits,
      clock,
      logger: host.logger('tailer'),
      registry,
      maxDurationMs: config.querier.tail_max_duration,
    });
  return {
    http,
    parts: new QuerierParts(querier, sources),
    routes: querierRoutes(http),
    sockets: () => tailer().routes(),
  };
}

/** So that the first query need not wait for threads and code; a process that is busy from the start goes on without. */
export function startThreadsWhenIdle({ clock, onStop, logger }: Host, { pool }: StoragePart): void {
  const ending = new AbortController();
  const waiting = idleMoment(clock, ending.signal)
    .then(() => pool.startAll())
    .catch((err: unknown) => {
      if (!ending.signal.aborted)
        logger('workers').warn('threads cannot be started yet; the first query tries again', { err });
    });
  onStop('threads of queries', () => {
    ending.abort(new Error('the process ends'));
    return waiting;
  });
}
