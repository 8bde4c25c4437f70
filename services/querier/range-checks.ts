import { checkStages } from '../../logql/stages/index.ts';
import type { Expr } from '../../logql/syntax/ast.ts';
import { ParseError } from '../../logql/syntax/index.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { Limits, LimitsProvider } from '../config/limits.ts';
import type { Tenants } from '../http/types.ts';
import { checkBlocked } from './blocked-queries.ts';
import type { Bounds, RangeParams } from './params.ts';
import type { QueryContext } from './querier.ts';
import { checkEntriesLimit, checkExpression, limitBounds, strictest } from './query-limits.ts';
import { parseRequestLimits, RequestLimitsError, tightened } from './request-limits.ts';
import { checkTenantMatchers } from './select.ts';

/** What decides about the limits of one who asks. */
export interface AskerOptions {
  readonly limits: LimitsProvider;
  readonly logger: Logger;
  /** `querier.per_request_limits_enabled` */
  readonly perRequestLimits?: boolean;
}

export function limitsOfTenants(limits: LimitsProvider, tenants: Tenants): Limits {
  return strictest(tenants.ids.map((id) => limits.for(id)));
}

/** The limits of the tenants, or stricter ones that the request itself asks for. */
export function limitsOfAsker(options: AskerOptions, { tenants, limitsHeader = '' }: QueryContext): Limits {
  const limits = limitsOfTenants(options.limits, tenants);
  if (!options.perRequestLimits || limitsHeader === '') return limits;
  try {
    return tightened(limits, parseRequestLimits(limitsHeader));
  } catch (error: unknown) {
    ignoreHeader(options.logger, 'X-Loki-Query-Limits', error);
    return limits;
  }
}

/** Goes on without a header that cannot be read, as Loki does. Rethrows other errors. */
export function ignoreHeader(logger: Logger, header: string, error: unknown): void {
  if (!(error instanceof RequestLimitsError || error instanceof ParseError)) throw error;
  logger.warn('a header cannot be read and has no effect', { header, err: error });
}

/**
 * Whether a range query may be asked at all; the time that it is about, null when all of that is too old. Throws
 * QueryLimitError, BadRequestError, and what a stage that cannot be compiled throws.
 */
export function checkRange(
  limits: Limits,
  params: RangeParams,
  expr: Expr,
  context: QueryContext,
  nowNs: bigint,
): Bounds | null {
  checkBlocked(limits, params.query, expr, context.tags ?? []);
  if (expr.kind === 'log') checkEntriesLimit(limits, params.limit);
  const bounds = limitBounds(limits, params, nowNs);
  checkExpression(limits, expr);
  checkTenantMatchers(context.tenants, expr);
  checkStages(expr);
  return bounds;
}
