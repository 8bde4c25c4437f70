import { compileMatchers, StageError } from '../../logql/stages/index.ts';
import type { LogSelectorExpr } from '../../logql/syntax/ast.ts';
import { ParseError, parseQuery } from '../../logql/syntax/index.ts';
import { compileDeletes } from '../../storage/compaction/index.ts';
import type { PendingDelete } from '../rpc/deletes.ts';

/** A request to delete lines, as it is kept in the object store. Times are whole milliseconds since 1970. */
export interface DeleteRequest {
  /** 8 hexadecimal digits, one a tenant. */
  readonly id: string;
  readonly tenant: string;
  readonly query: string;
  readonly startMs: number;
  /** Inclusive. */
  readonly endMs: number;
  readonly createdMs: number;
  readonly status: 'received' | 'processed';
}

/** The request cannot be taken; the text is Loki's. */
export class DeleteRequestError extends Error {
  readonly code = 'bad_delete_request';
}

const NS_PER_MS = 1_000_000n;

/** A selector with any stages. Throws DeleteRequestError. */
export function parseDeleteQuery(text: string): LogSelectorExpr {
  const invalid = (cause?: unknown) => new DeleteRequestError('invalid query expression', { cause });
  try {
    const expr = parseQuery(text);
    if (expr.kind !== 'log') throw invalid();
    compileDeletes([{ id: '', startNs: 0n, endNs: 0n, stages: expr.stages }]);
    return expr;
  } catch (error: unknown) {
    const isCallers = error instanceof ParseError || error instanceof StageError || isLanguageError(error);
    throw isCallers ? invalid(error) : error;
  }
}

const LANGUAGE_CODES: ReadonlySet<unknown> = new Set([
  'parse_error',
  'bad_stage',
  'bad_regex',
  'regex_error',
  'bad_template',
  'template_error',
  'unsupported_query',
]);
const isLanguageError = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && LANGUAGE_CODES.has(error.code);

/** Whether some stage of the query takes lines out. */
export function hasFilter({ stages }: LogSelectorExpr): boolean {
  return stages.some(
    (stage) =>
      stage.kind === 'label_filter' ||
      (stage.kind === 'line_filter' && !(stage.operands.length === 1 && stage.operands[0]!.value === '')),
  );
}

/** The request as the read path applies it. Throws DeleteRequestError. */
export function compileDeleteRequest(request: DeleteRequest): PendingDelete & { readonly expr: LogSelectorExpr } {
  const expr = parseDeleteQuery(request.query);
  return {
    expr,
    matches: compileMatchers(expr.matchers),
    rule: {
      id: `${request.id}/${request.tenant}`,
      startNs: BigInt(request.startMs) * NS_PER_MS,
      endNs: BigInt(request.endMs) * NS_PER_MS,
      stages: expr.stages,
    },
  };
}

export function encodeDeleteRequest(request: DeleteRequest): Buffer {
  return Buffer.from(JSON.stringify(request));
}

/** Null for what is not a request. */
export function decodeDeleteRequest(bytes: Uint8Array): DeleteRequest | null {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch (error: unknown) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { id, tenant, query, startMs, endMs, createdMs, status } = value as Record<string, unknown>;
  const isText = [id, tenant, query].every((text) => typeof text === 'string');
  const isTimes = [startMs, endMs, createdMs].every((time) => Number.isSafeInteger(time));
  if (!isText || !isTimes || (status !== 'received' && status !== 'processed')) return null;
  return value as DeleteRequest;
}
