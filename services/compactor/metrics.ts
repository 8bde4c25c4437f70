import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const OPERATION_BUCKETS = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800];

/** The compactor's metrics, under Loki's names where Loki has them. */
export function compactorMetrics(registry: Registry) {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const byStatus = (name: string, help: string) => new Counter({ name, help, labelNames: ['status'], registers });
  const perUser = (name: string, help: string) => new Counter({ name, help, labelNames: ['user'], registers });
  const seconds = (name: string, help: string) => new Histogram({ name, help, buckets: OPERATION_BUCKETS, registers });
  const compact = 'loki_boltdb_shipper_compact_tables_operation';
  const retention = 'loki_compactor_apply_retention';
  return {
    running: gauge('loki_boltdb_shipper_compactor_running', '1 while this process compacts.'),
    compactions: byStatus(`${compact}_total`, 'Runs over all tenants, by outcome.'),
    compactionSeconds: seconds(`${compact}_duration_seconds`, 'Time that a run took.'),
    lastCompaction: gauge(
      `${compact}_last_successful_run_timestamp_seconds`,
      'When the last run without failure ended, seconds since 1970.',
    ),
    retentions: byStatus(`${retention}_operation_total`, 'Runs of retention and deletes, by outcome.'),
    retentionSeconds: seconds(`${retention}_operation_duration_seconds`, 'Time that such a run took.'),
    lastRetention: gauge(
      `${retention}_last_successful_run_timestamp_seconds`,
      'When the last such run without failure ended, seconds since 1970.',
    ),
    contended: gauge(
      'loki_compactor_locked_table_successive_compaction_skips',
      'Runs in a row in which another process held segments that this one wanted.',
    ),
    retained: new Counter({
      name: 'loki_boltdb_shipper_retention_marker_table_processed_total',
      help: 'Segments looked at for retention, by what became of them.',
      labelNames: ['action'],
      registers,
    }),
    deletesReceived: perUser('loki_compactor_delete_requests_received_total', 'Delete requests taken in.'),
    deletesProcessed: perUser('loki_compactor_delete_requests_processed_total', 'Delete requests carried out.'),
    deletesPending: gauge('loki_compactor_pending_delete_requests_count', 'Delete requests not carried out.'),
    oldestPending: gauge(
      'loki_compactor_oldest_pending_delete_request_age_seconds',
      'Age of the oldest delete request whose time has come and that is not carried out.',
    ),
    loadAttempts: byStatus('loki_compactor_load_pending_requests_attempts_total', 'Readings of delete requests.'),
    deletedLines: perUser('loki_compactor_deleted_lines', 'Lines that delete requests took out of the store.'),
    mergedSegments: counter('loptr_compactor_merged_segments_total', 'Segments that were replaced by others.'),
    writtenBytes: counter('loptr_compactor_written_bytes_total', 'Bytes of segments written.'),
    droppedSegments: counter('loptr_compactor_dropped_segments_total', 'Segments dropped whole.'),
    unreadable: gauge('loptr_compactor_unreadable_segments', 'Segments left as they are because they are corrupt.'),
  };
}

export type CompactorMetrics = ReturnType<typeof compactorMetrics>;
