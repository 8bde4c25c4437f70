import type { Labels } from '../../logql/labels.ts';
import type { Limits } from '../config/limits.ts';

/** Tells the ingestion policy of a stream (`limits_config.policy_stream_mapping`); `''` for none. */
export interface PolicyResolver {
  policyOf(limits: Limits, labels: Labels): string;
}

/** For a tenant without policies. */
export const noPolicies: PolicyResolver = { policyOf: () => '' };
