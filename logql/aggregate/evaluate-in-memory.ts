import { compareLabels, type Labels } from '../labels.ts';
import { extractionHints, type LogPlan, type PlanParams, planQuery, type RangeScan } from '../plan/index.ts';
import type { BlockColumns } from '../source.ts';
import { compileMatchers, compilePipeline } from '../stages/index.ts';
import type { Expr } from '../syntax/ast.ts';
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

/**
 * Evaluates a query over blocks in memory, in this thread: all of evaluation without a store. Blocks of one stream are
 * given in order of arrival. Each of the `partitions` gets its own accumulators, as a worker thread would.
 */
export function evaluateInMemory(
  expr: Expr,
  params: PlanParams,
  blocks: readonly MemoryBlock[],
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
    for (const part of parts) merger.add(collect(plan, part));
    return { kind: 'streams', result: merger.finish() };
  }
  const matrices = plan.scans.map((scan) =>
    mergePartials(
      scan,
      parts.map((part) => accumulate(scan, part)),
    ),
  );
  return evaluatePlan(plan, matrices);
}

type NumberedBlock = MemoryBlock & { readonly sequence: number; readonly rank: number };

function accumulate(scan: RangeScan, blocks: readonly NumberedBlock[]) {
  const hints = extractionHints(scan);
  const matches = compileMatchers(scan.matchers);
  const pipeline = compilePipeline({
    stages: scan.stages,
    grouping: scan.grouping,
    unwrap: scan.unwrap,
    countsBytes: hints.sample === 'bytes',
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

function collect(plan: LogPlan, blocks: readonly NumberedBlock[]) {
  const matches = compileMatchers(plan.matchers);
  const pipeline = compilePipeline({ stages: plan.stages, grouping: { kind: 'categories' } });
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
