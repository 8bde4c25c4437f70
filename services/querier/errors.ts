import { HttpError } from '../http/http-error.ts';

/** Status of each error that a query can end with, by its code. What is not named here is our fault: 500. */
const STATUS: Readonly<Record<string, number>> = {
  bad_request: 400,
  parse_error: 400,
  query_limit: 400,
  pipeline_error: 400,
  series_limit: 400,
  query_too_large: 400,
  unsupported_query: 400,
  bad_regex: 400,
  bad_stage: 400,
  volume_series_limit: 400,
  volume_disabled: 404,
  matching_error: 500,
  query_not_enabled: 500,
  no_response: 500,
  query_timeout: 504,
  unavailable: 503,
};

/** Turns any error of the read path into its answer. Text that is not for the client stays in `cause`. */
export function toHttpError(error: unknown, signal: AbortSignal): HttpError {
  if (error instanceof HttpError) return error;
  if (signal.aborted) return new HttpError(499, 'the request was cancelled by the client', { cause: error });
  const code = codeOf(error);
  const status = code === null ? undefined : STATUS[code];
  if (status !== undefined && error instanceof Error) return new HttpError(status, error.message, { cause: error });
  return new HttpError(500, 'internal error: the query failed, see the log', { cause: error });
}

function codeOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
