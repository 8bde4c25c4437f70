import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQuery } from '../syntax/index.ts';
import { describePlan } from './describe.ts';
import type { PlanParams } from './plan.ts';
import { planQuery } from './plan-query.ts';

const PARAMS: PlanParams = {
  startNs: 1_795_168_800_000_000_000n,
  endNs: 1_795_172_400_000_000_000n,
  stepNs: 60_000_000_000n,
  intervalNs: 0n,
  limit: 100,
  direction: 'backward',
  instant: false,
};

function describe(query: string) {
  return JSON.parse(JSON.stringify(describePlan(planQuery(parseQuery(query), PARAMS))));
}

test('a log query reads all labels, and runs its line filters over whole blocks first', () => {
  assert.deepEqual(describe('{app="web"} | json | level="error" |= "timeout" | line_format "{{.msg}}" |= "x"'), {
    kind: 'log',
    scan: {
      selector: '{app="web"}',
      startNs: '1795168800000000000',
      endNs: '1795172400000000000',
      blockFilters: ['|= "timeout"'],
      stages: [
        { stage: '| json', reads: ['line'], writes: ['labels'] },
        { stage: '| level="error"', reads: ['labels'], writes: [] },
        { stage: '| line_format "{{.msg}}"', reads: ['line', 'labels'], writes: ['line'] },
        { stage: '|= "x"', reads: ['line'], writes: [] },
      ],
      omitted: [],
      readsLines: true,
      neededLabels: null,
      metadata: null,
    },
    direction: 'backward',
    limit: 100,
    interval: null,
  });
});

test('a metric query names the labels that it needs and leaves out stages that change nothing', () => {
  const { scans, evaluation, times } = describe(
    'topk(2, sum by (app) (rate({app="web"} | logfmt | ms > 5 | line_format "x" [5m] offset 1m))) / on (app) vector(2)',
  );
  assert.equal(evaluation, '(topk (2, sum by (app) (scan 0)) / on (app) vector(2))');
  assert.deepEqual(times, { firstNs: '1795168800000000000', step: '1m0s', count: 61 });
  const [scan] = scans;
  assert.deepEqual(
    [scan.operation, scan.range, scan.offset, scan.sample, scan.grouping, scan.countsBlocks],
    ['rate', '5m0s', '1m0s', 'one', 'by (app)', false],
  );
  assert.deepEqual([scan.neededLabels, scan.omitted], [['app', 'ms'], ['| line_format "x"']]);
});

test('a count that needs no label of a line reads no line, and parsers do not run', () => {
  const [scan] = describe('sum(count_over_time({app="web"} | json [1m]))').scans;
  assert.deepEqual([scan.readsLines, scan.stages, scan.omitted, scan.metadata], [false, [], ['| json'], []]);
  const [bare] = describe('sum(count_over_time({app="web"}[1m]))').scans;
  assert.equal(bare.countsBlocks, true);
});

test('a sample of a label shows its unwrap', () => {
  const [scan] = describe(
    'quantile_over_time(0.9, {app="web"} | unwrap bytes(size) | __error__="" [1m]) without (pod)',
  ).scans;
  assert.deepEqual(
    [scan.operation, scan.sample, scan.grouping],
    ['quantile_over_time 0.9', 'unwrap', 'without (pod, size)'],
  );
  assert.deepEqual(scan.stages.at(-1), { stage: '| unwrap bytes(size) | __error__=""', reads: ['labels'], writes: [] });
});
