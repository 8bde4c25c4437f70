import { ObjectStoreError, type ObjectStoreErrorCode } from './object-store.ts';

export function toObjectStoreError(operation: string, key: string, error: unknown): ObjectStoreError {
  if (error instanceof ObjectStoreError) return error;
  const errno = codeOf(error) ?? 'unknown error';
  return new ObjectStoreError(CODES[errno] ?? 'unavailable', `${operation} ${key}: ${errno}`, { cause: error });
}

/** Everything else (ENOSPC, EDQUOT, EIO, EMFILE, …) may pass: `unavailable`. */
const CODES: Readonly<Record<string, ObjectStoreErrorCode>> = {
  ENOENT: 'not_found',
  ENOTDIR: 'not_found',
  EISDIR: 'not_found',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  ENAMETOOLONG: 'invalid',
};

export function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR' || code === 'ERR_FS_EISDIR';
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
