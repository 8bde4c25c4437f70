import type { AccessTarget } from '../http/index.ts';
import type { Permission } from './users-file.ts';

const PUSHES: ReadonlySet<string> = new Set(['loki_api_v1_push', 'api_prom_push', 'otlp_v1_logs']);

/** Harmless reads whose routes do not name a tenant, or ask for it themselves. */
const READS: ReadonlySet<string> = new Set([
  'loki_api_v1_format_query',
  'loki_api_v1_status_buildinfo',
  'loki_api_v1_rules',
  'loki_api_v1_rules_namespace',
  'loki_api_v1_rules_namespace_group',
  'api_prom_rules',
  'api_prom_rules_namespace',
  'api_prom_rules_namespace_group',
  'prometheus_api_v1_rules',
  'prometheus_api_v1_alerts',
]);

/** What a request needs; undefined: nothing, not even a name. What is not known here is for administrators. */
export function permissionFor({ route, method, auth }: AccessTarget, openMetrics: boolean): Permission | undefined {
  if (route === 'ready' || (route === 'metrics' && openMetrics)) return undefined;
  if (PUSHES.has(route)) return 'write';
  if (auth === 'tenants' || READS.has(route)) return 'read';
  // Of one tenant: limits, tails, and the list of deletes. What changes something there is a delete.
  return auth === 'tenant' && method === 'GET' ? 'read' : 'admin';
}
