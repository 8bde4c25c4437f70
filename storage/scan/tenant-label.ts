import { type Labels, sortLabels } from '../../logql/labels.ts';
import type { GroupingMode, GroupLabels } from '../../logql/stages/index.ts';

/** Names the tenant of a series or line in an answer about several tenants. */
export const TENANT_LABEL = '__tenant_id__';
const ORIGINAL_TENANT_LABEL = `original_${TENANT_LABEL}`;

/** Adds the tenant to the labels of an answer; a label that has its name already is kept under another one. */
export function withTenant(labels: Labels, tenant: string): Labels {
  const renamed = labels.map(([name, value]) => [name === TENANT_LABEL ? ORIGINAL_TENANT_LABEL : name, value] as const);
  return sortLabels([...renamed, [TENANT_LABEL, tenant]]);
}

/** The same for a line: the tenant counts as one of its stream's labels. */
export function groupWithTenant(group: GroupLabels, tenant: string): GroupLabels {
  return { ...group, merged: withTenant(group.merged, tenant), stream: withTenant(group.stream, tenant) };
}

/** Whether a series grouped like this still knows its tenant. */
export function keepsTenant(grouping: GroupingMode): boolean {
  if (grouping.kind === 'by') return grouping.labels.includes(TENANT_LABEL);
  if (grouping.kind === 'without') return !grouping.labels.includes(TENANT_LABEL);
  return true;
}
