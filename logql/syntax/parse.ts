import { MAX_UNROLLED_SIZE, unrolledSize } from '../regex/index.ts';
import { utf8Length } from '../units/index.ts';
import type { Expr, LogSelectorExpr, Matcher } from './ast.ts';
import { TreeBuilder } from './build.ts';
import { explain } from './explain.ts';
import { QueryParser } from './grammar.ts';
import { ParseError, queryError } from './parse-error.ts';
import { printExpr } from './print.ts';
import { scanAll } from './query-scanner.ts';
import type { QueryToken } from './tokens.ts';
import { validate } from './validate.ts';

/** Bytes; a query must be shorter. */
const MAX_QUERY_LENGTH = 131_072;

/** Parentheses that may be open at once. Each costs the parser several frames of the stack. */
const MAX_NESTING = 150;

let parser: QueryParser | undefined;

/**
 * Reads and validates a query. Throws `ParseError` with Loki's text. Takes some tens of microseconds once warm.
 *
 * @example parseQuery('sum by (app) (rate({env="prod"} |= "error" [5m]))').kind // 'vector_aggregation'
 */
export function parseQuery(text: string): Expr {
  const { expr, builder } = read(text);
  validate(expr, builder);
  return expr;
}

/** As `parseQuery`, for a query that must give lines. */
export function parseLogSelector(text: string): LogSelectorExpr {
  const { expr, builder } = read(text);
  if (expr.kind !== 'log') throw new ParseError('only log selector is supported');
  validate(expr, builder);
  return expr;
}

/**
 * The matchers of a selector without stages, such as `match[]` of the series API. `mayMatchAll` admits `{}` and other
 * selectors that pick nothing in particular, as volume queries do.
 */
export function parseMatchers(text: string, options: { readonly mayMatchAll?: boolean } = {}): readonly Matcher[] {
  const expr = options.mayMatchAll ? read(text).expr : parseQuery(text);
  if (expr.kind !== 'log' || expr.stages.length > 0) throw new ParseError('only label matchers are supported');
  return expr.matchers;
}

function read(text: string): { expr: Expr; builder: TreeBuilder } {
  const length = utf8Length(text);
  if (length >= MAX_QUERY_LENGTH) throw queryError(`input size too long (${length} > ${MAX_QUERY_LENGTH})`);
  const { tokens, isClean } = scanAll(text);
  if (!isClean) throw explain(text) ?? unexplained(text);
  if (nesting(tokens) > MAX_NESTING) {
    throw explain(text) ?? queryError(`query is nested too deeply (limit ${MAX_NESTING})`);
  }
  if (unrolled(tokens) > MAX_UNROLLED_SIZE) throw queryError('error parsing regexp: expression too large');
  const builder = new TreeBuilder();
  parser ??= new QueryParser();
  const expr = parser.parse(tokens, builder);
  if (expr === null) throw explain(text) ?? unexplained(text);
  // Loki hands queries on as text, so what it cannot read back it refuses, with positions in the printed form.
  // A name that would be quoted stands bare beside some patterns: that it can read.
  const refusal = builder.hasQuotedName ? explain(printExpr(expr)) : null;
  if (refusal !== null) throw refusal;
  return { expr, builder };
}

/** States that the counted repeats of all patterns add. Any text may be a pattern; others do not look like these. */
function unrolled(tokens: readonly QueryToken[]): number {
  let size = 0;
  for (const { terminal, value } of tokens) {
    if (terminal === 'STRING' && typeof value === 'string' && /\{\d/.test(value)) size += unrolledSize(value);
  }
  return size;
}

function nesting(tokens: readonly QueryToken[]): number {
  let open = 0;
  let most = 0;
  for (const { terminal } of tokens) {
    if (terminal === 'OPEN_PARENTHESIS') most = Math.max(most, ++open);
    else if (terminal === 'CLOSE_PARENTHESIS') open--;
  }
  return most;
}

/** The two descriptions of the grammar must agree. */
function unexplained(text: string): Error {
  return new Error(`grammar and automaton disagree on a query of ${text.length} characters`);
}
