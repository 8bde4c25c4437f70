import type { Limits } from '../config/limits.ts';
import { type GenericField, genericFields } from './generic-fields.ts';
import { LevelDetector } from './level-detect.ts';
import { Shapes } from './metadata-sets.ts';
import { type OtlpRules, otlpRules } from './otlp-rules.ts';

/** What one tenant's limits mean for entries, prepared once as long as they stay the same object. */
export interface TenantRules {
  readonly limits: Limits;
  readonly detector: LevelDetector;
  readonly shapes: Shapes;
  readonly genericFields: readonly GenericField[];
  readonly truncateMark: Uint8Array;
  readonly otlp: OtlpRules;
}

/** `otlpIndexAttributes`: attributes of OTLP resources that become labels where the tenant says nothing else. */
export function tenantRules(limits: Limits, otlpIndexAttributes: readonly string[] = []): TenantRules {
  return {
    limits,
    detector: new LevelDetector(limits.log_level_fields, limits.log_level_from_json_max_depth),
    shapes: new Shapes(limits.log_level_fields),
    genericFields: genericFields(limits.discover_generic_fields.fields),
    truncateMark: Buffer.from(limits.max_line_size_truncate_identifier),
    otlp: otlpRules(limits.otlp_config, otlpIndexAttributes),
  };
}
