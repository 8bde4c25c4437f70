import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MetricPlan, planQuery } from '../../logql/plan/index.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { OpenEnds } from './open-ends.ts';

const MINUTE_NS = 60_000_000_000n;
const at = (minutes: bigint) => minutes * MINUTE_NS;

function endsOf(range: string, stepMinutes: bigint): OpenEnds | null {
  const plan = planQuery(parseQuery(`count_over_time({a="b"}[${range}])`), {
    startNs: at(600n),
    endNs: at(720n),
    stepNs: at(stepMinutes),
    intervalNs: 0n,
    limit: 100,
    direction: 'forward',
    instant: false,
    rangeSplitNs: at(60n),
  }) as MetricPlan;
  return OpenEnds.of(plan.scans[0]!);
}

test('the last evaluation time of each part is open', () => {
  const ends = endsOf('20m', 20n)!;
  const open = [600n, 620n, 640n, 660n, 680n, 700n, 720n, 740n].filter((minutes) => ends.has(at(minutes)));
  assert.deepEqual(open, [640n, 700n, 720n]);
  assert.equal(ends.has(at(640n) + 1n), false);
});

test('a part of one evaluation time is open there', () => {
  const ends = endsOf('1h', 60n)!;
  assert.deepEqual(
    [600n, 660n, 720n].map((minutes) => ends.has(at(minutes))),
    [true, true, true],
  );
});

test('overlapping windows keep their rows', () => assert.equal(endsOf('40m', 20n), null));
