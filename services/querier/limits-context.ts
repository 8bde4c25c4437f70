import { planQuery, type RangeScan } from '../../logql/plan/index.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { parseRfc3339Ns } from '../../logql/units/rfc3339.ts';
import type { Tenants } from '../http/types.ts';
import { ReadLease } from '../rpc/read-lease.ts';
import { bytesOf } from './byte-limits.ts';
import { RequestLimitsError } from './request-limits.ts';
import { type Sources, selectStreams } from './select.ts';
import { QueryStats } from './stats.ts';

interface Read {
  readonly matchers: readonly Matcher[];
  readonly startNs: bigint;
  readonly endNs: bigint;
}

/**
 * `X-Loki-Query-Limits-Context`: the whole query, of which the request is a part that a client cut out
 * (`{"expr":"…","from":"…","to":"…"}`, times of RFC 3339). How many bytes that whole query would read; 0 when the header
 * names none. Throws RequestLimitsError, and ParseError for its query.
 */
export async function contextBytes(
  header: string,
  sources: Sources,
  tenants: Tenants,
  signal?: AbortSignal,
): Promise<number> {
  if (header === '') return 0;
  const { expr = '', from = '', to = '' } = readHeader(header);
  const startNs = parseRfc3339Ns(from);
  const endNs = parseRfc3339Ns(to);
  if (expr === '' || startNs === null || endNs === null) return 0;
  let bytes = 0;
  using lease = new ReadLease();
  for (const { matchers, startNs: start, endNs: end } of readsOf(expr, startNs, endNs)) {
    const selection = { tenants, matchers, tenantMatchers: 'choose' as const, startNs: start, endNs: end };
    bytes += bytesOf(await selectStreams(sources, selection, new QueryStats(), { lease, signal }));
  }
  return bytes;
}

function readHeader(header: string): Partial<Record<'expr' | 'from' | 'to', string>> {
  let value: unknown;
  try {
    value = JSON.parse(header);
  } catch (error: unknown) {
    throw new RequestLimitsError('expected JSON', { cause: error });
  }
  if (typeof value !== 'object' || value === null || Object.values(value).some((field) => typeof field !== 'string')) {
    throw new RequestLimitsError('expected a JSON object of texts');
  }
  return value;
}

function readsOf(query: string, startNs: bigint, endNs: bigint): readonly Read[] {
  const expr = parseQuery(query);
  if (expr.kind === 'log') return [{ matchers: expr.matchers, startNs, endNs }];
  const stepNs = endNs > startNs ? endNs - startNs : 1n;
  const plan = planQuery(expr, {
    startNs,
    endNs,
    stepNs,
    intervalNs: 0n,
    limit: 1,
    direction: 'backward',
    instant: false,
  });
  const scans: readonly RangeScan[] = plan.kind === 'log' ? [] : plan.scans;
  return scans.map(({ matchers, readAfterNs, readUntilNs }) => ({
    matchers,
    startNs: readAfterNs + 1n,
    endNs: readUntilNs,
  }));
}
