import type { Stage } from '../syntax/ast.ts';
import { printStage, printUnwrap } from '../syntax/print.ts';
import type { PipelineOptions } from './pipeline.ts';
import { planStages } from './plan-stages.ts';
import { Row } from './row.ts';

/** What a pipeline does with a row, for people. */
export interface StagesDescription {
  /** Run over whole blocks before everything else. */
  readonly blockFilters: readonly string[];
  /** Run row by row, in this order. */
  readonly stages: readonly StageDescription[];
  /** Stages of the query that change nothing in its answer and do not run. */
  readonly omitted: readonly string[];
  readonly readsLines: boolean;
  /** Labels that parsers extract; null for all. */
  readonly neededLabels: readonly string[] | null;
  /** Columns of structured metadata that are read; null for all. */
  readonly metadata: readonly string[] | null;
}

export interface StageDescription {
  readonly stage: string;
  readonly reads: readonly ('line' | 'labels')[];
  readonly writes: readonly ('line' | 'labels')[];
}

/** Describes what `compilePipeline` would run. Throws what it throws. */
export function describeStages(options: PipelineOptions): StagesDescription {
  const plan = planStages(options, new Row());
  const runs = [...plan.blockFilters, ...plan.rowStages];
  const stages = plan.rowStages.map(describeStage);
  if (options.unwrap) {
    stages.push({ stage: printUnwrap(options.unwrap, ' '), reads: ['labels'], writes: [] });
  }
  return {
    blockFilters: plan.blockFilters.map((filter) => printStage(filter).trim()),
    stages,
    omitted: options.stages.filter((stage) => !runs.includes(stage)).map((stage) => printStage(stage).trim()),
    readsLines: plan.readsLines || plan.blockFilters.length > 0,
    neededLabels: plan.neededLabels === null ? null : [...plan.neededLabels].sort(),
    metadata: plan.metadata === null ? null : [...plan.metadata].sort(),
  };
}

function describeStage(stage: Stage): StageDescription {
  return { stage: printStage(stage).trim(), ...effects(stage) };
}

function effects(stage: Stage): Pick<StageDescription, 'reads' | 'writes'> {
  switch (stage.kind) {
    case 'line_filter':
      return { reads: ['line'], writes: [] };
    case 'label_filter':
      return { reads: ['labels'], writes: [] };
    case 'json':
    case 'logfmt':
    case 'regexp':
    case 'pattern':
      return { reads: ['line'], writes: ['labels'] };
    case 'unpack':
      return { reads: ['line'], writes: ['line', 'labels'] };
    case 'decolorize':
      return { reads: ['line'], writes: ['line'] };
    case 'line_format':
      return { reads: ['line', 'labels'], writes: ['line'] };
    case 'label_format':
      return { reads: ['line', 'labels'], writes: ['labels'] };
    case 'drop':
    case 'keep':
      return { reads: ['labels'], writes: ['labels'] };
    default:
      return stage satisfies never;
  }
}
