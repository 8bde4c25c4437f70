import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { MetricPlan } from '../plan/index.ts';
import { SeriesLimitError } from './errors.ts';
import { metricResult } from './metric-result.ts';

const plan: MetricPlan = {
  kind: 'metric',
  root: { kind: 'literal', value: 0 },
  scans: [],
  times: { firstNs: 0n, stepNs: 1n, count: 1 },
  instant: true,
  sorted: false,
};
const timesMs = new Float64Array([0]);

function series(name: string, present = 1) {
  return { labels: [['n', name] as const], values: new Float64Array(1), present: new Uint8Array([present]) };
}

it('orders series by labels and leaves out those without a point', () => {
  const result = metricResult(plan, { timesMs, series: [series('b'), series('a'), series('0', 0)] }, timesMs, 0);
  assert.ok(result.kind === 'vector');
  assert.deepEqual(
    result.matrix.series.map(({ labels }) => labels[0]![1]),
    ['a', 'b'],
  );
});

it('allows as many series as the limit says and no more', () => {
  const value = { timesMs, series: [series('a'), series('b'), series('c', 0)] };
  assert.equal(metricResult(plan, value, timesMs, 2).kind, 'vector');
  assert.throws(
    () => metricResult(plan, value, timesMs, 1),
    (error) =>
      error instanceof SeriesLimitError &&
      error.message ===
        'maximum number of series (1) reached for a single query; consider reducing query cardinality by adding more ' +
          'specific stream selectors, reducing the time range, or aggregating results with functions like sum(), ' +
          'count() or topk()',
  );
});
