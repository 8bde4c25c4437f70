import { parsePrometheusDuration } from '../../logql/units/index.ts';
import { parseSizeBytes } from '../config/field.ts';
import type { Limits } from '../config/limits.ts';

/** `X-Loki-Query-Limits`: what a client sets itself. Fields that are not there have no effect. */
export interface RequestLimits {
  readonly max_query_length: number;
  readonly max_query_range: number;
  readonly max_query_lookback: number;
  readonly max_entries_limit_per_query: number;
  readonly query_timeout: number;
  readonly required_labels: readonly string[];
  readonly minimum_labels_number: number;
  readonly max_query_bytes_read: number;
}

/** The header cannot be read. Loki goes on without it, and so does the querier, which logs this. */
export class RequestLimitsError extends Error {
  readonly code = 'bad_request_limits';
}

const NS_PER_MS = 1_000_000;

/** Throws RequestLimitsError. */
export function parseRequestLimits(header: string): RequestLimits {
  let value: unknown;
  try {
    value = JSON.parse(header);
  } catch (error: unknown) {
    throw new RequestLimitsError('expected JSON', { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RequestLimitsError('expected a JSON object');
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const read = <T>(name: string, absent: T, convert: (field: unknown) => T | null): T => {
    const field = fields[name];
    if (field === undefined || field === null) return absent;
    const found = convert(field);
    if (found === null) throw new RequestLimitsError(`${name}: ${JSON.stringify(field)} is not what it should be`);
    return found;
  };
  const count = (name: string) => read(name, 0, (field) => (Number.isInteger(field) ? (field as number) : null));
  const duration = (name: string) => read(name, 0, readDurationMs);
  return {
    max_query_length: duration('maxQueryLength'),
    max_query_range: duration('maxQueryInterval'),
    max_query_lookback: duration('maxQueryLookback'),
    max_entries_limit_per_query: count('maxEntriesLimitPerQuery'),
    query_timeout: duration('maxQueryTime'),
    required_labels: read<readonly string[]>('requiredLabels', [], readTexts),
    minimum_labels_number: count('minimumLabelsNumber'),
    max_query_bytes_read: read('maxQueryBytesRead', 0, readSize),
  };
}

/** The tenant's limits where they are stricter, the request's elsewhere: nobody can give himself more. */
export function tightened(limits: Limits, own: RequestLimits): Limits {
  const least = (name: keyof RequestLimits & keyof Limits): number => {
    const [tenants, requests] = [limits[name] as number, own[name] as number];
    return requests === 0 || (tenants !== 0 && requests > tenants) ? tenants : requests;
  };
  return {
    ...limits,
    max_query_length: least('max_query_length'),
    max_query_range: least('max_query_range'),
    max_query_lookback: least('max_query_lookback'),
    max_entries_limit_per_query: least('max_entries_limit_per_query'),
    query_timeout: least('query_timeout'),
    max_query_bytes_read: least('max_query_bytes_read'),
    required_labels: [...new Set([...limits.required_labels, ...own.required_labels])],
    minimum_labels_number: Math.max(limits.minimum_labels_number, own.minimum_labels_number),
  };
}

function readDurationMs(field: unknown): number | null {
  if (typeof field !== 'string') return null;
  try {
    return parsePrometheusDuration(field) / NS_PER_MS;
  } catch (error: unknown) {
    throw new RequestLimitsError('expected a duration such as 1h30m', { cause: error });
  }
}

const readSize = (field: unknown): number | null =>
  typeof field === 'string'
    ? parseSizeBytes(field, () => new RequestLimitsError('expected a size such as 10MB'))
    : null;

const readTexts = (field: unknown): readonly string[] | null =>
  Array.isArray(field) && field.every((item) => typeof item === 'string') ? field : null;
