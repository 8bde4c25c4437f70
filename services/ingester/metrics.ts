import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export type FlushReason = 'full' | 'idle' | 'max_age' | 'forced' | 'wal' | 'memory' | 'segment';

/** The ingester's metrics, with Loki's names where Loki has one. */
export function ingesterMetrics(registry: Registry) {
  const registers = [registry];
  const counter = (name: string, help: string) => new Counter({ name: `loki_ingester_${name}`, help, registers });
  const gauge = (name: string, help: string) => new Gauge({ name: `loki_ingester_${name}`, help, registers });
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name: `loki_ingester_${name}`, help, buckets, registers });
  const byTenant = { labelNames: ['tenant'] as const, registers };
  const powers = (start: number, factor: number, count: number) =>
    Array.from({ length: count }, (_, i) => start * factor ** i);
  return {
    memoryStreams: new Gauge({
      name: 'loki_ingester_memory_streams',
      help: 'The total number of streams in memory per tenant.',
      ...byTenant,
    }),
    streamsCreated: new Counter({
      name: 'loki_ingester_streams_created_total',
      help: 'The total number of streams created per tenant.',
      ...byTenant,
    }),
    streamsRemoved: new Counter({
      name: 'loki_ingester_streams_removed_total',
      help: 'The total number of streams removed per tenant.',
      ...byTenant,
    }),
    memoryChunks: gauge('memory_chunks', 'The total number of cut pieces of streams in memory.'),
    unflushedBytes: gauge('unflushed_bytes', 'Memory of rows that are not yet in the object store.'),
    flushQueueLength: gauge('flush_queue_length', 'Streams that are on their way to the object store.'),
    flushFailures: counter('flush_failures_total', 'Attempts to store a segment that failed.'),
    chunksFlushed: new Counter({
      name: 'loki_ingester_chunks_flushed_total',
      help: 'Total flushed chunks per reason.',
      labelNames: ['reason'] as const,
      registers,
    }),
    chunkAge: histogram('chunk_age_seconds', 'Age of chunks when flushed.', [60, 600, 1800, 3600, 7200, 18000, 36000]),
    chunkBounds: histogram('chunk_bounds_hours', 'Time that a chunk spans when flushed.', powers(0.5, 2, 8)),
    chunkEntries: histogram('chunk_entries', 'Rows of chunks when flushed.', powers(200, 2, 9)),
    chunkSize: histogram('chunk_size_bytes', 'Encoded size of chunks when flushed.', powers(20_000, 2, 10)),
    chunkUtilization: histogram('chunk_utilization', 'Encoded size over target size.', powers(0.1, 1.7, 6)),
    chunkCompression: histogram('chunk_compression_ratio', 'Line bytes over encoded bytes.', powers(0.75, 2, 10)),
    encodeTime: histogram('chunk_encode_time_seconds', 'Time to encode what was cut.', powers(0.001, 4, 9)),
    walRecords: counter('wal_records_logged_total', 'Records written to the write-ahead log.'),
    walLoggedBytes: counter('wal_logged_bytes_total', 'Bytes of records written to the write-ahead log.'),
    walBytes: gauge('wal_bytes', 'Size of the write-ahead log.'),
    walFailures: counter('wal_disk_full_failures_total', 'Pushes refused because the log could not be written.'),
    walCorruptions: counter('wal_corruptions_total', 'Damaged places met while reading the log.'),
    replayActive: gauge('wal_replay_active', 'Whether the write-ahead log is being read.'),
    replayDuration: gauge('wal_replay_duration_seconds', 'Time it took to read the write-ahead log.'),
    recoveredStreams: counter('wal_recovered_streams_total', 'Streams recovered from the write-ahead log.'),
    recoveredEntries: counter('wal_recovered_entries_total', 'Rows recovered from the write-ahead log.'),
    recoveredBytes: counter('wal_recovered_bytes_total', 'Bytes of records recovered from the write-ahead log.'),
  };
}

export type IngesterMetrics = ReturnType<typeof ingesterMetrics>;
