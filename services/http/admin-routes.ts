import type { Registry } from 'prom-client';
import { stringify } from 'yaml';
import { type Config, presentLimits, presentLimitsDiff, printConfig, type Version } from '../config/index.ts';
import type { Limits, LimitsProvider } from '../config/limits.ts';
import { HttpError } from './http-error.ts';
import type { HttpRequest, HttpResponse, Route } from './types.ts';
import { jsonResponse, textResponse } from './write-response.ts';

export interface AdminOptions {
  readonly config: Config;
  readonly limits: LimitsProvider;
  /** Limits of the tenants that have some of their own. */
  readonly overrides: () => ReadonlyMap<string, Limits>;
  readonly version: Version;
  readonly registry: Registry;
  readonly logLevel: LogLevelControl;
  /** Undefined when everything is ready, else why not; the text of the 503. */
  readonly notReady: () => string | undefined;
  /** Name and state of each service of this process. */
  readonly services: () => ReadonlyMap<string, string>;
}

export interface LogLevelControl {
  readonly levels: readonly string[];
  get(): string;
  set(level: string): void;
}

/** Endpoints about the process itself. */
export function adminRoutes(options: AdminOptions): Route[] {
  const { config, registry, version } = options;
  const routes: Route[] = [
    route('GET', '/ready', () => {
      const reason = options.notReady();
      return reason === undefined ? textResponse(200, 'ready\n') : textResponse(503, `${reason}\n`);
    }),
    route('GET', '/config', (request) => showConfig(config, request.query.get('mode') ?? '')),
    route('GET', '/runtime_config', (request) => showRuntimeConfig(options, request.query.get('mode') ?? '')),
    route('GET', '/services', () => {
      const lines = [...options.services()].map(([name, state]) => `${name} => ${state}\n`);
      return textResponse(200, lines.join(''));
    }),
    route('GET', '/log_level', () => jsonResponse({ message: `Current log level is ${options.logLevel.get()}` })),
    route('POST', '/log_level', (request) => setLogLevel(options.logLevel, request)),
    route('GET', '/loki/api/v1/status/buildinfo', () =>
      jsonResponse({
        version: version.version,
        revision: version.revision,
        branch: '',
        buildUser: '',
        buildDate: '',
        goVersion: '',
      }),
    ),
    {
      ...route('GET', '/config/tenant/v1/limits', (request) =>
        yamlResponse(publishedLimits(options, request.tenant())),
      ),
      auth: 'tenant',
    },
    {
      ...route('GET', '/loki/api/v1/drilldown-limits', (request) =>
        jsonResponse({
          limits: publishedLimits(options, request.tenant()),
          pattern_ingester_enabled: config.pattern_ingester.enabled,
          version: version.version,
        }),
      ),
      auth: 'tenant',
    },
  ];
  if (config.server.register_instrumentation) {
    routes.push({
      ...route('GET', '/metrics', async () => ({
        status: 200,
        headers: { 'Content-Type': registry.contentType },
        body: await registry.metrics(),
      })),
      compress: 'always',
    });
  }
  return routes;
}

function route(
  method: 'GET' | 'POST',
  path: string,
  handler: (request: HttpRequest) => HttpResponse | Promise<HttpResponse>,
): Route {
  return { methods: [method], path, name: path.slice(1).replaceAll('/', '_'), auth: 'none', handler };
}

/** Names ascending, as Loki writes them. An empty list of names publishes all. */
function publishedLimits({ config, limits }: AdminOptions, tenant: string): Readonly<Record<string, unknown>> {
  const names = config.tenant_limits_allow_publish;
  const shown = presentLimits(limits.for(tenant), names.length === 0 ? undefined : names);
  return Object.fromEntries(Object.entries(shown).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What the runtime files say: all limits of the tenants they name, or only those that differ from the others'. */
function showRuntimeConfig({ config, overrides }: AdminOptions, mode: string): HttpResponse {
  if (mode !== '' && mode !== 'diff') throw new HttpError(400, `unknown mode ${JSON.stringify(mode)}, expected diff`);
  const show = (limits: Limits) =>
    mode === 'diff' ? presentLimitsDiff(limits, config.limits_config) : presentLimits(limits);
  return yamlResponse({
    overrides: Object.fromEntries([...overrides()].map(([tenant, limits]) => [tenant, show(limits)])),
  });
}

function yamlResponse(value: unknown): HttpResponse {
  return textResponse(200, stringify(value, { lineWidth: 0 }));
}

function showConfig(config: Config, mode: string): HttpResponse {
  if (mode !== '' && mode !== 'diff' && mode !== 'defaults') {
    throw new HttpError(400, `unknown mode ${JSON.stringify(mode)}, expected diff or defaults`);
  }
  return textResponse(200, printConfig(config, mode === '' ? 'effective' : mode));
}

async function setLogLevel(control: LogLevelControl, request: HttpRequest): Promise<HttpResponse> {
  const level = (await request.form()).get('log_level') ?? '';
  if (!control.levels.includes(level)) {
    return jsonResponse({ status: 'failed', message: `unrecognized log level ${JSON.stringify(level)}` }, 400);
  }
  control.set(level);
  return jsonResponse({ status: 'success', message: `Log level set to ${level}` });
}
