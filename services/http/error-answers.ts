import { HttpError } from './http-error.ts';

/** Nobody reads it, it is for the metrics: the client went away before the answer. */
export const CLIENT_CLOSED_REQUEST = 499;

/**
 * HTTP status of each error code of the layers below; their message is what Loki says. `own`: the error carries its status.
 */
export const STATUS_OF_CODE: Readonly<Record<string, number | 'own'>> = {
  http_error: 'own',
  push_refused: 'own',
  push_rejected: 'own',
  bad_request: 400,
  parse_error: 400,
  bad_stage: 400,
  bad_regex: 400,
  regex_error: 400,
  template_error: 400,
  bad_template: 400,
  bad_unit: 400,
  unsupported_query: 400,
  pipeline_error: 400,
  series_limit: 400,
  query_too_large: 400,
  query_limit: 400,
  volume_series_limit: 400,
  tail_of_metrics: 400,
  volume_disabled: 404,
  too_many_outstanding: 429,
  scan_cancelled: CLIENT_CLOSED_REQUEST,
  query_not_enabled: 500,
  matching_error: 500,
  no_response: 500,
  ring_unavailable: 500,
  worker_lost: 500,
  unavailable: 503,
  wal_unavailable: 503,
  query_timeout: 504,
};

/** Loki answers these with 500 although the request was at fault: nothing for the log. */
const FAULTS_OF_CALLERS: ReadonlySet<unknown> = new Set([
  'query_not_enabled',
  'matching_error',
  'no_response',
  'push_refused',
  'push_rejected',
]);

/** Whether the server has something to look into. */
export function isFaultOfServer(answer: HttpError): boolean {
  if (answer.status < 500) return false;
  const { cause } = answer;
  return !(cause instanceof Error && 'code' in cause && FAULTS_OF_CALLERS.has(cause.code));
}

/** The answer to anything thrown. What has no code is our fault: its text stays in the log. */
export function toHttpError(error: unknown, clientIsGone: boolean): HttpError {
  if (error instanceof HttpError) return error;
  if (clientIsGone) {
    return new HttpError(CLIENT_CLOSED_REQUEST, 'the request was cancelled by the client', { cause: error });
  }
  if (error instanceof Error && 'code' in error) {
    const known = typeof error.code === 'string' ? STATUS_OF_CODE[error.code] : undefined;
    if (known === 'own' && 'status' in error && typeof error.status === 'number') {
      return new HttpError(error.status, error.message, { cause: error });
    }
    if (typeof known === 'number') return new HttpError(known, error.message, { cause: error });
  }
  return new HttpError(500, 'internal server error, see the log of the server', { cause: error });
}
