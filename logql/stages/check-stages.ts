import { RegexError } from '../regex/index.ts';
import type { Expr, LabelFormatItem, Stage } from '../syntax/ast.ts';
import { ParseError } from '../syntax/parse-error.ts';
import { printStage } from '../syntax/print.ts';
import { compilePipeline } from './pipeline.ts';
import { withoutIdleLineFormats } from './plan-stages.ts';
import { StageError } from './stage-error.ts';

/**
 * Throws what Loki answers for a stage that the grammar allows and that means nothing: a broken pattern, template or
 * path. Scans would find it too, but only where there is a stream to scan.
 */
export function checkStages(expr: Expr): void {
  switch (expr.kind) {
    case 'log':
      for (const stage of expr.stages) checkStage(stage);
      return;
    case 'range_aggregation': {
      const { stages } = expr.range.log;
      const readsLength = expr.op === 'bytes_over_time' || expr.op === 'bytes_rate';
      for (const stage of readsLength ? stages : withoutIdleLineFormats(stages)) checkStage(stage);
      return;
    }
    case 'vector_aggregation':
    case 'label_replace':
      checkStages(expr.expr);
      return;
    case 'binary':
      checkStages(expr.left);
      checkStages(expr.right);
      return;
    case 'variants':
      for (const variant of expr.variants) checkStages(variant);
      return;
    case 'literal':
    case 'vector':
      return;
    default:
      expr satisfies never;
  }
}

function checkStage(stage: Stage): void {
  try {
    if (stage.kind === 'label_format') checkFormats(stage.formats);
    compilePipeline({ stages: [stage], grouping: { kind: 'categories' } });
  } catch (error: unknown) {
    if (!(error instanceof StageError || error instanceof RegexError)) throw error;
    throw new ParseError(`parse error : stage '${printStage(stage).trim()}' : ${error.message}`);
  }
}

function checkFormats(formats: readonly LabelFormatItem[]): void {
  const names = new Set<string>();
  for (const { to } of formats) {
    if (to === '__error__') throw new StageError(`${to} cannot be formatted`);
    if (names.has(to)) {
      throw new StageError(`multiple label name '${to}' not allowed in a single format operation`);
    }
    names.add(to);
  }
}
