import {
  chunkStoreFields,
  frontendWorkerFields,
  ingesterClientFields,
  resultsCacheFields,
  ringFields,
} from './cluster-fields.ts';
import { bool, type ConfigOf, duration, float, type Group, int, size, strings, structured, text } from './field.ts';
import { limitsFields } from './limits-fields.ts';
import { type PeriodConfig, readPeriods } from './periods.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const MB = 1024 * 1024;

const s3 = (prefix: string) => ({
  s3: text('', `${prefix}s3.url`, 'Address and keys in one: s3://key:secret@region-or-host/bucket.', { secret: true }),
  s3forcepathstyle: bool(
    false,
    `${prefix}s3.force-path-style`,
    'Put the bucket into the path, as most servers but AWS want.',
  ),
  bucketnames: text('', `${prefix}s3.buckets`, 'Bucket that holds the data; of a comma list the first is used.'),
  endpoint: text('', `${prefix}s3.endpoint`, 'Host and port, or URL, of a server that is not AWS.'),
  region: text('', `${prefix}s3.region`, 'Region that requests are signed for.'),
  access_key_id: text('', `${prefix}s3.access-key-id`, 'Access key; empty: taken from where AWS SDKs look.', {
    secret: true,
  }),
  secret_access_key: text('', `${prefix}s3.secret-access-key`, 'Secret of the access key.', { secret: true }),
  session_token: text('', `${prefix}s3.session-token`, 'Token of a temporary access key.', { secret: true }),
  insecure: bool(false, `${prefix}s3.insecure`, 'Talk plain HTTP to an endpoint given without a scheme.'),
  request_checksum_calculation: text(
    'WHEN_SUPPORTED',
    `${prefix}s3.request-checksum-calculation`,
    'WHEN_REQUIRED helps servers that do not know the newer checksums.',
    { own: true, choices: ['WHEN_SUPPORTED', 'WHEN_REQUIRED'] },
  ),
  response_checksum_validation: text(
    'WHEN_SUPPORTED',
    `${prefix}s3.response-checksum-validation`,
    'WHEN_REQUIRED helps servers that do not know the newer checksums.',
    { own: true, choices: ['WHEN_SUPPORTED', 'WHEN_REQUIRED'] },
  ),
  backoff_config: {
    max_retries: int(5, `${prefix}s3.max-retries`, 'Tries of one request before it fails.', { min: 1, max: 100 }),
  },
});

const CLIENT_AUTH = ['', 'NoClientCert', 'RequestClientCert', 'RequireAnyClientCert', 'VerifyClientCertIfGiven'];

const tls = (door: 'HTTP' | 'gRPC', prefix: string, clientAuth: readonly string[]) => ({
  cert_file: text(
    '',
    `${prefix}-cert-path`,
    `Certificate of ${door} in PEM, with its chain; with it ${door} is TLS only.`,
  ),
  key_file: text('', `${prefix}-key-path`, 'Private key of the certificate, in PEM.'),
  client_auth_type: text('', `${prefix}-client-auth`, 'What is asked of the certificates of clients; empty: nothing.', {
    choices: [...clientAuth, 'RequireAndVerifyClientCert'],
  }),
  client_ca_file: text('', `${prefix}-ca-path`, 'Certificates that vouch for those of clients, in PEM.'),
});

/** Every key that has an effect here. Keys of Loki that have none are listed in `loki-keys.txt`. */
export const schema = {
  target: text('all', 'target', 'Services that this process runs, separated by commas; -list-targets names them.'),
  auth_enabled: bool(
    true,
    'auth.enabled',
    'Ask for the tenant in X-Scope-OrgID; without it every request belongs to the tenant "fake".',
  ),
  http_prefix: text('', 'http.prefix', 'Path that all HTTP routes begin with; server.http_path_prefix wins over it.'),
  shutdown_delay: duration(
    0,
    'shutdown-delay',
    'How long /ready answers 503 before the program stops taking requests.',
    { min: 0 },
  ),
  tenant_limits_allow_publish: strings(
    [
      'discover_log_levels',
      'discover_service_name',
      'log_level_fields',
      'max_entries_limit_per_query',
      'max_line_size_truncate',
      'max_query_bytes_read',
      'max_query_length',
      'max_query_lookback',
      'max_query_range',
      'max_query_series',
      'metric_aggregation_enabled',
      'otlp_config',
      'pattern_persistence_enabled',
      'query_timeout',
      'retention_period',
      'retention_stream',
      'volume_enabled',
      'volume_max_series',
    ],
    'limits.tenant-limits-allow-publish',
    'Limits that the limits endpoints show to tenants.',
  ),
  server: {
    http_listen_address: text('', 'server.http-listen-address', 'Address that HTTP listens on; empty: all.'),
    http_listen_port: int(3100, 'server.http-listen-port', 'Port of HTTP; 0: any free one.', { min: 0, max: 65535 }),
    http_listen_conn_limit: int(0, 'server.http-conn-limit', 'Most open HTTP connections; 0: no bound.'),
    grpc_listen_address: text('', 'server.grpc-listen-address', 'Address that gRPC listens on; empty: all.'),
    grpc_listen_port: int(9095, 'server.grpc-listen-port', 'Port of gRPC; 0: any free one.', { min: 0, max: 65535 }),
    grpc_server_max_recv_msg_size: size(
      4 * MB,
      'server.grpc-max-recv-msg-size-bytes',
      'Largest gRPC message taken in.',
      { min: 1 },
    ),
    grpc_server_max_send_msg_size: size(4 * MB, 'server.grpc-max-send-msg-size-bytes', 'Largest gRPC message sent.', {
      min: 1,
    }),
    grpc_server_max_concurrent_streams: int(
      100,
      'server.grpc-max-concurrent-streams',
      'gRPC calls at once on one connection; 0: no bound.',
      { min: 0 },
    ),
    graceful_shutdown_timeout: duration(
      30 * SECOND,
      'server.graceful-shutdown-timeout',
      'How long a stop may take before it is forced.',
      { min: 0 },
    ),
    http_server_read_timeout: duration(
      30 * SECOND,
      'server.http-read-timeout',
      'How long a client may take to send a request, body included.',
      { min: 0 },
    ),
    http_server_read_header_timeout: duration(
      0,
      'server.http-read-header-timeout',
      'The same for the headers alone; 0: as http_server_read_timeout.',
      { min: 0 },
    ),
    http_server_write_timeout: duration(
      30 * SECOND,
      'server.http-write-timeout',
      'How long a client may leave an answer unread before it is cut off; 0: for ever.',
      { min: 0 },
    ),
    http_server_idle_timeout: duration(
      2 * MINUTE,
      'server.http-idle-timeout',
      'How long an unused connection is kept.',
      { min: 0 },
    ),
    http_path_prefix: text('', 'server.path-prefix', 'Path that all HTTP routes begin with.'),
    tls_min_version: text('', 'server.tls-min-version', 'Least version of TLS; empty: VersionTLS12.', {
      choices: ['', 'VersionTLS12', 'VersionTLS13'],
    }),
    http_tls_config: tls('HTTP', 'server.http-tls', CLIENT_AUTH),
    grpc_tls_config: tls('gRPC', 'server.grpc-tls', CLIENT_AUTH.slice(0, 2)),
    register_instrumentation: bool(true, 'server.register-instrumentation', 'Serve /metrics.'),
    log_format: text('logfmt', 'log.format', 'Form of the log on standard error.', { choices: ['logfmt', 'json'] }),
    log_level: text('info', 'log.level', 'Least level that is logged; /log_level changes it while the program runs.', {
      choices: ['debug', 'info', 'warn', 'error'],
    }),
    log_request_at_info_level_enabled: bool(
      false,
      'server.log-request-at-info-level-enabled',
      'Log each request at level info instead of debug.',
    ),
  },
  access: {
    users_file: text(
      '',
      'access.users-file',
      'File of users and tokens, their tenants and permissions; empty: whoever reaches the ports may do everything.',
      { own: true },
    ),
    open_metrics: bool(true, 'access.open-metrics', 'Answer /metrics also without credentials.', { own: true }),
    reload_period: duration(
      5 * SECOND,
      'access.reload-period',
      'How often the file of users and those of TLS are read again.',
      { own: true, min: 100 },
    ),
  },
  common: {
    path_prefix: text(
      '',
      'common.path-prefix',
      'Directory of everything that has no directory of its own; empty: ./data.',
    ),
    replication_factor: int(
      1,
      'common.replication-factor',
      'Ingesters that take each stream; 3 with the ring in etcd, where nothing else is said.',
      { min: 1, max: 3 },
    ),
    instance_addr: text('', 'common.instance-addr', 'Address that this process tells to others.'),
    storage: {
      s3: s3('common.storage.'),
      filesystem: {
        chunks_directory: text(
          '',
          'common.storage.filesystem.chunk-directory',
          'Directory of stored logs; empty: chunks below common.path_prefix.',
        ),
        rules_directory: text('', 'common.storage.filesystem.rules-directory', 'Directory of rule files.', {
          ignored: true,
        }),
      },
    },
    ring: ringFields,
  },
  schema_config: {
    configs: structured<readonly PeriodConfig[]>(
      [],
      'Periods of storage; the newest names the object store that is used.',
      readPeriods,
    ),
  },
  storage_config: {
    filesystem: {
      directory: text(
        '',
        'local.chunk-directory',
        'Directory of stored logs; wins over common.storage.filesystem.chunks_directory.',
      ),
    },
    aws: s3(''),
    object_prefix: text('', 'store.object-prefix', 'Put before the key of every object.', { ignored: true }),
  },
  distributor: {
    max_recv_msg_size: size(100 * MB, 'distributor.max-recv-msg-size', 'Largest push as sent, compressed.', { min: 1 }),
    max_decompressed_size: size(5000 * MB, 'distributor.max-decompressed-size', 'Largest push once decompressed.', {
      min: 1,
    }),
    otlp_config: {
      default_resource_attributes_as_index_labels: strings(
        [
          'service.name',
          'service.namespace',
          'service.instance.id',
          'deployment.environment',
          'deployment.environment.name',
          'cloud.region',
          'cloud.availability_zone',
          'k8s.cluster.name',
          'k8s.namespace.name',
          'k8s.pod.name',
          'k8s.container.name',
          'container.name',
          'k8s.replicaset.name',
          'k8s.deployment.name',
          'k8s.statefulset.name',
          'k8s.daemonset.name',
          'k8s.cronjob.name',
          'k8s.job.name',
        ],
        'distributor.otlp.default_resource_attributes_as_index_labels',
        'Resource attributes of OTLP that become stream labels where a tenant says nothing else.',
      ),
    },
  },
  ingester: {
    chunk_idle_period: duration(
      30 * MINUTE,
      'ingester.chunks-idle-period',
      'A stream without new lines for this long is stored.',
      { min: 0 },
    ),
    max_chunk_age: duration(
      2 * HOUR,
      'ingester.max-chunk-age',
      'Rows are stored at this age; half of it is how far behind its newest line a stream takes lines.',
      { min: 1 },
    ),
    flush_check_period: duration(
      30 * SECOND,
      'ingester.flush-check-period',
      'How often the ingester looks for what to store.',
      { min: 1 },
    ),
    max_returned_stream_errors: int(
      10,
      'ingester.max-ignored-stream-errors',
      'Refused entries of one stream that an answer lists.',
      { min: 0 },
    ),
    chunk_target_size: size(
      1.5 * MB,
      'ingester.chunk-target-size',
      'Compressed rows of a stream at which they are stored.',
      { min: 1024 },
    ),
    chunk_block_size: size(
      MB,
      'ingester.chunks-block-size',
      'Line bytes that are compressed together; smaller blocks are read faster one by one and compress worse.',
      { min: 1024 },
    ),
    flush_op_backoff: {
      min_period: duration(
        SECOND,
        'ingester.flush-op-backoff-min-period',
        'First pause after the object store refused a write.',
        { min: 1 },
      ),
      max_period: duration(MINUTE, 'ingester.flush-op-backoff-max-period', 'Longest such pause.', { min: 1 }),
    },
    flush_bytes: size(
      512 * MB,
      'ingester.flush-bytes',
      'Rows held in memory beyond which the largest streams are stored whatever their age.',
      { own: true, min: MB },
    ),
    max_unflushed_bytes: size(
      1024 * MB,
      'ingester.max-unflushed-bytes',
      'Rows held in memory beyond which pushes are refused until some are stored.',
      { own: true, min: MB },
    ),
    autoforget_unhealthy: bool(
      false,
      'ingester.autoforget-unhealthy',
      'Forget ingesters that have been unhealthy for ten heartbeat timeouts, with what only they hold.',
    ),
    shutdown_marker_path: text(
      '',
      'ingester.shutdown-marker-path',
      'Directory of the mark that /ingester/prepare_shutdown sets; empty: the directory of the WAL.',
    ),
    wal: {
      dir: text('', 'ingester.wal-dir', 'Directory of the write-ahead log; empty: wal below common.path_prefix.'),
      flush_on_shutdown: bool(
        true,
        'ingester.flush-on-shutdown',
        'Store everything before the program ends; always so here.',
        { ignored: true },
      ),
      max_size: size(
        1024 * MB,
        'ingester.wal-max-size',
        'Size of the log beyond which the streams in its oldest files are stored.',
        { own: true, min: MB },
      ),
      disk_full_threshold: float(
        0.9,
        'ingester.wal-disk-full-threshold',
        'Share of the disk in use at which pushes are refused; here a write that the disk refuses does that.',
        { min: 0, max: 1, ignored: true },
      ),
      segment_size: size(64 * MB, 'ingester.wal-segment-size', 'Size of one file of the log.', {
        own: true,
        min: 64 * 1024,
      }),
      fsync: bool(
        false,
        'ingester.wal-fsync',
        'Wait for the disk before a push is acknowledged, to survive power loss as well.',
        { own: true },
      ),
    },
  },
  querier: {
    tail_max_duration: duration(HOUR, 'querier.tail-max-duration', 'How long one tail may last.', { min: 0 }),
    multi_tenant_queries_enabled: bool(
      false,
      'querier.multi-tenant-queries-enabled',
      'Let one query read several tenants (a|b).',
    ),
    per_request_limits_enabled: bool(
      false,
      'querier.per-request-limits-enabled',
      'Let a request set stricter limits for itself with X-Loki-Query-Limits.',
    ),
    max_concurrent: int(4, 'querier.max-concurrent', 'Parts of queries that a querier works on for each frontend.', {
      min: 1,
      max: 1000,
    }),
    workers: int(0, 'querier.workers', 'Threads that scan stored rows; 0: one for each core.', {
      own: true,
      min: 0,
      max: 256,
    }),
  },
  query_range: {
    cache_results: bool(false, 'querier.cache-results', 'Let query frontends keep answers.'),
    results_cache: resultsCacheFields,
    max_retries: int(5, 'querier.max-retries-per-request', 'Tries of a part of a query whose querier failed.', {
      min: 1,
    }),
    shard_aggregations: strings(
      [],
      'querier.shard-aggregations',
      'Aggregations that may be approximate: approx_topk.',
      { ignored: true },
    ),
  },
  frontend: {
    max_body_size: size(10 * MB, 'frontend.max-body-size', 'Largest body of a query.', { min: 1 }),
    compress_responses: bool(
      false,
      'querier.compress-http-responses',
      'Answer queries with gzip where the client takes it.',
    ),
    max_outstanding_per_tenant: int(
      2048,
      'querier.max-outstanding-requests-per-tenant',
      'Queries of one tenant that may be under way or wait; more are refused with 429.',
      { min: 1 },
    ),
    log_queries_longer_than: duration(0, 'frontend.log-queries-longer-than', 'Log queries that take longer; 0: none.', {
      ignored: true,
    }),
  },
  frontend_worker: frontendWorkerFields,
  ingester_client: ingesterClientFields,
  chunk_store_config: chunkStoreFields,
  compactor: {
    compaction_interval: duration(
      10 * MINUTE,
      'compactor.compaction-interval',
      'How often small stored segments are looked for, to make larger ones of them.',
      { min: 1 },
    ),
    apply_retention_interval: duration(
      0,
      'compactor.apply-retention-interval',
      'How often retention and delete requests are looked after; 0: as compaction_interval.',
      { min: 0 },
    ),
    retention_enabled: bool(
      false,
      'compactor.retention-enabled',
      'Drop lines older than limits_config.retention_period, and take delete requests.',
    ),
    retention_delete_delay: duration(
      2 * HOUR,
      'compactor.retention-delete-delay',
      'How long objects stay once others hold their rows or the rows are dropped.',
      { min: 0 },
    ),
    delete_request_store: text(
      '',
      'compactor.delete-request-store',
      'Must be set with retention_enabled, as in Loki; requests lie in the object store of everything else.',
    ),
    delete_request_store_key_prefix: text(
      'index/',
      'compactor.delete-request-store.key-prefix',
      'What the keys of delete requests begin with.',
    ),
    delete_request_cancel_period: duration(
      24 * HOUR,
      'compactor.delete-request-cancel-period',
      'How long a delete request can be taken back; only then rows are removed for good.',
      { min: 0 },
    ),
    delete_max_interval: duration(
      24 * HOUR,
      'compactor.delete-max-interval',
      'Largest max_interval of a delete request; 0: no bound.',
      { min: 0 },
    ),
    max_segment_size: size(
      128 * MB,
      'compactor.max-segment-size',
      'Largest segment that is made of small ones; about twice as much memory is taken meanwhile.',
      { own: true, min: MB, max: 1024 * MB },
    ),
  },
  limits_config: limitsFields,
  runtime_config: {
    file: text('', 'runtime-config.file', 'Files with limits of single tenants, a comma list; later ones win.'),
    period: duration(10 * SECOND, 'runtime-config.reload-period', 'How often those files are read again.', {
      min: 100,
    }),
  },
  pattern_ingester: {
    enabled: bool(false, 'pattern-ingester.enabled', 'Find patterns in lines as they come.'),
    retain_for: duration(3 * HOUR, 'pattern-ingester.retain-for', 'How long patterns are kept.', { min: 1 }),
    max_chunk_age: duration(
      1 * HOUR,
      'pattern-ingester.max-chunk-age',
      'Counts of a pattern are forgotten together in pieces of this length.',
      { min: 1 },
    ),
    pattern_sample_interval: duration(
      10 * SECOND,
      'pattern-ingester.sample-interval',
      'Lines of a pattern are counted in intervals of this length.',
      { min: SECOND },
    ),
    max_clusters: int(300, 'pattern-ingester.max-clusters', 'Most patterns of a stream and level.', { min: 1 }),
    max_eviction_ratio: float(
      0.25,
      'pattern-ingester.max-eviction-ratio',
      'Share of lines that may push a pattern out; beyond it a stream is not looked at for ten minutes.',
      { min: 0 },
    ),
    max_allowed_line_length: int(
      3000,
      'pattern-ingester.max-allowed-line-length',
      'Longest line that is looked at, in bytes.',
      { min: 1 },
    ),
    max_memory: size(256 * MB, 'pattern-ingester.max-memory', 'Most memory of all patterns.', { own: true, min: MB }),
  },
  analytics: {
    reporting_enabled: bool(false, 'reporting.enabled', 'This program sends reports to nobody, whatever stands here.'),
  },
} as const satisfies Group;

export type Config = ConfigOf<typeof schema>;
