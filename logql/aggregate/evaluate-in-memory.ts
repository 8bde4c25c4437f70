import { compareLabels, type Labels } from '../labels.ts';
import { extractionHints, type LogPlan, type PlanParams, planQuery, type RangeScan } from '../plan/index.ts';
import type { BlockColumns } from '../source.ts';
import type { GroupingMode, Pipeline } from '../stages/types.ts';
import type { Expr, Matcher, Stage, Unwrap } from '../syntax/ast.ts';
import { evaluatePlan } from './evaluate.ts';
import { LogCollector } from './log-collector.ts';
import { LogMerger, type LogResult } from './log-merger.ts';
import type { MetricResult } from './metric-result.ts';
import { RangeAccumulator } from './range-accumulator.ts';
import { mergePartials } from './range-merger.ts';

/** A block and the labels of its stream. */
export interface MemoryBlock {
  readonly stream: Labels;
  readonly columns: BlockColumns;
}

/** How the evaluation gets its stages: the functions of `logql/stages`. */
export interface StageCompiler {
  compilePipeline(options: {
    readonly stages: readonly Stage[];
    readonly grouping: GroupingMode;
    readonly unwrap?: Unwrap | null;
    readonly neededLabels?: ReadonlySet<string> | null;
    readonly keepErrors?: boolean;
  }): Pipeline;
  compileMatchers(matchers: readonly Matcher[]): (labels: Labels) => boolean;
}

/**
 * Evaluates a query over blocks in memory, in this thread: all of evaluation without a store. Blocks of one stream are
 * given in order of arrival. Each of the `partitions` gets its own accumulators, as a worker thread would.
 */
export function evaluateInMemory(
  expr: Expr,
  params: PlanParams,
  blocks: readonly MemoryBlock[],
  compiler: StageCompiler,
  partitions = 1,
): MetricResult | { readonly kind: 'streams'; readonly result: LogResult } {
  const plan = planQuery(expr, params);
  const streams = [...blocks].map(({ stream }) => stream).sort(compareLabels);
  const numbered = blocks.map((block, sequence) => ({
    ...block,
    sequence,
    rank: streams.findIndex((stream) => compareLabels(stream, block.stream) === 0),
  }));
  const parts = Array.from({ length: partitions }, (_, p) => numbered.filter((_, i) => i % partitions === p));
  if (plan.kind === 'log') {
    const merger = new LogMerger(plan);
    for (const part of parts) merger.add(collect(plan, part, compiler));
    return { kind: 'streams', result: merger.finish() };
  }
  const matrices = plan.scans.map((scan) =>
    mergePartials(
      scan,
      parts.map((part) => accumulate(scan, part, compiler)),
    ),
  );
  return evaluatePlan(plan, matrices);
}

type NumberedBlock = MemoryBlock & { readonly sequence: number; readonly rank: number };

function accumulate(scan: RangeScan, blocks: readonly NumberedBlock[], compiler: StageCompiler) {
  const hints = extractionHints(scan);
  const matches = compiler.compileMatchers(scan.matchers);
  const pipeline = compiler.compilePipeline({
    stages: scan.stages,
    grouping: scan.grouping,
    unwrap: scan.unwrap,
    neededLabels: hints.neededLabels,
    keepErrors: scan.keepErrors,
  });
  const accumulator = new RangeAccumulator(scan);
  for (const { stream, columns, sequence } of blocks) {
    if (!matches(stream)) continue;
    pipeline.open(columns, stream);
    accumulator.openBlock(columns.baseNs, sequence);
    const rows = allRows(columns);
    const count = pipeline.filter(rows, rows.length);
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      if (!pipeline.run(row)) continue;
      const value = hints.sample === 'unwrap' ? pipeline.value : hints.sample === 'bytes' ? pipeline.lineBytes : 1;
      accumulator.add(pipeline.group, columns.offsetsNs[row]!, value);
    }
  }
  return accumulator.partial(pipeline.groups);
}

function collect(plan: LogPlan, blocks: readonly NumberedBlock[], compiler: StageCompiler) {
  const matches = compiler.compileMatchers(plan.matchers);
  const pipeline = compiler.compilePipeline({ stages: plan.stages, grouping: { kind: 'categories' } });
  const collector = new LogCollector(plan);
  for (const { stream, columns, sequence, rank } of blocks) {
    if (!matches(stream)) continue;
    pipeline.open(columns, stream);
    collector.openBlock(columns.baseNs, sequence, rank);
    const rows = allRows(columns);
    const count = pipeline.filter(rows, rows.length);
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      const offset = columns.offsetsNs[row]!;
      if (collector.wants(offset) && pipeline.run(row)) collector.add(offset, row, pipeline.group, pipeline.line());
    }
  }
  return collector.partial(pipeline.groups);
}

function allRows(columns: BlockColumns): Uint32Array {
  return Uint32Array.from({ length: columns.rowCount }, (_, row) => row);
}
