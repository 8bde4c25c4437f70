import { compileRegex } from '../../logql/regex/index.ts';
import type { OtlpAttributeRule, OtlpConfig } from '../config/limits.ts';

/** What becomes of an attribute. */
export type OtlpAction = OtlpAttributeRule['action'];

/** Which attributes become labels, metadata or nothing, by the first rule that fits; metadata where none does. */
export interface OtlpRules {
  resource(attribute: string): OtlpAction;
  scope(attribute: string): OtlpAction;
  log(attribute: string): OtlpAction;
  readonly severityTextAsLabel: boolean;
}

/**
 * The rules of a tenant: `limits_config.otlp_config`, and before its rules for resources `indexAttributes`, of
 * `distributor.otlp_config`, which become labels unless the tenant says to ignore them.
 */
export function otlpRules(config: OtlpConfig | null, indexAttributes: readonly string[]): OtlpRules {
  const resource = config?.resource_attributes;
  const defaults: OtlpAttributeRule[] =
    resource?.ignore_defaults === true ? [] : [{ action: 'index_label', attributes: indexAttributes }];
  return {
    resource: compileRules([...defaults, ...(resource?.attributes_config ?? [])]),
    scope: compileRules(config?.scope_attributes ?? []),
    log: compileRules(config?.log_attributes ?? []),
    severityTextAsLabel: config?.severity_text_as_label === true,
  };
}

function compileRules(rules: readonly OtlpAttributeRule[]): (attribute: string) => OtlpAction {
  const compiled = rules.map(({ action, attributes, regex }) => {
    const names = new Set(attributes);
    const pattern = regex === undefined ? null : compileRegex(regex, { anchored: true });
    return { action, matches: (name: string) => names.has(name) || pattern?.test(name) === true };
  });
  return (attribute) => compiled.find(({ matches }) => matches(attribute))?.action ?? 'structured_metadata';
}
