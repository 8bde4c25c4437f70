import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogPlan, type MetricPlan, planQuery } from '../../logql/plan/index.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { FirstOfKind } from './first-of-kind.ts';
import type { ScanUnit } from './units.ts';

const params = {
  startNs: 0n,
  endNs: 10n,
  stepNs: 1n,
  intervalNs: 0n,
  limit: 10,
  direction: 'backward',
  instant: false,
};
const plan = (query: string) => planQuery(parseQuery(query), params as Parameters<typeof planQuery>[1]);
const unit = (lineBytes: number) => ({ lineBytes }) as ScanUnit;

test('a query is the first of its kind once, whatever it looks for', () => {
  const firsts = new FirstOfKind();
  const isFirst = (query: string) => firsts.ofLog(plan(query) as LogPlan, unit(1000));
  assert.equal(isFirst('{a="b"} |= "x" | json'), true);
  assert.equal(isFirst('{a="c"} |= "y" | json'), false);
  assert.equal(isFirst('{a="c"} != "y" | json'), true);
  assert.equal(isFirst('{a="c"} | json | b="c"'), true);
  assert.equal(isFirst('{a="c"} | json | b > 5'), true);
});

test('metric queries are told apart by what they make of the rows', () => {
  const firsts = new FirstOfKind();
  const isFirst = (query: string) => firsts.ofMetric((plan(query) as MetricPlan).scans[0]!, unit(1000));
  assert.equal(isFirst('sum by (x) (rate({a="b"} | json [5m]))'), true);
  assert.equal(isFirst('sum by (y) (rate({a="b"} | json [1m]))'), false);
  assert.equal(isFirst('sum_over_time({a="b"} | json | unwrap x [5m])'), true);
  assert.equal(isFirst('sum_over_time({a="b"} | json | unwrap duration(x) [5m])'), true);
});

test('a large unit is not scanned twice', () => {
  const firsts = new FirstOfKind();
  const log = plan('{a="b"}') as LogPlan;
  assert.equal(firsts.ofLog(log, unit(100 << 20)), false);
  assert.equal(firsts.ofLog(log, unit(100)), true);
});
