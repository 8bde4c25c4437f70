import type { Clock } from '../../storage/host/clock.ts';
import type { LimitsProvider } from '../config/limits.ts';
import type { HttpRequest, HttpResponse, Route } from '../http/types.ts';
import { rangeRoutes, type WholePath, wholeRoutes } from '../querier/http.ts';
import { limitsOfTenants } from '../querier/range-checks.ts';
import type { Frontend } from './frontend.ts';
import type { RemoteParts } from './remote-parts.ts';

export interface FrontendHttpOptions {
  readonly frontend: Frontend;
  readonly remote: RemoteParts;
  readonly limits: LimitsProvider;
  readonly clock: Clock;
}

/** Of the client's request to the frontend alone: a querier is not to see who asks, nor how. */
const NOT_PASSED_ON: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'connection',
  'keep-alive',
  'upgrade',
  'transfer-encoding',
  'te',
  'trailer',
  'expect',
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'accept-encoding',
  'x-query-queue-time',
]);

/** The routes of a querier: range queries are answered in parts, everything else by one querier. */
export function frontendRoutes({ frontend, remote, limits, clock }: FrontendHttpOptions): Route[] {
  const passOn = async (request: HttpRequest, route: WholePath): Promise<HttpResponse> => {
    const tenants = request.tenants();
    const whole = {
      method: request.method,
      url: request.url,
      route,
      variables: request.params,
      form: String(await request.form()),
      headers: headersOf(request),
    };
    const context = { tenants, signal: request.signal, partialSeries: false };
    const timeoutMs = limitsOfTenants(limits, tenants).query_timeout;
    return frontend.counted(() => remote.whole(whole, { context, timeoutMs }));
  };
  return [...rangeRoutes(frontend, clock), ...wholeRoutes((path) => (request) => passOn(request, path))];
}

function headersOf(request: HttpRequest): Record<string, string> {
  const names = Object.keys(request.headers).filter((name) => !NOT_PASSED_ON.has(name));
  return Object.fromEntries(names.map((name) => [name, request.header(name)]));
}
