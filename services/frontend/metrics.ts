import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What the frontend's metrics are read from when they are asked for. */
export interface FrontendGauges {
  readonly inProgress: () => number;
  readonly queued: () => number;
  readonly streams: () => number;
}

/** A query frontend's metrics, with the names of Loki's frontend and scheduler, which it is both of. */
export function frontendMetrics(registry: Registry, gauges: FrontendGauges) {
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge('loki_query_frontend_queries_in_progress', 'Queries under way.', gauges.inProgress);
  gauge('loki_query_scheduler_queue_length', 'Parts of queries that wait for a querier.', gauges.queued);
  gauge('loki_query_scheduler_connected_querier_clients', 'Streams on which queriers take work.', gauges.streams);
  return {
    queueDuration: new Histogram({
      name: 'loki_query_scheduler_queue_duration_seconds',
      help: 'Time that parts of queries wait for a querier.',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
    retries: new Histogram({
      name: 'loki_query_frontend_retries',
      help: 'Number of times a part is given to another querier.',
      buckets: [0, 1, 2, 3, 4, 5],
      registers,
    }),
    partitions: new Histogram({
      name: 'loki_query_frontend_partitions',
      help: 'Number of parts that a query is divided into by time.',
      buckets: [1, 4, 16, 64, 256, 1024],
      registers,
    }),
    discarded: new Counter({
      name: 'loki_query_scheduler_discarded_requests_total',
      help: 'Parts that were refused because their tenant had too many waiting.',
      labelNames: ['user'],
      registers,
    }),
    cacheHits: new Counter({
      name: 'loptr_frontend_cache_parts_served_total',
      help: 'Parts of queries that were answered from the results cache.',
      registers,
    }),
    cacheStale: new Counter({
      name: 'loptr_frontend_cache_parts_changed_total',
      help: 'Parts found in the results cache whose rows have changed since.',
      registers,
    }),
    cacheStored: new Counter({
      name: 'loptr_frontend_cache_parts_stored_total',
      help: 'Parts that were put into the results cache.',
      registers,
    }),
  };
}

export type FrontendMetrics = ReturnType<typeof frontendMetrics>;
