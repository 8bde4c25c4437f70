import { quoteGo } from '../../logql/units/go-quote.ts';
import { HttpError } from '../http/http-error.ts';
import type { HttpRequest, HttpResponse, Route } from '../http/types.ts';
import { assertNoRuleFiles, RuleDirectoryError } from './rule-directory.ts';

export interface RulerHttpOptions {
  /** `common.storage.filesystem.rules_directory`: with one, Loki takes rules from files only. Null without. */
  readonly rulesDirectory: string | null;
}

/**
 * Reading rules, of which there are none: they cannot be made, and files with rules are refused. Where rules are managed
 * Loki answers 404, where active ones are shown an empty list.
 */
export function rulerRoutes({ rulesDirectory }: RulerHttpOptions): readonly Route[] {
  const route = (path: string, handler: Route['handler']): Route => ({
    methods: ['GET'],
    path,
    name: path.slice(1).replace(/[{}]/g, '').replaceAll('/', '_'),
    auth: 'none', // handlers ask for the tenant: their refusals have forms of their own
    handler,
  });
  const managed = ['/loki/api/v1/rules', '/api/prom/rules'].flatMap((base) => [
    route(base, (request) => listGroups(request, rulesDirectory)),
    route(`${base}/{namespace}`, (request) => listGroups(request, rulesDirectory)),
    route(`${base}/{namespace}/{group}`, (request) => showGroup(request, rulesDirectory)),
  ]);
  return [
    ...managed,
    route('/prometheus/api/v1/rules', (request) => activeRules(request)),
    route('/prometheus/api/v1/alerts', (request) => activeAlerts(request)),
  ];
}

async function listGroups(request: HttpRequest, directory: string | null): Promise<HttpResponse> {
  const tenant = tenantOf(request, () => jsonError(500, 'server_error', 'no org id'));
  if (typeof tenant !== 'string') return tenant;
  if (directory === null) throw new HttpError(404, 'no rule groups found');
  try {
    await assertNoRuleFiles(directory, tenant, request.params['namespace']);
  } catch (error: unknown) {
    if (error instanceof RuleDirectoryError) throw new HttpError(400, error.message, { cause: error });
    throw error;
  }
  throw new HttpError(404, 'no rule groups found');
}

function showGroup(request: HttpRequest, directory: string | null): HttpResponse {
  const tenant = tenantOf(request, () => jsonError(500, 'server_error', 'no org id'));
  if (typeof tenant !== 'string') return tenant;
  if (directory === null) throw new HttpError(404, 'group does not exist');
  throw new HttpError(400, 'GetRuleGroup unsupported in rule local store');
}

function activeRules(request: HttpRequest): HttpResponse {
  const tenant = tenantOf(request, noActiveRules);
  if (typeof tenant !== 'string') return tenant;
  const type = (request.query.get('type') ?? '').toLowerCase();
  if (type !== '' && type !== 'alert' && type !== 'record') {
    return jsonError(400, 'bad_data', `not supported value ${quoteGo(type)}`);
  }
  return success({ groups: [] });
}

function activeAlerts(request: HttpRequest): HttpResponse {
  const tenant = tenantOf(request, noActiveRules);
  return typeof tenant === 'string' ? success({ alerts: [] }) : tenant;
}

/** The tenant, or the answer to a name that is none. Without a name at all the server answers. */
function tenantOf(request: HttpRequest, refuse: (request: HttpRequest) => HttpResponse): string | HttpResponse {
  try {
    return request.tenant();
  } catch (error: unknown) {
    if (error instanceof HttpError && error.status === 400) return refuse(request);
    throw error;
  }
}

function noActiveRules(request: HttpRequest): HttpResponse {
  return request.header('x-scope-orgid').includes('|')
    ? jsonError(400, 'bad_data', 'too many org ids found')
    : jsonError(500, 'server_error', 'no valid org id found');
}

function success(data: unknown): HttpResponse {
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ status: 'success', data, errorType: '', error: '' }),
  };
}

/** JSON that Loki sends as text. */
function jsonError(status: number, errorType: string, error: string): HttpResponse {
  return {
    status,
    headers: { 'Content-Type': 'text/plain; charset=utf-8' },
    body: JSON.stringify({ status: 'error', data: null, errorType, error }),
  };
}
