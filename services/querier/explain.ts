import {
  alignRange,
  conditionOf,
  describePlan,
  type PlanDescription,
  type PlanParams,
  planQuery,
  type RowCondition,
} from '../../logql/plan/index.ts';
import { checkStages } from '../../logql/stages/index.ts';
import type { Matcher, Stage } from '../../logql/syntax/ast.ts';
import { parseQuery, printExpr } from '../../logql/syntax/index.ts';
import type { Tenants } from '../http/types.ts';
import { ReadLease } from '../rpc/read-lease.ts';
import { type SelectedStream, type Selection, type Sources, selectStreams } from './select.ts';
import { QueryStats } from './stats.ts';

/** What a query would do: its plan, and what that would read now. */
export interface Explanation {
  /** The query as it is understood. */
  readonly query: string;
  readonly plan: PlanDescription;
  /** By scan of the plan. */
  readonly selection: readonly SelectionFigures[];
}

/** What one scan would open. */
export interface SelectionFigures {
  /** Streams with blocks to be opened. */
  readonly streams: number;
  readonly blocks: {
    /** Of matching streams, at any time. */
    readonly considered: number;
    /** To be opened: in the object store, and not yet there. */
    readonly stored: number;
    readonly recent: number;
    readonly skippedByTime: number;
    /** Because no row of them can get through the query's filters. */
    readonly skippedByFilter: number;
  };
  /** In the blocks that would be opened. */
  readonly rows: number;
  readonly lineBytes: number;
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/**
 * Plans a query and looks at the index, but at no row. To tell what the time leaves out, the index of all times is read.
 * Throws what parsing and planning throw, and ObjectStoreError.
 */
export async function explainQuery(
  query: string,
  params: PlanParams,
  tenants: Tenants,
  sources: Sources,
  signal?: AbortSignal,
): Promise<Explanation> {
  const expr = parseQuery(query);
  checkStages(expr);
  const aligned =
    expr.kind === 'log' || params.instant
      ? params
      : { ...params, ...alignRange(params.startNs, params.endNs, params.stepNs) };
  const plan = planQuery(expr, aligned);
  const tenantMatchers = plan.kind === 'log' ? 'choose' : 'ignore';
  const figuresOf = (matchers: readonly Matcher[], stages: readonly Stage[], startNs: bigint, endNs: bigint) =>
    selectionFigures({ tenants, matchers, tenantMatchers, startNs, endNs }, conditionOf(stages), sources, signal);
  const selection =
    plan.kind === 'log'
      ? [await figuresOf(plan.matchers, plan.stages, plan.startNs, plan.endNs - 1n)]
      : await Promise.all(
          plan.scans.map((scan) => figuresOf(scan.matchers, scan.stages, scan.readAfterNs + 1n, scan.readUntilNs)),
        );
  return { query: printExpr(expr), plan: describePlan(plan), selection };
}

async function selectionFigures(
  selection: Selection,
  condition: RowCondition | null,
  sources: Sources,
  signal: AbortSignal | undefined,
): Promise<SelectionFigures> {
  using lease = new ReadLease();
  const reader = { lease, signal };
  const everywhen = { ...selection, startNs: INT64_MIN, endNs: INT64_MAX };
  const considered = countBlocks(await selectStreams(sources, everywhen, new QueryStats(), reader));
  const inTime = countBlocks(await selectStreams(sources, selection, new QueryStats(), reader));
  const streams = await selectStreams(sources, { ...selection, condition }, new QueryStats(), reader);
  const blocks = streams.flatMap((stream) => stream.blocks);
  const stored = blocks.filter(({ kind }) => kind === 'stored').length;
  return {
    streams: streams.length,
    blocks: {
      considered,
      stored,
      recent: blocks.length - stored,
      // Rows may arrive between two looks.
      skippedByTime: Math.max(0, considered - inTime),
      skippedByFilter: Math.max(0, inTime - blocks.length),
    },
    rows: blocks.reduce((sum, { rowCount }) => sum + rowCount, 0),
    lineBytes: blocks.reduce((sum, { lineBytes }) => sum + lineBytes, 0),
  };
}

function countBlocks(streams: readonly SelectedStream[]): number {
  return streams.reduce((sum, { blocks }) => sum + blocks.length, 0);
}
