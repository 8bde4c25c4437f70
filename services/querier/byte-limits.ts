import { formatBinaryBytes } from '../../logql/units/index.ts';
import type { BlockRef } from '../../storage/scan/units.ts';
import type { Limits } from '../config/limits.ts';
import { QueryLimitError } from './query-limits.ts';

const ADVICE = 'consider adding more specific stream selectors or reduce the time range of the query';
/** What `tsdb_max_bytes_per_shard: 0` means. */
const DEFAULT_PART_BYTES = 600 * 1024 * 1024;

/** Bytes of lines and metadata in the blocks that a scan would read. */
export function bytesOf(parts: readonly { readonly blocks: readonly BlockRef[] }[]): number {
  let bytes = 0;
  for (const { blocks } of parts) for (const block of blocks) bytes += block.lineBytes + block.metadataBytes;
  return bytes;
}

/**
 * `max_query_bytes_read` is about all that a query reads, or the larger one (`wholeBytes`) that it is a part of. `max_querier_bytes_read` is about one of the parts that it is
 * divided into: as many as powers of two make of parts of at most `tsdb_max_bytes_per_shard`. Throws QueryLimitError
 * with Loki's text before anything is read.
 */
export function checkBytesRead(limits: Limits, bytes: number, wholeBytes = 0): void {
  const maxQuery = limits.max_query_bytes_read;
  const queryBytes = Math.max(bytes, wholeBytes);
  if (maxQuery > 0 && queryBytes > maxQuery) {
    throw new QueryLimitError(`the query would read too many bytes ${compared(queryBytes, maxQuery)}; ${ADVICE}`);
  }
  const maxPart = limits.max_querier_bytes_read;
  if (maxPart <= 0) return;
  const parts = partsOf(bytes, limits.tsdb_max_bytes_per_shard);
  const partBytes = Math.floor(bytes / parts);
  if (partBytes <= maxPart) return;
  const what = parts > 1 ? 'shard query is too large' : 'un-shardable query too large';
  throw new QueryLimitError(`${what} to execute on a single querier: ${compared(partBytes, maxPart)}; ${ADVICE}`);
}

/** Whether some number of bytes would not pass `checkBytesRead`. */
export function mayReadTooMuch(limits: Limits): boolean {
  const { max_query_bytes_read: maxQuery, max_querier_bytes_read: maxPart, tsdb_max_bytes_per_shard: perPart } = limits;
  return maxQuery > 0 || (maxPart > 0 && maxPart < (perPart < 1 ? DEFAULT_PART_BYTES : perPart));
}

function partsOf(bytes: number, maxPartBytes: number): number {
  const least = bytes / (maxPartBytes < 1 ? DEFAULT_PART_BYTES : maxPartBytes);
  return least <= 1 ? 1 : 2 ** Math.ceil(Math.log2(least));
}

const compared = (bytes: number, limit: number): string =>
  `(query: ${formatBinaryBytes(bytes)}, limit: ${formatBinaryBytes(limit)})`;
