import type { GroupingMode } from '../stages/types.ts';
import type { LabelFilter, RangeOp, Stage } from '../syntax/ast.ts';
import type { RangeScan } from './plan.ts';

const ERROR_LABEL = '__error__';

/** What a scan takes from a row beyond its time. */
export interface ExtractionHints {
  /**
   * Names that the answer needs: of the grouping and of the unwrap. Stages add what they themselves read. `null`: all.
   * Empty: no label at all, so that a parser which no later stage reads need not run (and then cannot fail).
   */
  readonly neededLabels: ReadonlySet<string> | null;
  /** The sample of a row: `one` needs nothing, `bytes` the line's length after the stages, `unwrap` a label's value. */
  readonly sample: 'one' | 'bytes' | 'unwrap';
  /** The scan has no stage and no unwrap: rows may be counted without running a pipeline over them. */
  readonly bare: boolean;
}

export function extractionHints(scan: RangeScan): ExtractionHints {
  let neededLabels: Set<string> | null = null;
  if (scan.grouping.kind === 'by') {
    neededLabels = new Set(scan.grouping.labels);
    if (scan.unwrap !== null) neededLabels.add(scan.unwrap.label);
  }
  const bytes = scan.op === 'bytes_over_time' || scan.op === 'bytes_rate';
  return {
    neededLabels,
    sample: scan.unwrap !== null ? 'unwrap' : bytes ? 'bytes' : 'one',
    bare: scan.stages.length === 0 && scan.unwrap === null,
  };
}

/**
 * Samples with `__error__` pass when the query names that label: in its grouping, or, with a grouping `by`, in a label
 * filter before the unwrap. Without such a grouping even `| __error__!=""` fails the query, as in Loki.
 */
export function keepsErrors(grouping: GroupingMode, stages: readonly Stage[]): boolean {
  if (grouping.kind !== 'by') return false;
  if (grouping.labels.includes(ERROR_LABEL)) return true;
  return stages.some((stage) => stage.kind === 'label_filter' && filterReads(stage.filter, ERROR_LABEL));
}

function filterReads(filter: LabelFilter, name: string): boolean {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return filterReads(filter.left, name) || filterReads(filter.right, name);
    default:
      return filter.name === name;
  }
}

/**
 * Leaves out each line_format that no later stage could notice: without a parser or line filter behind it, and where
 * the line's length is not the sample. Loki does the same, so that its template errors do not fail such a query.
 */
export function withoutUnusedLineFormats(stages: readonly Stage[], op: RangeOp): readonly Stage[] {
  if (op === 'bytes_over_time' || op === 'bytes_rate') return stages;
  const lastReader = stages.findLastIndex(readsLine);
  return stages.filter((stage, index) => stage.kind !== 'line_format' || index < lastReader);
}

function readsLine(stage: Stage): boolean {
  switch (stage.kind) {
    case 'line_filter':
    case 'json':
    case 'logfmt':
    case 'regexp':
    case 'pattern':
    case 'unpack':
      return true;
    case 'label_format':
      return stage.formats.some((format) => format.kind === 'template' && format.template.includes('__line__'));
    default:
      return false;
  }
}
