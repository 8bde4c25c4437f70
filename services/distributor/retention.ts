import type { Labels } from '../../logql/labels.ts';
import type { Limits } from '../config/limits.ts';

const HOUR_MS = 3_600_000;

/** Whole hours for which the tenant's lines are kept, as a label of metrics; `''` when they are kept for ever. */
export function retentionHours(limits: Limits, _labels: Labels): string {
  return limits.retention_period > 0 ? String(Math.floor(limits.retention_period / HOUR_MS)) : '';
}
