import type { Labels } from '../../labels.ts';
import { parseLogSelector } from '../../syntax/index.ts';
import { compilePipeline, type PipelineOptions } from '../pipeline.ts';
import type { GroupLabels } from '../types.ts';
import { type BlockOfOptions, blockOf } from './block-of.ts';

export interface RunLinesOptions extends BlockOfOptions, Partial<Omit<PipelineOptions, 'stages'>> {
  readonly stream?: Labels;
}

export interface RanLine {
  readonly row: number;
  readonly line: string;
  readonly labels: GroupLabels;
  readonly value: number;
}

/** For tests: the rows that come out of `stages` (e.g. `| json | a="1"`) when these lines go in. */
export function runLines(
  stages: string,
  lines: readonly (string | Uint8Array)[],
  options: RunLinesOptions = {},
): RanLine[] {
  const pipeline = compilePipeline({
    grouping: { kind: 'categories' },
    ...options,
    stages: parseLogSelector(`{app="x"} ${stages}`).stages,
  });
  const block = blockOf(lines, options);
  pipeline.open(block, options.stream ?? [['app', 'x']]);
  const rows = Uint32Array.from(lines, (_, row) => row);
  const count = pipeline.filter(rows, rows.length);
  const result: RanLine[] = [];
  for (const row of rows.subarray(0, count)) {
    if (!pipeline.run(row)) continue;
    const labels = pipeline.groups[pipeline.group]!;
    result.push({ row, line: pipeline.line(), labels, value: pipeline.value });
  }
  return result;
}
