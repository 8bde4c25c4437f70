import type { Expr, LogSelectorExpr, Matcher } from './ast.ts';
import type { TreeBuilder } from './build.ts';
import { queryError } from './parse-error.ts';
import { regexMatchesEmpty } from './regex-check.ts';

/** Throws what Loki finds wrong with a query that is grammatical: outer nodes before inner ones, left before right. */
export function validate(expr: Expr, builder: TreeBuilder): void {
  const mistake = builder.mistakeOf(expr);
  if (mistake !== undefined) throw queryError(mistake);
  switch (expr.kind) {
    case 'log':
      validateSelector(expr);
      return;
    case 'range_aggregation':
      validateSelector(expr.range.log);
      return;
    case 'variants':
      // The variants themselves are not looked at before evaluation, which is switched off.
      validateSelector(expr.range.log);
      return;
    case 'binary':
      validate(expr.left, builder);
      validate(expr.right, builder);
      return;
    case 'vector_aggregation':
      if ((expr.op === 'sort' || expr.op === 'sort_desc') && (expr.grouping?.labels.length ?? 0) > 0) {
        throw queryError("sort and sort_desc doesn't allow grouping by ");
      }
      validate(expr.expr, builder);
      return;
    case 'label_replace':
      validate(expr.expr, builder);
      return;
    case 'literal':
    case 'vector':
      return;
    default:
      expr satisfies never;
  }
}

/** A selector must say something that a stream without the label does not satisfy. */
function validateSelector(log: LogSelectorExpr): void {
  if (log.matchers.every(matchesEmpty)) {
    throw queryError(
      'queries require at least one regexp or equality matcher that does not have an empty-compatible value. ' +
        'For instance, app=~".*" does not meet this requirement, but app=~".+" will',
    );
  }
}

function matchesEmpty(matcher: Matcher): boolean {
  switch (matcher.op) {
    case '=':
      return matcher.value === '';
    case '!=':
      return matcher.value !== '';
    case '=~':
      return regexMatchesEmpty(matcher.value);
    case '!~':
      return !regexMatchesEmpty(matcher.value);
    default:
      return matcher.op satisfies never;
  }
}
