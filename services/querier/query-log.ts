import { formatBytes } from '../../logql/units/bytes.ts';
import { formatGoDuration } from '../../logql/units/go-duration.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { toHttpError } from '../http/error-answers.ts';
import { fnv32 } from './blocked-queries.ts';
import type { QueryMetrics } from './metrics.ts';
import type { Bounds } from './params.ts';
import type { QueryStats } from './stats.ts';

/** A query as it was asked, and what became known of it on the way. */
export interface QueryRecord extends Bounds {
  readonly query: string;
  readonly tenants: readonly string[];
  readonly rangeType: 'range' | 'instant';
  readonly stepNs: bigint;
  readonly limit: number;
  readonly stats: QueryStats;
  /** `metric`, `filter` or `limited`; empty while the text was not understood. */
  type: string;
}

/** Loki calls a query slow from here on. */
const SLOW_SECONDS = 10;

/** Counts queries that have ended and writes one line about each, with the fields of Loki's. */
export class QueryLog {
  readonly #metrics: QueryMetrics;
  readonly #logger: Logger;
  readonly #clock: Clock;

  readonly #component: string;

  /** `component`: who answers, as the lines name it. */
  constructor(metrics: QueryMetrics, logger: Logger, clock: Clock, component: 'querier' | 'frontend') {
    this.#metrics = metrics;
    this.#logger = logger;
    this.#clock = clock;
    this.#component = component;
  }

  /** `error`: what the query ended with; undefined for an answer. A text that is no query is left out, as Loki does. */
  ended(record: QueryRecord, error: unknown, isClientGone: boolean): void {
    if (record.type === '') return;
    const status = error === undefined ? 200 : toHttpError(error, isClientGone).status;
    const { stats, type, rangeType: range } = record;
    const { scan } = stats;
    const seconds = stats.execSeconds;
    const latency = seconds >= SLOW_SECONDS ? 'slow' : 'fast';
    const { bytes, lines, metadataBytes } = stats.processed;
    const perSecond = (amount: number) => (seconds > 0 ? Math.round(amount / seconds) : 0);
    const labels = { status_code: String(status), type, range };
    this.#metrics.duration.observe({ query_type: range }, seconds);
    this.#metrics.latency.observe(labels, seconds);
    this.#metrics.throughput.observe({ ...labels, latency }, perSecond(bytes));
    this.#metrics.downloadedChunks.inc(labels, scan.storedBlocks);
    this.#metrics.duplicates.inc(scan.duplicates);
    this.#metrics.ingesterLines.inc(scan.recentRows);
    const nowNs = this.#clock.nowNs();
    this.#logger.info('query', {
      component: this.#component,
      org_id: record.tenants.join('|'),
      latency,
      query: record.query,
      query_hash: fnv32(record.query),
      query_type: type,
      range_type: range,
      length: goDuration(record.endNs - record.startNs),
      start_delta: goDuration(nowNs - record.startNs),
      end_delta: goDuration(nowNs - record.endNs),
      step: goDuration(record.stepNs),
      duration: formatGoDuration(Math.round(seconds * 1e9)),
      status,
      limit: record.limit,
      returned_lines: type === 'metric' ? 0 : stats.entriesReturned,
      throughput: bytesText(perSecond(bytes)),
      total_bytes: bytesText(bytes),
      total_bytes_structured_metadata: bytesText(metadataBytes),
      lines_per_second: perSecond(lines),
      total_lines: lines,
      post_filter_lines: scan.postFilterRows,
      total_entries: stats.entriesReturned,
      queue_time: formatGoDuration(Math.round(stats.queueMs * 1e6)),
      shards: stats.subqueries,
      chunk_refs_fetch_time: formatGoDuration(Math.round(stats.indexMs * 1e6)),
      store_chunks: stats.storedChunks,
      ingester_chunk_matches: stats.recentChunks,
      duplicates: scan.duplicates,
      corrupt_blocks: scan.corruptBlocks,
    });
  }
}

const goDuration = (ns: bigint): string => formatGoDuration(Number(ns));
/** Without the space between number and unit, as Loki logs sizes. */
const bytesText = (bytes: number): string => formatBytes(bytes).replace(' ', '');
