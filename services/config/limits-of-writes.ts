import { bool, duration, size } from './field.ts';
import { formatTimeMs } from './format-value.ts';
import { complex, IGNORED, limit } from './limit-field.ts';
import { defaultLimits, type Limits } from './limits.ts';
import {
  readGenericFields,
  readOtlpConfig,
  readOverrides,
  readPolicies,
  readTextLists,
  readTimes,
} from './limits-values.ts';

/** The part of `limits_config` about taking lines in, in the order of `Limits`. */
export const limitsOfWrites = {
  ingestion_rate_strategy: limit(
    'ingestion_rate_strategy',
    'string',
    'distributor.ingestion-rate-limit-strategy',
    'Whether the rate holds for all distributors together or for each.',
    { choices: ['global', 'local'] },
  ),
  ingestion_rate_mb: limit(
    'ingestion_rate_mb',
    'float',
    'distributor.ingestion-rate-limit-mb',
    'Megabytes a second that a tenant may push.',
  ),
  ingestion_burst_size_mb: limit(
    'ingestion_burst_size_mb',
    'float',
    'distributor.ingestion-burst-size-mb',
    'Megabytes that a tenant may push at once.',
  ),
  max_label_name_length: limit(
    'max_label_name_length',
    'int',
    'validation.max-length-label-name',
    'Longest name of a label, in bytes.',
  ),
  max_label_value_length: limit(
    'max_label_value_length',
    'int',
    'validation.max-length-label-value',
    'Longest value of a label, in bytes.',
  ),
  max_label_names_per_series: limit(
    'max_label_names_per_series',
    'int',
    'validation.max-label-names-per-series',
    'Most labels of a stream.',
  ),
  reject_old_samples: limit(
    'reject_old_samples',
    'bool',
    'validation.reject-old-samples',
    'Refuse lines older than reject_old_samples_max_age.',
  ),
  reject_old_samples_max_age: limit(
    'reject_old_samples_max_age',
    'duration',
    'validation.reject-old-samples.max-age',
    'Age at which a line is too old.',
  ),
  creation_grace_period: limit(
    'creation_grace_period',
    'duration',
    'validation.create-grace-period',
    'How far in the future the time of a line may lie.',
  ),
  max_line_size: limit('max_line_size', 'size', 'distributor.max-line-size', 'Longest line; 0: no bound.'),
  max_line_size_truncate: limit(
    'max_line_size_truncate',
    'bool',
    'distributor.max-line-size-truncate',
    'Cut longer lines instead of refusing them.',
  ),
  max_line_size_truncate_identifier: limit(
    'max_line_size_truncate_identifier',
    'string',
    'distributor.max-line-size-truncate-identifier',
    'Put at the end of lines that were cut.',
  ),
  increment_duplicate_timestamp: limit(
    'increment_duplicate_timestamp',
    'bool',
    'validation.increment-duplicate-timestamps',
    'Move a line with the time of the line before it one nanosecond on.',
  ),
  simulated_push_latency: limit(
    'simulated_push_latency',
    'duration',
    'limits.simulated-push-latency',
    'Wait that is added to every push, for tests.',
  ),
  discover_generic_fields: complex(
    'discover_generic_fields',
    'Names under which a field is looked for in labels, metadata and lines.',
    readGenericFields,
  ),
  discover_service_name: limit(
    'discover_service_name',
    'strings',
    'validation.discover-service-name',
    'Labels that service_name is taken from, the first that is there.',
  ),
  discover_log_levels: limit(
    'discover_log_levels',
    'bool',
    'validation.discover-log-levels',
    'Find the level of each line and keep it as detected_level.',
  ),
  log_level_fields: limit(
    'log_level_fields',
    'strings',
    'validation.log-level-fields',
    'Fields of a line that hold its level.',
  ),
  log_level_from_json_max_depth: limit(
    'log_level_from_json_max_depth',
    'int',
    'validation.log-level-from-json-max-depth',
    'Levels of nesting in which JSON is searched for it; 0: all.',
  ),
  allow_structured_metadata: limit(
    'allow_structured_metadata',
    'bool',
    'validation.allow-structured-metadata',
    'Take lines with structured metadata.',
  ),
  max_structured_metadata_size: limit(
    'max_structured_metadata_size',
    'size',
    'limits.max-structured-metadata-size',
    'Most bytes of metadata of one line.',
  ),
  max_structured_metadata_entries_count: limit(
    'max_structured_metadata_entries_count',
    'int',
    'limits.max-structured-metadata-entries-count',
    'Most metadata labels of one line.',
  ),
  otlp_config: complex('otlp_config', 'Which OTLP attributes become labels, metadata or nothing.', readOtlpConfig),
  block_ingestion_until: limit(
    'block_ingestion_until',
    'time',
    'limits.block-ingestion-until',
    'Pushes are refused until then.',
  ),
  block_ingestion_status_code: limit(
    'block_ingestion_status_code',
    'int',
    'limits.block-ingestion-status-code',
    'Status of such refusals; 200 drops without a word.',
    { min: 200, max: 599 },
  ),
  block_ingestion_policy_until: complex(
    'block_ingestion_policy_until',
    'The same for streams of a policy.',
    readTimes,
    {
      present: (times: Limits['block_ingestion_policy_until']) =>
        Object.fromEntries(Object.entries(times).map(([policy, ms]) => [policy, formatTimeMs(ms)])),
    },
  ),
  enforced_labels: limit(
    'enforced_labels',
    'strings',
    'validation.enforced-labels',
    'Labels that every stream must have.',
  ),
  policy_enforced_labels: complex(
    'policy_enforced_labels',
    'Labels that streams of a policy must have.',
    readTextLists,
  ),
  policy_stream_mapping: complex('policy_stream_mapping', 'Selectors that put streams under a policy.', readPolicies),
  policy_override_limits: complex(
    'policy_override_limits',
    'Limits of streams under a policy.',
    readOverrides,
    IGNORED,
  ),
  shard_streams: {
    enabled: bool(
      true,
      'shard-streams.enabled',
      'Judge the rate of a stream over a whole push, as a cut stream would be.',
    ),
    time_sharding_enabled: bool(
      false,
      'shard-streams.time-sharding-enabled',
      'Cut old lines into streams by time.',
      IGNORED,
    ),
    time_sharding_ignore_recent: duration(
      defaultLimits.shard_streams.time_sharding_ignore_recent,
      'shard-streams.time-sharding-ignore-recent',
      'Lines younger than this are not cut.',
      IGNORED,
    ),
    logging_enabled: bool(false, 'shard-streams.logging-enabled', 'Log how streams are cut.', IGNORED),
    desired_rate: size(
      defaultLimits.shard_streams.desired_rate,
      'shard-streams.desired-rate',
      'Bytes a second of one part of a cut stream.',
      IGNORED,
    ),
  },
  unordered_writes: limit(
    'unordered_writes',
    'bool',
    'ingester.unordered-writes',
    'Take lines that are not in order of time.',
  ),
  use_owned_stream_count: limit(
    'use_owned_stream_count',
    'bool',
    'ingester.use-owned-stream-count',
    'Count only streams that the ring gives to an ingester.',
    IGNORED,
  ),
  max_streams_per_user: limit(
    'max_streams_per_user',
    'int',
    'ingester.max-streams-per-user',
    'Most streams of a tenant in one ingester; 0: no bound.',
  ),
  max_global_streams_per_user: limit(
    'max_global_streams_per_user',
    'int',
    'ingester.max-global-streams-per-user',
    'Most streams of a tenant in all ingesters; 0: no bound.',
  ),
  per_stream_rate_limit: limit(
    'per_stream_rate_limit',
    'size',
    'ingester.per-stream-rate-limit',
    'Bytes a second that one stream may take.',
  ),
  per_stream_rate_limit_burst: limit(
    'per_stream_rate_limit_burst',
    'size',
    'ingester.per-stream-rate-limit-burst',
    'Bytes that one stream may take at once.',
  ),
} as const;
