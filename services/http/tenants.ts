import { HttpError } from './http-error.ts';
import type { Caller, RouteAuth, Tenants } from './types.ts';

/** The tenant of everybody when authentication is off. */
export const ONLY_TENANT = 'fake';
const MAX_TENANT_BYTES = 150;
const SUPPORTED = /^[A-Za-z0-9!\-_.*'():]*$/;

export interface TenancyOptions {
  readonly authEnabled: boolean;
  /** `querier.multi_tenant_queries_enabled` */
  readonly multiTenantQueries: boolean;
}

/**
 * The tenants that `X-Scope-OrgID` names, as `auth` allows. Throws HttpError: 401 without a name, 400 for a bad or, where
 * one is wanted, a second one, 403 for one that `caller` may not use. A caller with one tenant need not name it.
 *
 * `header` has one character a byte, as Node gives it.
 */
export function resolveTenants(header: string, auth: RouteAuth, options: TenancyOptions, caller?: Caller): Tenants {
  const tenants = namedTenants(header || (caller?.onlyTenant ?? ''), auth, options);
  for (const tenant of tenants.ids) {
    if (caller?.mayUse(tenant) === false) throw new HttpError(403, `tenant ${tenant} is not open to this user`);
  }
  return tenants;
}

function namedTenants(header: string, auth: RouteAuth, options: TenancyOptions): Tenants {
  if (!options.authEnabled) return { ids: [ONLY_TENANT], federated: false };
  // The message ends in a newline also on reads: it comes from before the query path.
  if (header === '') throw new HttpError(401, auth === 'tenants' ? 'no org id\n' : 'no org id');
  const names = [...new Set(header.split('|'))].sort();
  for (const name of names) {
    const problem = problemOf(name);
    if (problem === undefined) continue;
    // Loki's query path wraps what its own gRPC says.
    throw new HttpError(400, auth === 'tenants' ? `rpc error: code = Code(400) desc = ${problem}` : problem);
  }
  const ids = names.filter((name) => name !== '');
  if (ids.length === 0) throw new HttpError(401, auth === 'tenants' ? 'no org id\n' : 'no org id');
  const federated = names.length > 1;
  if (federated && !(auth === 'tenants' && options.multiTenantQueries)) {
    throw new HttpError(400, 'multiple org IDs present');
  }
  return { ids, federated };
}

function problemOf(name: string): string | undefined {
  if (!SUPPORTED.test(name)) {
    const bad = [...name].find((character) => !SUPPORTED.test(character));
    // The id as the bytes that came, the character as the code point of its first byte.
    return `tenant ID '${Buffer.from(name, 'latin1').toString('utf8')}' contains unsupported character '${bad}'`;
  }
  if (name.length > MAX_TENANT_BYTES) return `tenant ID is too long: max ${MAX_TENANT_BYTES} characters`;
  if (name === '.' || name === '..') return "tenant ID is '.' or '..'";
  return undefined;
}
