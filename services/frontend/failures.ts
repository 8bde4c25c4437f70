import { isFaultOfServer, STATUS_OF_CODE, toHttpError } from '../http/error-answers.ts';
import { HttpError } from '../http/http-error.ts';
import type { Failure } from './messages.ts';

/** What a querier threw, with its code: answered by the frontend as the querier would have. */
export class RemoteQueryError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const TIMEOUT_STATUS = 504;

/** What is told of an error that a querier met. */
export function toFailure(error: unknown, isGone: boolean): Failure {
  const answer = toHttpError(error, isGone);
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  return {
    status: answer.status,
    message: answer.message,
    code: Object.hasOwn(STATUS_OF_CODE, code) ? code : '',
    headers: answer.headers,
    // Time is up for the whole query, wherever it runs.
    retryable: isFaultOfServer(answer) && answer.status !== TIMEOUT_STATUS,
  };
}

/** The error that `toFailure` was given, as far as an answer shows it. */
export function fromFailure({ status, message, code, headers }: Failure): Error {
  return typeof STATUS_OF_CODE[code] === 'number'
    ? new RemoteQueryError(code, message)
    : new HttpError(status, message, { headers });
}
