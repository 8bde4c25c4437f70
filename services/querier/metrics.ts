import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { WorkerPool } from '../../storage/scan/worker-pool.ts';
import type { QuerySlots } from './query-slots.ts';

const MB = 1e6;
const GB = 1e9;

/**
 * What becomes of queries as their clients see them, with Loki's names. One registry has one set, for whoever in the
 * process answers whole queries.
 */
export function queryMetrics(registry: Registry): QueryMetrics {
  let metrics = metricsOfRegistry.get(registry);
  if (metrics === undefined) metricsOfRegistry.set(registry, (metrics = newQueryMetrics(registry)));
  return metrics;
}

const metricsOfRegistry = new WeakMap<Registry, QueryMetrics>();
export type QueryMetrics = ReturnType<typeof newQueryMetrics>;

function newQueryMetrics(registry: Registry) {
  const registers = [registry];
  const byKind = ['status_code', 'type', 'range'] as const;
  return {
    duration: new Histogram({
      name: 'logql_query_duration_seconds',
      help: 'LogQL query timings.',
      labelNames: ['query_type'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    latency: new Histogram({
      name: 'loki_logql_querystats_latency_seconds',
      help: 'Distribution of latency for LogQL queries.',
      labelNames: byKind,
      buckets: [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128],
      registers,
    }),
    throughput: new Histogram({
      name: 'loki_logql_querystats_bytes_processed_per_seconds',
      help: 'Distribution of bytes processed per second for LogQL queries.',
      labelNames: [...byKind, 'latency'],
      buckets: [50 * MB, 100 * MB, 200 * MB, 400 * MB, 600 * MB, 800 * MB, GB, 2 * GB, 3 * GB, 4 * GB, 5 * GB, 10 * GB],
      registers,
    }),
    downloadedChunks: new Counter({
      name: 'loki_logql_querystats_downloaded_chunk_total',
      help: 'Blocks read from the object store by LogQL queries.',
      labelNames: byKind,
      registers,
    }),
    duplicates: new Counter({
      name: 'loki_logql_querystats_duplicates_total',
      help: 'Duplicate rows that LogQL queries left out.',
      registers,
    }),
    ingesterLines: new Counter({
      name: 'loki_logql_querystats_ingester_sent_lines_total',
      help: 'Rows that LogQL queries read in the memory of ingesters.',
      registers,
    }),
  };
}

/** Metrics of the querier itself. `slots`: null where a query frontend of the same process counts queries. */
export function querierMetrics(registry: Registry, pool: WorkerPool, slots: QuerySlots | null) {
  const registers = [registry];
  if (slots !== null) {
    new Gauge({
      name: 'loki_query_frontend_queries_in_progress',
      help: 'Queries under way, those that wait for a worker included.',
      registers,
      collect() {
        this.set(slots.inProgress);
      },
    });
    new Gauge({
      name: 'loki_query_scheduler_queue_length',
      help: 'Jobs that wait for a worker thread.',
      registers,
      collect() {
        this.set(pool.queued);
      },
    });
  }
  new Counter({
    name: 'loptr_querier_workers_replaced_total',
    help: 'Worker threads that ended, or did not give up their work, and were replaced.',
    registers,
    collect() {
      this.reset();
      this.inc(pool.replaced);
    },
  });
  return {
    corruptBlocks: new Counter({
      name: 'loptr_querier_corrupt_blocks_total',
      help: 'Blocks that queries met and could not read; they were left out of answers.',
      registers,
    }),
    cancelled: new Counter({
      name: 'loptr_querier_cancelled_queries_total',
      help: 'Queries that were given up because the client went away.',
      registers,
    }),
  };
}

export type QuerierMetrics = ReturnType<typeof querierMetrics>;
