/**
 * What a tenant may do: Loki's `limits_config`, key by key. Durations are milliseconds, sizes are bytes, and 0 (or an
 * empty text or list) means "no limit" wherever Loki means that. Asked for each time it is needed, because the limits
 * of a tenant change while the program runs.
 */
export interface Limits {
  // Taking lines in.
  readonly ingestion_rate_strategy: 'global' | 'local';
  /** Megabytes (2^20 bytes) a second. */
  readonly ingestion_rate_mb: number;
  readonly ingestion_burst_size_mb: number;
  readonly max_label_name_length: number;
  readonly max_label_value_length: number;
  readonly max_label_names_per_series: number;
  readonly reject_old_samples: boolean;
  readonly reject_old_samples_max_age: number;
  readonly creation_grace_period: number;
  readonly max_line_size: number;
  readonly max_line_size_truncate: boolean;
  readonly max_line_size_truncate_identifier: string;
  readonly increment_duplicate_timestamp: boolean;
  readonly simulated_push_latency: number;
  readonly discover_generic_fields: GenericFields;
  readonly discover_service_name: readonly string[];
  readonly discover_log_levels: boolean;
  readonly log_level_fields: readonly string[];
  /** Levels of nesting; 0 or less: no bound. */
  readonly log_level_from_json_max_depth: number;
  readonly allow_structured_metadata: boolean;
  readonly max_structured_metadata_size: number;
  readonly max_structured_metadata_entries_count: number;
  readonly otlp_config: OtlpConfig | null;
  /** ms since 1970; 0: not blocked. */
  readonly block_ingestion_until: number;
  readonly block_ingestion_status_code: number;
  /** ms since 1970 by name of policy. */
  readonly block_ingestion_policy_until: Readonly<Record<string, number>>;
  readonly enforced_labels: readonly string[];
  readonly policy_enforced_labels: Readonly<Record<string, readonly string[]>>;
  readonly policy_stream_mapping: Readonly<Record<string, readonly PolicyRule[]>>;
  readonly policy_override_limits: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly shard_streams: ShardStreams;
  readonly unordered_writes: boolean;

  // Streams in memory.
  readonly use_owned_stream_count: boolean;
  readonly max_streams_per_user: number;
  readonly max_global_streams_per_user: number;
  /** Bytes a second. */
  readonly per_stream_rate_limit: number;
  readonly per_stream_rate_limit_burst: number;

  // Queries.
  readonly enable_multi_variant_queries: boolean;
  readonly max_chunks_per_query: number;
  readonly max_query_series: number;
  readonly max_query_lookback: number;
  readonly max_query_length: number;
  readonly max_query_range: number;
  readonly max_query_parallelism: number;
  readonly tsdb_max_query_parallelism: number;
  readonly tsdb_max_bytes_per_shard: number;
  readonly tsdb_sharding_strategy: string;
  readonly tsdb_precompute_chunks: boolean;
  readonly cardinality_limit: number;
  readonly max_streams_matchers_per_query: number;
  readonly max_concurrent_tail_requests: number;
  readonly max_entries_limit_per_query: number;
  readonly max_cache_freshness_per_query: number;
  readonly max_metadata_cache_freshness: number;
  readonly max_stats_cache_freshness: number;
  readonly max_queriers_per_tenant: number;
  readonly max_query_capacity: number;
  readonly query_ready_index_num_days: number;
  readonly query_timeout: number;
  readonly split_queries_by_interval: number;
  readonly split_metadata_queries_by_interval: number;
  readonly split_recent_metadata_queries_by_interval: number;
  readonly recent_metadata_query_window: number;
  readonly split_instant_metric_queries_by_interval: number;
  readonly split_ingester_queries_by_interval: number;
  readonly engine_results_cache_time_bucket_interval: number;
  readonly min_sharding_lookback: number;
  readonly max_query_bytes_read: number;
  readonly max_querier_bytes_read: number;
  readonly volume_enabled: boolean;
  readonly volume_max_series: number;
  readonly required_labels: readonly string[];
  readonly minimum_labels_number: number;
  readonly blocked_queries: readonly BlockedQuery[];
  readonly index_gateway_shard_size: number;
  readonly index_gateway_max_capacity: number;
  readonly max_scan_task_parallelism: number;
  readonly debug_engine_tasks: boolean;
  readonly debug_engine_streams: boolean;

  // Keeping and deleting.
  readonly deletion_mode: 'disabled' | 'filter-only' | 'filter-and-delete';
  readonly allow_deletes: boolean;
  readonly retention_period: number;
  readonly retention_stream: readonly StreamRetention[];
  readonly per_tenant_override_config: string;
  readonly per_tenant_override_period: number;
  readonly s3_sse_type: string;
  readonly s3_sse_kms_key_id: string;
  readonly s3_sse_kms_encryption_context: string;

  // Rules.
  readonly ruler_max_rules_per_rule_group: number;
  readonly ruler_max_rule_groups_per_tenant: number;
  readonly ruler_alertmanager_config: Readonly<Record<string, unknown>> | null;
  readonly ruler_tenant_shard_size: number;
  readonly ruler_enable_wal_replay: boolean;
  readonly ruler_remote_write_disabled: boolean;
  readonly ruler_remote_write_url: string;
  readonly ruler_remote_write_timeout: number;
  readonly ruler_remote_write_headers: Readonly<Record<string, string>>;
  readonly ruler_remote_write_queue_capacity: number;
  readonly ruler_remote_write_queue_min_shards: number;
  readonly ruler_remote_write_queue_max_shards: number;
  readonly ruler_remote_write_queue_max_samples_per_send: number;
  readonly ruler_remote_write_queue_batch_send_deadline: number;
  readonly ruler_remote_write_queue_min_backoff: number;
  readonly ruler_remote_write_queue_max_backoff: number;
  readonly ruler_remote_write_queue_retry_on_ratelimit: boolean;
  readonly ruler_remote_evaluation_timeout: number;
  readonly ruler_remote_evaluation_max_response_size: number;

  // Patterns and aggregated metrics.
  readonly ingestion_partitions_tenant_shard_size: number;
  readonly pattern_ingester_tokenizable_json_fields_default: readonly string[];
  readonly pattern_ingester_tokenizable_json_fields_append: readonly string[];
  readonly pattern_ingester_tokenizable_json_fields_delete: readonly string[];
  readonly metric_aggregation_enabled: boolean;
  readonly pattern_persistence_enabled: boolean;
  readonly pattern_persistence_granularity: number;
  readonly pattern_rate_threshold: number;
}

export interface GenericFields {
  readonly fields?: Readonly<Record<string, readonly string[]>>;
}

export interface OtlpAttributeRule {
  readonly action: 'index_label' | 'structured_metadata' | 'drop';
  /** Exactly one of these two. */
  readonly attributes?: readonly string[];
  readonly regex?: string;
}

export interface OtlpConfig {
  readonly resource_attributes?: {
    readonly ignore_defaults?: boolean;
    readonly attributes_config?: readonly OtlpAttributeRule[];
  };
  readonly scope_attributes?: readonly OtlpAttributeRule[];
  readonly log_attributes?: readonly OtlpAttributeRule[];
  readonly severity_text_as_label?: boolean;
}

export interface PolicyRule {
  readonly selector: string;
  readonly priority: number;
}

export interface ShardStreams {
  readonly enabled: boolean;
  readonly time_sharding_enabled: boolean;
  readonly time_sharding_ignore_recent: number;
  readonly logging_enabled: boolean;
  /** Bytes a second. */
  readonly desired_rate: number;
}

export interface BlockedQuery {
  readonly pattern?: string;
  readonly regex?: boolean;
  readonly hash?: number;
  readonly types?: readonly string[];
  readonly query_tags?: Readonly<Record<string, string>>;
}

export interface StreamRetention {
  readonly selector: string;
  readonly priority: number;
  readonly period: number;
}

export interface LimitsProvider {
  /** The limits that hold for this tenant right now. Ask each time: they change while the program runs. */
  for(tenant: string): Limits;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const KB = 1024;
const MB = 1024 * KB;
const GB = 1024 * MB;

export const defaultLimits: Limits = {
  ingestion_rate_strategy: 'global',
  ingestion_rate_mb: 4,
  ingestion_burst_size_mb: 6,
  max_label_name_length: 1024,
  max_label_value_length: 2048,
  max_label_names_per_series: 15,
  reject_old_samples: true,
  reject_old_samples_max_age: 7 * DAY,
  creation_grace_period: 10 * MINUTE,
  max_line_size: 256 * KB,
  max_line_size_truncate: false,
  max_line_size_truncate_identifier: '',
  increment_duplicate_timestamp: false,
  simulated_push_latency: 0,
  discover_generic_fields: {},
  discover_service_name: [
    'service',
    'app',
    'application',
    'app_name',
    'name',
    'app_kubernetes_io_name',
    'container',
    'container_name',
    'k8s_container_name',
    'component',
    'workload',
    'job',
    'k8s_job_name',
  ],
  discover_log_levels: true,
  log_level_fields: [
    'level',
    'LEVEL',
    'Level',
    'log.level',
    'severity',
    'SEVERITY',
    'Severity',
    'SeverityText',
    'lvl',
    'LVL',
    'Lvl',
    'severity_text',
    'Severity_Text',
    'SEVERITY_TEXT',
  ],
  log_level_from_json_max_depth: 2,
  allow_structured_metadata: true,
  max_structured_metadata_size: 64 * KB,
  max_structured_metadata_entries_count: 128,
  otlp_config: null,
  block_ingestion_until: 0,
  block_ingestion_status_code: 260,
  block_ingestion_policy_until: {},
  enforced_labels: [],
  policy_enforced_labels: {},
  policy_stream_mapping: {},
  policy_override_limits: {},
  shard_streams: {
    enabled: true,
    time_sharding_enabled: false,
    time_sharding_ignore_recent: 40 * MINUTE,
    logging_enabled: false,
    desired_rate: 1536 * KB,
  },
  unordered_writes: true,

  use_owned_stream_count: false,
  max_streams_per_user: 0,
  max_global_streams_per_user: 5000,
  per_stream_rate_limit: 3 * MB,
  per_stream_rate_limit_burst: 15 * MB,

  enable_multi_variant_queries: false,
  max_chunks_per_query: 2_000_000,
  max_query_series: 500,
  max_query_lookback: 0,
  max_query_length: 721 * HOUR,
  max_query_range: 0,
  max_query_parallelism: 32,
  tsdb_max_query_parallelism: 128,
  tsdb_max_bytes_per_shard: 600 * MB,
  tsdb_sharding_strategy: 'power_of_two',
  tsdb_precompute_chunks: false,
  cardinality_limit: 100_000,
  max_streams_matchers_per_query: 1000,
  max_concurrent_tail_requests: 10,
  max_entries_limit_per_query: 5000,
  max_cache_freshness_per_query: 10 * MINUTE,
  max_metadata_cache_freshness: DAY,
  max_stats_cache_freshness: 10 * MINUTE,
  max_queriers_per_tenant: 0,
  max_query_capacity: 0,
  query_ready_index_num_days: 0,
  query_timeout: MINUTE,
  split_queries_by_interval: HOUR,
  split_metadata_queries_by_interval: DAY,
  split_recent_metadata_queries_by_interval: HOUR,
  recent_metadata_query_window: 0,
  split_instant_metric_queries_by_interval: HOUR,
  split_ingester_queries_by_interval: 0,
  engine_results_cache_time_bucket_interval: DAY,
  min_sharding_lookback: 0,
  max_query_bytes_read: 0,
  max_querier_bytes_read: 150 * GB,
  volume_enabled: true,
  volume_max_series: 1000,
  required_labels: [],
  minimum_labels_number: 0,
  blocked_queries: [],
  index_gateway_shard_size: 0,
  index_gateway_max_capacity: 1,
  max_scan_task_parallelism: 0,
  debug_engine_tasks: false,
  debug_engine_streams: false,

  deletion_mode: 'filter-and-delete',
  allow_deletes: false,
  retention_period: 0,
  retention_stream: [],
  per_tenant_override_config: '',
  per_tenant_override_period: 10 * SECOND,
  s3_sse_type: '',
  s3_sse_kms_key_id: '',
  s3_sse_kms_encryption_context: '',

  ruler_max_rules_per_rule_group: 0,
  ruler_max_rule_groups_per_tenant: 0,
  ruler_alertmanager_config: null,
  ruler_tenant_shard_size: 0,
  ruler_enable_wal_replay: true,
  ruler_remote_write_disabled: false,
  ruler_remote_write_url: '',
  ruler_remote_write_timeout: 0,
  ruler_remote_write_headers: {},
  ruler_remote_write_queue_capacity: 0,
  ruler_remote_write_queue_min_shards: 0,
  ruler_remote_write_queue_max_shards: 0,
  ruler_remote_write_queue_max_samples_per_send: 0,
  ruler_remote_write_queue_batch_send_deadline: 0,
  ruler_remote_write_queue_min_backoff: 0,
  ruler_remote_write_queue_max_backoff: 0,
  ruler_remote_write_queue_retry_on_ratelimit: false,
  ruler_remote_evaluation_timeout: 0,
  ruler_remote_evaluation_max_response_size: 0,

  ingestion_partitions_tenant_shard_size: 0,
  pattern_ingester_tokenizable_json_fields_default: ['log', 'message', 'msg', 'msg_', '_msg', 'content'],
  pattern_ingester_tokenizable_json_fields_append: [],
  pattern_ingester_tokenizable_json_fields_delete: [],
  metric_aggregation_enabled: false,
  pattern_persistence_enabled: false,
  pattern_persistence_granularity: 0,
  pattern_rate_threshold: 1,
};
