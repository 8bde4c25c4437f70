import { checkStages } from '../../logql/stages/index.ts';
import type { LogSelectorExpr } from '../../logql/syntax/ast.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { BadRequestError, parseAtoi, parseLimit, parseTime } from './params.ts';

const HOUR_NS = 3_600_000_000_000n;
const MAX_DELAY_SECONDS = 5n;

export interface TailParams {
  readonly query: LogSelectorExpr;
  readonly delayMs: number;
  readonly limit: number;
  readonly startNs: bigint;
}

/** A metric query cannot be followed. Loki says so after the upgrade, in the close frame. */
export class TailOfMetricsError extends Error {
  readonly code = 'tail_of_metrics';
  constructor() {
    super('only log selector is supported');
  }
}

export function parseTailParams(form: URLSearchParams, nowNs: bigint): TailParams {
  const expr = parseQuery(form.get('query') ?? '');
  const startNs = parseTime(form.get('start') ?? '', nowNs - HOUR_NS);
  const limit = parseLimit(form.get('limit'));
  const delayText = form.get('delay_for') ?? '';
  const delay = delayText === '' ? 0n : parseAtoi(delayText);
  if (delay > MAX_DELAY_SECONDS) throw new BadRequestError("delay_for can't be greater than 5");
  if (expr.kind !== 'log') throw new TailOfMetricsError();
  checkStages(expr);
  return { query: expr, delayMs: delay > 0n ? Number(delay) * 1000 : 0, limit, startNs };
}
