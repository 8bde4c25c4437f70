import { describeStages, type GroupingMode, type StagesDescription } from '../stages/index.ts';
import { printMatchers } from '../syntax/print.ts';
import { formatGoDuration } from '../units/index.ts';
import { extractionHints } from './extraction.ts';
import type { EvalNode, EvaluationTimes, LogPlan, MetricPlan, QueryPlan, RangeScan } from './plan.ts';

/** A plan for people, as JSON: what is read, in which order, and how the answer is put together. */
export type PlanDescription = LogDescription | MetricDescription;

export interface LogDescription {
  readonly kind: 'log';
  readonly scan: LogScanDescription;
  readonly direction: string;
  readonly limit: number;
  readonly interval: string | null;
}

export interface LogScanDescription extends StagesDescription {
  readonly selector: string;
  readonly startNs: string;
  readonly endNs: string;
}

export interface MetricDescription {
  readonly kind: 'metric';
  readonly times: { readonly firstNs: string; readonly step: string; readonly count: number };
  readonly scans: readonly RangeScanDescription[];
  /** The vector operations, inside out; `scan 0` is the first of `scans`. */
  readonly evaluation: string;
}

export interface RangeScanDescription extends LogScanDescription {
  readonly operation: string;
  readonly range: string;
  readonly offset: string;
  /** The sample of a row. */
  readonly sample: 'one' | 'bytes' | 'unwrap';
  /** The labels that tell series apart. */
  readonly grouping: string;
  /** Rows are counted a block at a time, without looking at any. */
  readonly countsBlocks: boolean;
}

/** `startNs` and `endNs` are exclusive and inclusive for range scans, the other way round for log queries. */
export function describePlan(plan: QueryPlan): PlanDescription {
  return plan.kind === 'log' ? describeLog(plan) : describeMetric(plan);
}

function describeLog(plan: LogPlan): LogDescription {
  return {
    kind: 'log',
    scan: {
      selector: printMatchers(plan.matchers),
      startNs: String(plan.startNs),
      endNs: String(plan.endNs),
      ...describeStages({ stages: plan.stages, grouping: { kind: 'categories' } }),
    },
    direction: plan.direction,
    limit: plan.limit,
    interval: plan.intervalNs > 0n ? duration(plan.intervalNs) : null,
  };
}

function describeMetric(plan: MetricPlan): MetricDescription {
  return {
    kind: 'metric',
    times: describeTimes(plan.times),
    scans: plan.scans.map(describeScan),
    evaluation: describeNode(plan.root),
  };
}

function describeTimes({ firstNs, stepNs, count }: EvaluationTimes): MetricDescription['times'] {
  return { firstNs: String(firstNs), step: duration(count > 1 ? stepNs : 0n), count };
}

function describeScan(scan: RangeScan): RangeScanDescription {
  const { sample, bare } = extractionHints(scan);
  const stages = describeStages({
    stages: scan.stages,
    grouping: scan.grouping,
    unwrap: scan.unwrap,
    countsBytes: sample === 'bytes',
  });
  return {
    selector: printMatchers(scan.matchers),
    startNs: String(scan.readAfterNs),
    endNs: String(scan.readUntilNs),
    operation: scan.parameter === null ? scan.op : `${scan.op} ${scan.parameter}`,
    range: duration(scan.rangeNs),
    offset: duration(scan.offsetNs),
    sample,
    grouping: describeGrouping(scan.grouping),
    countsBlocks: bare && stages.metadata?.length === 0,
    ...stages,
  };
}

function describeGrouping(grouping: GroupingMode): string {
  switch (grouping.kind) {
    case 'categories':
    case 'all':
      return 'all labels';
    case 'by':
    case 'without':
      return `${grouping.kind} (${grouping.labels.join(', ')})`;
    default:
      return grouping satisfies never;
  }
}

function describeNode(node: EvalNode): string {
  switch (node.kind) {
    case 'range':
      return `scan ${node.scan}`;
    case 'concat':
      return `all of (${node.inputs.map(describeNode).join(', ')})`;
    case 'vector_aggregation': {
      const parameter = node.parameter === null ? '' : `${node.parameter}, `;
      const { without, labels } = node.grouping;
      const grouping = without || labels.length > 0 ? ` ${without ? 'without' : 'by'} (${labels.join(', ')})` : '';
      return `${node.op}${grouping} (${parameter}${describeNode(node.input)})`;
    }
    case 'binary': {
      const { card, on, labels, include } = node.matching;
      const words = [node.op, node.bool ? 'bool' : ''];
      if (on || labels.length > 0) words.push(`${on ? 'on' : 'ignoring'} (${labels.join(', ')})`);
      if (card !== 'one-to-one') {
        words.push(`${card === 'many-to-one' ? 'group_left' : 'group_right'} (${include.join(', ')})`);
      }
      const op = words.filter((word) => word !== '').join(' ');
      return `(${describeNode(node.left)} ${op} ${describeNode(node.right)})`;
    }
    case 'literal':
      return String(node.value);
    case 'vector':
      return `vector(${node.value})`;
    case 'label_replace': {
      const texts = [node.dst, node.replacement, node.src, node.regex].map((text) => JSON.stringify(text));
      return `label_replace(${describeNode(node.input)}, ${texts.join(', ')})`;
    }
    default:
      return node satisfies never;
  }
}

function duration(ns: bigint): string {
  return formatGoDuration(Number(ns));
}
