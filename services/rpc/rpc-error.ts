import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { RegexError } from '../../logql/regex/index.ts';
import { NotReadableError, PushRejectedError } from './ingester.ts';
import { CorruptMessageError } from './ingester-messages.ts';
import { PatternsUnavailableError } from './patterns.ts';
import { CorruptPushBatchError } from './push-batch.ts';

/** Codes of gRPC and how Go's library prints them, which is how Loki's answers show them. */
const NAMES = [
  ['ok', 'OK'],
  ['canceled', 'Canceled'],
  ['unknown', 'Unknown'],
  ['invalid_argument', 'InvalidArgument'],
  ['deadline_exceeded', 'DeadlineExceeded'],
  ['not_found', 'NotFound'],
  ['already_exists', 'AlreadyExists'],
  ['permission_denied', 'PermissionDenied'],
  ['resource_exhausted', 'ResourceExhausted'],
  ['failed_precondition', 'FailedPrecondition'],
  ['aborted', 'Aborted'],
  ['out_of_range', 'OutOfRange'],
  ['unimplemented', 'Unimplemented'],
  ['internal', 'Internal'],
  ['unavailable', 'Unavailable'],
  ['data_loss', 'DataLoss'],
  ['unauthenticated', 'Unauthenticated'],
] as const;

export type RpcCode = (typeof NAMES)[number][0];

/** A call to another process failed. */
export class RpcError extends Error {
  readonly code: RpcCode;
  readonly details: string;
  /** Whether the same call may succeed a moment later. */
  readonly retryable: boolean;

  constructor(code: RpcCode, details: string, options?: ErrorOptions) {
    const [, name] = NAMES.find(([own]) => own === code)!;
    super(`rpc error: code = ${name} desc = ${details}`, options);
    this.code = code;
    this.details = details;
    this.retryable = code === 'unavailable' || code === 'deadline_exceeded' || code === 'resource_exhausted';
  }
}

/** Names errors of ours beside the code of gRPC. */
const ERROR_CODE = 'loptr-error-code';

/** How the server tells an error. Of what is our own fault the caller learns nothing; it belongs into the log. */
export function toStatus(error: unknown): Partial<StatusObject> & { readonly code: number; readonly details: string } {
  if (error instanceof RegexError) {
    const metadata = new Metadata();
    metadata.set(ERROR_CODE, error.code);
    return { code: status.INVALID_ARGUMENT, details: error.message, metadata };
  }
  if (error instanceof CorruptMessageError || error instanceof CorruptPushBatchError) {
    return { code: status.INVALID_ARGUMENT, details: error.message };
  }
  if (error instanceof RpcError) {
    return { code: NAMES.findIndex(([code]) => code === error.code), details: error.details };
  }
  if (error instanceof NotReadableError || (error instanceof PushRejectedError && error.status === 503)) {
    return { code: status.UNAVAILABLE, details: error.message };
  }
  if (error instanceof PatternsUnavailableError) {
    return { code: status.UNAVAILABLE, details: error.message };
  }
  return { code: status.INTERNAL, details: 'internal server error, see the log of the server' };
}

export const rpcError = (code: number, details: string, options?: ErrorOptions): RpcError =>
  new RpcError(NAMES[code]?.[0] ?? 'unknown', details, options);

/** What the client throws. */
export function fromServiceError(error: ServiceError): Error {
  if (error.metadata?.get(ERROR_CODE)[0] === 'bad_regex') return new RegexError(error.details, { cause: error });
  const isLate = error.code === status.DEADLINE_EXCEEDED;
  return rpcError(error.code, isLate ? 'context deadline exceeded' : error.details, { cause: error });
}
