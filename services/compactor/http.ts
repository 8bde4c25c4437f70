import { formatGoDuration, parseGoDuration, UnitError } from '../../logql/units/index.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { LimitsProvider } from '../config/limits.ts';
import { HttpError, type HttpMethod, type HttpRequest, type HttpResponse, type Route } from '../http/index.ts';
import { type DeleteRequest, DeleteRequestError, hasFilter, parseDeleteQuery } from './delete-request.ts';
import type { DeleteRequests } from './delete-requests.ts';
import { parseDeleteTime } from './delete-time.ts';

export interface DeleteRoutesOptions {
  readonly requests: DeleteRequests;
  readonly limits: LimitsProvider;
  readonly clock: Clock;
  /** `compactor.delete_request_cancel_period` */
  readonly cancelPeriodMs: number;
  /** `compactor.delete_max_interval`; 0: no bound. */
  readonly maxIntervalMs: number;
  /** Share of a request that is carried out, 0 to 1. */
  readonly progressOf: (request: DeleteRequest) => number;
  readonly onReceived: (tenant: string) => void;
}

const NS_PER_MS = 1_000_000;
const SECOND_MS = 1000;
const PATH = '/loki/api/v1/delete';
const DONE: HttpResponse = { status: 204 };

/** `/loki/api/v1/delete`. Parameters are read from the URL only, as in Loki. */
export function deleteRoutes(options: DeleteRoutesOptions): Route[] {
  const route = (
    methods: HttpMethod[],
    path: string,
    handler: (request: HttpRequest, tenant: string) => Promise<HttpResponse> | HttpResponse,
  ): Route => ({
    methods,
    path,
    name: path.slice(1).replaceAll('/', '_'),
    auth: 'tenant',
    handler: (request) => {
      const tenant = request.tenant();
      if (options.limits.for(tenant).deletion_mode === 'disabled') {
        throw new HttpError(403, 'deletion is not available for this tenant');
      }
      return handler(request, tenant);
    },
  });
  return [
    route(['POST', 'PUT'], PATH, (request, tenant) => add(options, request.query, tenant)),
    route(['GET'], PATH, (request, tenant) => list(options, request.query, tenant)),
    route(['DELETE'], PATH, (request, tenant) => cancel(options, request.query, tenant)),
    route(['GET'], '/loki/api/v1/cache/generation_numbers', (_, tenant) => ({
      status: 200,
      headers: { 'Content-Type': 'text/plain; charset=utf-8' },
      body: `${JSON.stringify(options.requests.generation(tenant))}\n`,
    })),
  ];
}

async function add(options: DeleteRoutesOptions, params: URLSearchParams, tenant: string): Promise<HttpResponse> {
  const nowMs = options.clock.nowMs();
  const query = params.get('query') ?? '';
  if (query === '') throw new HttpError(400, 'query not set');
  let filters: boolean;
  try {
    filters = hasFilter(parseDeleteQuery(query));
  } catch (error: unknown) {
    if (error instanceof DeleteRequestError) throw new HttpError(400, error.message, { cause: error });
    throw error;
  }
  const start = params.get('start') ?? '';
  if (start === '') throw new HttpError(400, 'start time not set');
  const startMs = timeOf('start', start);
  const end = params.get('end') ?? '';
  const endMs = end === '' ? nowMs : timeOf('end', end);
  if (endMs > nowMs) throw new HttpError(400, 'deletes in the future are not allowed');
  if (startMs >= endMs) throw new HttpError(400, "start time can't be greater than or equal to end time");
  if (filters) checkInterval(options, params.get('max_interval') ?? '', endMs - startMs);
  const request = await options.requests.add({ tenant, query, startMs, endMs });
  options.onReceived(tenant);
  return { ...DONE, headers: { 'X-Delete-Request-ID': request.id } };
}

function timeOf(name: 'start' | 'end', text: string): number {
  const time = parseDeleteTime(text);
  if (time === null) throw new HttpError(400, `invalid ${name} time: require unix seconds or RFC3339 format`);
  return time;
}

/** Loki divides a request by this; here only its value is checked, since a request is carried out by segments. */
function checkInterval({ maxIntervalMs }: DeleteRoutesOptions, text: string, spanMs: number): void {
  if (text === '') {
    if (spanMs >= SECOND_MS) return;
    throw new HttpError(400, 'difference between start time and end time must be at least one second');
  }
  let intervalMs = 0;
  try {
    intervalMs = parseGoDuration(text) / NS_PER_MS;
  } catch (error: unknown) {
    if (!(error instanceof UnitError)) throw error;
  }
  if (intervalMs < SECOND_MS) throw new HttpError(400, "invalid max_interval: valid time units are 's', 'm', 'h'");
  if (maxIntervalMs > 0 && intervalMs > maxIntervalMs) {
    throw new HttpError(400, `max_interval can't be greater than ${formatGoDuration(maxIntervalMs * NS_PER_MS)}`);
  }
  if (intervalMs > spanMs) {
    const span = formatGoDuration(spanMs * NS_PER_MS);
    throw new HttpError(400, `max_interval can't be greater than the interval to be deleted (${span})`);
  }
}

function list(options: DeleteRoutesOptions, params: URLSearchParams, tenant: string): HttpResponse {
  const start = params.get('start') ?? '';
  const end = params.get('end') ?? '';
  const fromMs = start === '' ? Number.NEGATIVE_INFINITY : timeOf('start', start);
  const untilMs = end === '' ? Number.POSITIVE_INFINITY : timeOf('end', end);
  const waitingOnly = params.get('for_querytime_filtering') === 'true';
  const found = options.requests
    .list(tenant)
    .filter(({ startMs, endMs }) => startMs <= untilMs && endMs >= fromMs)
    .filter(({ status }) => !waitingOnly || status === 'received')
    .map((request) => ({
      request_id: request.id,
      start_time: request.startMs / 1000,
      end_time: request.endMs / 1000,
      query: request.query,
      status: statusOf(request, options.progressOf(request)),
      created_at: request.createdMs / 1000,
      user_id: '',
    }));
  // Go escapes these in JSON.
  const body = JSON.stringify(found).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return { status: 200, headers: { 'Content-Type': 'application/json' }, body: `${body}\n` };
}

function statusOf({ status }: DeleteRequest, progress: number): string {
  if (status === 'processed' || progress <= 0) return status;
  return `${Math.min(99, Math.floor(progress * 100))}% Complete`;
}

async function cancel(options: DeleteRoutesOptions, params: URLSearchParams, tenant: string): Promise<HttpResponse> {
  const request = options.requests.find(tenant, params.get('request_id') ?? '');
  if (request === undefined) throw new HttpError(404, 'could not find delete request with given id');
  if (request.status === 'processed') {
    throw new HttpError(400, 'deletion of request which is in process or already processed is not allowed');
  }
  const isLate = options.clock.nowMs() - request.createdMs > options.cancelPeriodMs;
  if ((isLate || options.progressOf(request) > 0) && params.get('force') !== 'true') {
    throw new HttpError(
      400,
      'Cancellation of partially completed delete request or delete request past the deadline of ' +
        `${formatGoDuration(options.cancelPeriodMs * NS_PER_MS)} since its creation is not allowed. ` +
        'To force, use the ?force query parameter',
    );
  }
  await options.requests.cancel(request);
  return DONE;
}
