import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseQuery } from '../syntax/index.ts';
import { extractionHints } from './extraction.ts';
import type { EvalNode, MetricPlan, PlanParams } from './plan.ts';
import { QueryNotEnabledError } from './plan-errors.ts';
import { planQuery } from './plan-query.ts';

const SECOND = 1_000_000_000n;
const params: PlanParams = {
  startNs: 100n * SECOND,
  endNs: 160n * SECOND,
  stepNs: 20n * SECOND,
  intervalNs: 0n,
  limit: 100,
  direction: 'backward',
  instant: false,
};

function plan(query: string, changes: Partial<PlanParams> = {}): MetricPlan {
  const result = planQuery(parseQuery(query), { ...params, ...changes });
  assert.equal(result.kind, 'metric');
  return result as MetricPlan;
}

/** The scans' groupings as text. */
function groupings(query: string): string[] {
  return plan(query).scans.map(({ grouping }) =>
    grouping.kind === 'by' || grouping.kind === 'without'
      ? `${grouping.kind} ${grouping.labels.join(',')}`
      : grouping.kind,
  );
}

describe('planQuery', () => {
  it('takes over what bounds a log query', () => {
    const result = planQuery(parseQuery('{app="a"} |= "x" | json'), { ...params, intervalNs: 5n, logSplitNs: 7n });
    assert.equal(result.kind, 'log');
    assert.ok(result.kind === 'log');
    const { startNs, endNs, limit, direction, intervalNs, periodNs } = result;
    assert.deepEqual(
      { startNs, endNs, limit, direction, intervalNs, periodNs },
      { startNs: 100n * SECOND, endNs: 160n * SECOND, limit: 100, direction: 'backward', intervalNs: 5n, periodNs: 7n },
    );
    assert.deepEqual(
      result.stages.map((stage) => stage.kind),
      ['line_filter', 'json'],
    );
  });

  it('evaluates from start to end, both included', () => {
    assert.deepEqual(plan('vector(1)').times, { firstNs: 100n * SECOND, stepNs: 20n * SECOND, count: 4 });
    assert.equal(plan('vector(1)', { endNs: 159n * SECOND }).times.count, 3);
    assert.equal(plan('vector(1)', { endNs: params.startNs }).times.count, 1);
  });

  it('evaluates an instant query at its end alone', () => {
    const { times, scans } = plan('count_over_time({app="a"}[30s] offset 5s)', { instant: true });
    assert.equal(times.count, 1);
    assert.equal(times.firstNs, params.endNs);
    assert.equal(scans[0]!.readAfterNs, 125n * SECOND);
    assert.equal(scans[0]!.readUntilNs, 155n * SECOND);
  });

  it('reads from the start of the first window to the end of the last', () => {
    const [scan] = plan('count_over_time({app="a"}[30s] offset -5s)').scans;
    assert.equal(scan!.readAfterNs, 75n * SECOND);
    assert.equal(scan!.readUntilNs, 165n * SECOND);
  });

  it('keeps a range beyond 2^53 ns exact', () => {
    assert.equal(plan('count_over_time({app="a"}[1y])').scans[0]!.rangeNs, 31_536_000n * SECOND);
  });

  it('scans the same leaf once', () => {
    const { root, scans } = plan('sum(rate({a="1"}[1m])) / sum(rate({a="1"}[1m])) + sum(rate({a="1"}[2m]))');
    assert.equal(scans.length, 2);
    const leaves: number[] = [];
    const visit = (node: EvalNode): void => {
      if (node.kind === 'range') leaves.push(node.scan);
      else if (node.kind === 'binary') [node.left, node.right].forEach(visit);
      else if (node.kind === 'vector_aggregation') visit(node.input);
    };
    visit(root);
    assert.deepEqual(leaves, [0, 0, 1]);
  });

  it('folds arithmetic on numbers, as far as it goes', () => {
    assert.deepEqual(plan('2 ^ 3 ^ 2').root, { kind: 'literal', value: 512 });
    assert.deepEqual(plan('1 == bool 1 + 1').root, { kind: 'literal', value: 0 });
    assert.deepEqual(plan('5 % 0').root, { kind: 'literal', value: Number.NaN });
  });

  it('can be sent to another thread', () => {
    const sent = plan('sum by (a) (sum_over_time({a="1"} | json | unwrap v [1m])) > bool 1');
    assert.deepEqual(structuredClone(sent), sent);
  });

  it('knows whether the query orders its result itself', () => {
    assert.equal(plan('sort_desc(rate({a="1"}[1m]))').sorted, true);
    assert.equal(plan('topk(1, rate({a="1"}[1m]))').sorted, false);
  });

  it('refuses approx_topk in the words of a server that has not enabled it', () => {
    assert.throws(() => plan('approx_topk(1, rate({a="1"}[1m]))'), QueryNotEnabledError);
  });
});

describe('grouping of a scan', () => {
  it('comes from the sum around sums, and from nothing else', () => {
    assert.deepEqual(groupings('sum by (a, b) (rate({a="1"}[1m]))'), ['by a,b']);
    assert.deepEqual(groupings('sum(bytes_over_time({a="1"}[1m]))'), ['by ']);
    assert.deepEqual(groupings('sum without (a) (count_over_time({a="1"}[1m]))'), ['without a']);
    assert.deepEqual(groupings('sum without () (count_over_time({a="1"}[1m]))'), ['all']);
    for (const query of [
      'max by (a) (count_over_time({a="1"}[1m]))',
      'sum by (a) (topk(1, count_over_time({a="1"}[1m])))',
      'count_over_time({a="1"}[1m])',
    ]) {
      assert.deepEqual(groupings(query), ['all'], query);
    }
    assert.deepEqual(groupings('sum by (a) (max_over_time({a="1"} | unwrap v [1m]))'), ['without v']);
  });

  it('leaves out the unwrapped label unless labels are chosen', () => {
    assert.deepEqual(groupings('sum_over_time({a="1"} | unwrap v [1m])'), ['without v']);
    assert.deepEqual(groupings('max_over_time({a="1"} | unwrap v [1m]) without (b)'), ['without b,v']);
    assert.deepEqual(groupings('max_over_time({a="1"} | unwrap v [1m]) by (b)'), ['by b']);
    assert.deepEqual(groupings('max_over_time({a="1"} | unwrap v [1m]) by ()'), ['by ']);
  });

  it('is of no interest where nothing is what counts', () => {
    assert.deepEqual(groupings('absent_over_time({a="1"}[1m])'), ['by ']);
  });
});

describe('extractionHints', () => {
  const hints = (query: string) => extractionHints(plan(query).scans[0]!);

  it('say what a row is worth', () => {
    assert.equal(hints('rate({a="1"}[1m])').sample, 'one');
    assert.equal(hints('rate({a="1"} | unwrap v [1m])').sample, 'unwrap');
    assert.equal(hints('bytes_rate({a="1"}[1m])').sample, 'bytes');
  });

  it('tell when rows need not be looked at', () => {
    assert.equal(hints('rate({a="1"}[1m])').bare, true);
    assert.equal(hints('rate({a="1"} |= "x" [1m])').bare, false);
    assert.equal(hints('sum(rate({a="1"}[1m]))').single, true);
    assert.equal(hints('sum by (a) (rate({a="1"}[1m]))').single, false);
  });
});
