import { Counter, Gauge, type Registry } from 'prom-client';
import type { WebSocket } from 'ws';
import { compilePipeline } from '../../logql/stages/index.ts';
import type { LogSelectorExpr } from '../../logql/syntax/ast.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { LimitsProvider } from '../config/limits.ts';
import { toHttpError } from '../http/error-answers.ts';
import type { HttpRequest, SocketRoute } from '../http/types.ts';
import type { DeleteSource } from '../rpc/deletes.ts';
import type { RecentRows } from '../rpc/recent-rows.ts';
import type { LogQueryParams } from './log-query.ts';
import { type LogEntry, parseEncodingFlags } from './log-response.ts';
import type { QueryContext } from './querier.ts';
import { parseTailParams, TailOfMetricsError, type TailParams } from './tail-params.ts';
import { CLOSE_ERROR, CLOSE_GOING_AWAY, TailSession } from './tail-session.ts';

/** Who reads the history: a `Querier`, or a frontend that has queriers. */
export interface EntrySource {
  /** Entries of a log query in the order of its direction. */
  entries(expr: LogSelectorExpr, params: LogQueryParams, context: QueryContext): Promise<readonly LogEntry[]>;
}

export interface TailerOptions {
  readonly querier: EntrySource;
  readonly recent: Pick<RecentRows, 'tail' | 'repeats'>;
  /** Absent where deletes are off. */
  readonly deletes?: DeleteSource;
  readonly limits: LimitsProvider;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
  /** `querier.tail_max_duration`. */
  readonly maxDurationMs: number;
}

/** Entries of the history where a tenant's queries have no limit. */
const MAX_HISTORY = 5000;

/** Follows queries over WebSockets. */
export class Tailer {
  readonly #options: TailerOptions;
  readonly #active = new Map<string, number>();
  readonly #gauge: Gauge;
  readonly #bytes: Counter;

  constructor(options: TailerOptions) {
    this.#options = options;
    const registers = [options.registry];
    this.#gauge = new Gauge({ name: 'loki_querier_tail_active', help: 'Open tails.', registers });
    this.#bytes = new Counter({ name: 'loki_querier_tail_bytes_total', help: 'Bytes sent to tails.', registers });
  }

  routes(): SocketRoute[] {
    const route = (path: string, legacy: boolean): SocketRoute => ({
      path,
      name: path.slice(1).replaceAll('/', '_'),
      open: (request) => this.#open(request, legacy),
    });
    return [route('/loki/api/v1/tail', false), route('/api/prom/tail', true)];
  }

  async #open(request: HttpRequest, legacy: boolean): Promise<(socket: WebSocket) => void> {
    const tenant = request.tenant();
    let params: TailParams;
    try {
      params = parseTailParams(request.query, this.#options.clock.nowNs());
    } catch (error: unknown) {
      if (error instanceof TailOfMetricsError) return (socket) => socket.close(CLOSE_ERROR, error.message);
      throw error;
    }
    return (socket) => this.#start(socket, request, tenant, params, legacy);
  }

  #start(socket: WebSocket, request: HttpRequest, tenant: string, params: TailParams, legacy: boolean): void {
    const max = this.#options.limits.for(tenant).max_concurrent_tail_requests;
    const count = this.#active.get(tenant) ?? 0;
    if (max > 0 && count >= max) {
      const text = `max concurrent tail requests limit exceeded, count > limit (${count + 1} > ${max})`;
      socket.close(CLOSE_ERROR, `rpc error: code = Code(400) desc = ${text}`);
      return;
    }
    this.#active.set(tenant, count + 1);
    this.#gauge.inc();
    const session = new TailSession(socket, {
      compile: () => compilePipeline({ stages: params.query.stages, grouping: { kind: 'categories' } }),
      deletes: () => this.#options.deletes?.pending(tenant) ?? [],
      flags: parseEncodingFlags(request.header('x-loki-response-encoding-flags')),
      delayMs: params.delayMs,
      maxDurationMs: this.#options.maxDurationMs,
      legacy,
      repeats: this.#options.recent.repeats,
      onSent: (_, bytes) => this.#bytes.inc(bytes),
    });
    // Followed first, so that no row falls between the history and the live part.
    const { matchers } = params.query;
    const stop = this.#options.recent.tail(tenant, matchers, (labels, rows) => session.rows(labels, rows));
    request.signal.addEventListener('abort', () => session.close(CLOSE_GOING_AWAY, 'the server stops'), { once: true });
    socket.once('close', () => {
      stop();
      const left = (this.#active.get(tenant) ?? 1) - 1;
      if (left > 0) this.#active.set(tenant, left);
      else this.#active.delete(tenant);
      this.#gauge.dec();
    });
    this.#history(request, tenant, params).then(
      (entries) => session.backlog(entries),
      (error: unknown) => {
        if (request.signal.aborted) return; // nobody is left to be told
        this.#options.logger.warn('the history of a tail could not be read', { tenant, err: error });
        session.close(CLOSE_ERROR, toHttpError(error, false).message);
      },
    );
  }

  /** The newest entries since the start, oldest first. */
  async #history(request: HttpRequest, tenant: string, params: TailParams): Promise<LogEntry[]> {
    const endNs = this.#options.clock.nowNs() + 1n;
    const context = { tenants: { ids: [tenant], federated: false }, signal: request.signal, partialSeries: false };
    // Loki takes any number here; no history is longer than what a query may ask for.
    const { max_entries_limit_per_query: max } = this.#options.limits.for(tenant);
    const limit = Math.min(params.limit, max > 0 ? max : MAX_HISTORY);
    const entries = await this.#options.querier.entries(
      params.query,
      { startNs: params.startNs, endNs, limit, direction: 'backward', intervalNs: 0n, periodNs: 0n },
      context,
    );
    return [...entries].reverse();
  }
}
