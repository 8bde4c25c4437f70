import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Labels } from '../labels.ts';
import type { LogPlan } from '../plan/index.ts';
import type { GroupLabels } from '../stages/types.ts';
import { QueryTooLargeError } from './errors.ts';
import { LogCollector } from './log-collector.ts';
import { groupStreams, LogMerger } from './log-merger.ts';

const ORIGIN = 1_795_168_800_000_000_000n;

function planOf(changes: Partial<LogPlan> = {}): LogPlan {
  return {
    kind: 'log',
    matchers: [],
    stages: [],
    startNs: ORIGIN,
    endNs: ORIGIN + 1000n,
    direction: 'forward',
    limit: 100,
    intervalNs: 0n,
    periodNs: 0n,
    ...changes,
  };
}

function group(stream: Labels, parsed: Labels = []): GroupLabels {
  return { merged: [...stream, ...parsed], stream, structuredMetadata: [], parsed, error: '' };
}

interface Entry {
  readonly at: number;
  readonly stream: number;
}

/** Collects entries as threads would: a block a stream and thread, streams ranked by number. */
function answer(plan: LogPlan, threads: readonly (readonly Entry[])[], passOn: boolean): string[] {
  const merger = new LogMerger(plan);
  threads.forEach((entries, thread) => {
    const collector = new LogCollector(plan, passOn ? merger.beyondNs : null);
    const groups = [0, 1, 2].map((stream) => group([['s', String(stream)]]));
    for (const stream of groups.keys()) {
      collector.openBlock(ORIGIN - 5n, thread, stream);
      entries.forEach((entry, row) => {
        if (entry.stream !== stream) return;
        collector.add(entry.at + 5, row, stream, `${entry.at} of ${stream} in ${thread}/${row}`);
      });
    }
    merger.add(collector.partial(groups));
  });
  return [...merger.finish().lines];
}

/** The same from the language's description: everything sorted, then cut. */
function expected(plan: LogPlan, threads: readonly (readonly Entry[])[]): string[] {
  const sign = plan.direction === 'backward' ? -1 : 1;
  const sorted = threads
    .flatMap((entries, thread) => entries.map((entry, row) => ({ ...entry, thread, row })))
    .filter(({ at }) => at >= 0 && BigInt(at) < plan.endNs - plan.startNs)
    .sort((a, b) => sign * (a.at - b.at) || a.stream - b.stream || sign * (a.thread - b.thread || a.row - b.row));
  const kept: typeof sorted = [];
  const periods = Map.groupBy(sorted, ({ at }) => (plan.periodNs > 0n ? (ORIGIN + BigInt(at)) / plan.periodNs : 0n));
  for (const period of periods.values()) {
    let last: number | null = null;
    for (const entry of period.slice(0, plan.limit)) {
      if (last !== null && sign * (entry.at - last) < Number(plan.intervalNs)) continue;
      last = entry.at;
      kept.push(entry);
    }
  }
  return kept.slice(0, plan.limit).map(({ at, stream, thread, row }) => `${at} of ${stream} in ${thread}/${row}`);
}

describe('log entries of several threads', () => {
  it('are the first of all in the direction, by limit and interval, however they are spread', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.array(fc.record({ at: fc.integer({ min: -5, max: 1010 }), stream: fc.integer({ min: 0, max: 2 }) }), {
            maxLength: 120,
          }),
          { maxLength: 4 },
        ),
        fc.constantFrom<LogPlan['direction']>('forward', 'backward'),
        fc.integer({ min: 1, max: 20 }),
        fc.constantFrom(0n, 0n, 1n, 30n),
        fc.constantFrom(0n, 100n),
        fc.boolean(),
        (threads, direction, limit, intervalNs, periodNs, passOn) => {
          const ascending = threads.map((entries) => entries.toSorted((a, b) => a.at - b.at));
          const plan = planOf({ direction, limit, intervalNs, periodNs: intervalNs > 0n ? periodNs : 0n });
          assert.deepEqual(answer(plan, ascending, passOn), expected(plan, ascending));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('are not wanted beyond what is known to fill the answer', () => {
    const plan = planOf({ limit: 2 });
    const merger = new LogMerger(plan);
    assert.equal(merger.beyondNs, null);
    const collector = new LogCollector(plan);
    collector.openBlock(ORIGIN);
    for (const at of [5, 3, 9]) collector.add(at, at, 0, String(at));
    merger.add(collector.partial([group([])]));
    assert.equal(merger.beyondNs, ORIGIN + 5n);
    const next = new LogCollector(plan, merger.beyondNs);
    next.openBlock(ORIGIN + 2n);
    assert.deepEqual([next.wants(-3), next.wants(3), next.wants(4)], [false, true, false]);
    assert.deepEqual([next.lowestOffset, next.highestOffset], [-2, 3]);
  });

  it('of streams that several tenants label alike are in order of tenant, whichever comes first', () => {
    const plan = planOf({ limit: 3 });
    const partialOf = (tenant: string) => {
      const collector = new LogCollector(plan);
      collector.openBlock(ORIGIN, 0, 7);
      for (const row of [0, 1]) collector.add(5, row, 0, `${tenant} ${row}`);
      return { ...collector.partial([group([['__tenant_id__', tenant]])]), tenant };
    };
    for (const tenants of [
      ['a', 'b'],
      ['b', 'a'],
    ]) {
      const merger = new LogMerger(plan);
      for (const tenant of tenants) merger.add(partialOf(tenant));
      assert.deepEqual(merger.finish().lines, ['a 0', 'a 1', 'b 0']);
    }
  });

  it('are counted while an interval keeps the limit from bounding them', () => {
    const collector = new LogCollector(planOf({ limit: 1, intervalNs: 1n, periodNs: 1n }), null, 100);
    collector.openBlock(ORIGIN);
    assert.throws(() => {
      for (let at = 0; at < 1000; at++) collector.add(at, at, 0, '');
    }, QueryTooLargeError);
  });
});

describe('groupStreams', () => {
  const groups = [
    group([['app', 'b']], [['level', 'info']]),
    group([['app', 'b']], [['level', 'error']]),
    group([['app', 'a']]),
    group([['app', 'unused']]),
  ];
  const result = {
    groups,
    timestampsNs: new BigInt64Array(4),
    groupIndexes: new Uint32Array([0, 1, 2, 0]),
    lines: ['0', '1', '2', '3'],
  };

  it('tells streams apart by all labels, in order of their text', () => {
    assert.deepEqual(
      groupStreams(result, false).map(({ labels, entries }) => [labels.flat().join(), entries]),
      [
        ['app,a', [2]],
        ['app,b,level,error', [1]],
        ['app,b,level,info', [0, 3]],
      ],
    );
  });

  it('tells them apart by their own labels when labels are categorized', () => {
    assert.deepEqual(
      groupStreams(result, true).map(({ labels, entries }) => [labels.flat().join(), entries]),
      [
        ['app,a', [2]],
        ['app,b', [0, 1, 3]],
      ],
    );
  });
});
