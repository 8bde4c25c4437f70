import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { evaluateRange, type ReferenceSample } from '../../test/reference/range-reference.ts';
import { compareLabels, type Labels } from '../labels.ts';
import type { MetricPlan, RangeScan } from '../plan/index.ts';
import type { GroupLabels } from '../stages/types.ts';
import type { RangeOp } from '../syntax/ast.ts';
import { ValueTable } from '../value-table.ts';
import { PipelineError, QueryTooLargeError } from './errors.ts';
import { evaluatePartials } from './evaluate.ts';
import type { Matrix } from './matrix.ts';
import { type AccumulatorPartial, RangeAccumulator } from './range-accumulator.ts';
import { mergePartials } from './range-merger.ts';

const ORIGIN = 1_795_168_800_000_000_000n;
const UNWRAPPED: readonly RangeOp[] = [
  'rate',
  'sum_over_time',
  'avg_over_time',
  'min_over_time',
  'max_over_time',
  'first_over_time',
  'last_over_time',
  'stddev_over_time',
  'stdvar_over_time',
  'quantile_over_time',
  'rate_counter',
];

function scanOf(op: RangeOp, options: Partial<RangeScan> & { unwrapped?: boolean } = {}): RangeScan {
  const times = options.times ?? { firstNs: ORIGIN, stepNs: 1n, count: 1 };
  const rangeNs = options.rangeNs ?? 100n;
  const offsetNs = options.offsetNs ?? 0n;
  return {
    matchers: [],
    stages: [],
    unwrap: options.unwrapped ? { label: 'v', conversion: null, postFilters: [] } : null,
    op,
    parameter: options.parameter ?? null,
    rangeNs,
    offsetNs,
    grouping: { kind: 'all' },
    times,
    readAfterNs: times.firstNs - offsetNs - rangeNs,
    readUntilNs: times.firstNs + BigInt(times.count - 1) * times.stepNs - offsetNs,
  };
}

function group(labels: Labels, error = ''): GroupLabels {
  return { merged: labels, stream: [], structuredMetadata: [], parsed: [], error };
}

/** Gives the samples of one block (ascending) to a fresh accumulator. */
function accumulate(
  scan: RangeScan,
  samples: readonly ReferenceSample[],
  baseNs: bigint,
  sequence = 0,
): AccumulatorPartial {
  const accumulator = new RangeAccumulator(scan);
  const groups: GroupLabels[] = [];
  const keys = new Map<string, number>();
  accumulator.openBlock(baseNs, sequence);
  for (const sample of samples) {
    const key = JSON.stringify(sample.labels);
    if (!keys.has(key)) keys.set(key, groups.push(group(sample.labels)) - 1);
    accumulator.add(keys.get(key)!, Number(sample.timestampNs - baseNs), sample.value);
  }
  return accumulator.partial(groups);
}

function close(actual: number, expected: number): boolean {
  if (Object.is(actual, expected) || actual === expected) return true;
  return Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(actual), Math.abs(expected));
}

function assertAgrees(scan: RangeScan, matrix: Matrix, samples: readonly ReferenceSample[]): void {
  const expected = evaluateRange(scan, samples);
  const actual = [...matrix.series].sort((a, b) => compareLabels(a.labels, b.labels));
  assert.deepEqual(
    actual.map((series) => series.labels),
    expected.map((series) => series.labels),
  );
  actual.forEach((series, s) => {
    expected[s]!.points.forEach((point, i) => {
      assert.equal(series.present[i] === 1, point !== null, `presence of point ${i}`);
      if (point === null) return;
      assert.ok(close(series.values[i]!, point), `point ${i}: ${series.values[i]} instead of ${point}`);
    });
  });
}

const sampleValue = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -50, max: 50 }) },
  { weight: 2, arbitrary: fc.double({ min: -1e6, max: 1e6, noNaN: true }) },
);
const extremeValue = fc.oneof(sampleValue, fc.constantFrom(Number.NaN, Infinity, -Infinity, 1.7e308, -1.7e308));

function timesAndRange(unit: number) {
  return fc.record({
    first: fc.integer({ min: -300, max: 300 }),
    step: fc.integer({ min: 1, max: 120 }),
    count: fc.integer({ min: 1, max: 12 }),
    range: fc.integer({ min: 0, max: 400 }),
    offset: fc.integer({ min: -60, max: 60 }),
    unit: fc.constant(unit),
  });
}

describe('range accumulation', () => {
  // A unit of a day makes ranges of a year: offsets from the first window are then beyond 2^53 ns.
  for (const unit of [1, 1_000_003, 86_400_000_000_000]) {
    it(`agrees with the plain evaluator however rows are cut into blocks (times in ${unit} ns)`, () => {
      fc.assert(
        fc.property(
          timesAndRange(unit),
          fc.constantFrom(...UNWRAPPED),
          fc.uniqueArray(
            fc.record({ at: fc.integer({ min: -500, max: 900 }), value: sampleValue, host: fc.constantFrom('a', 'b') }),
            { maxLength: 60, selector: (sample) => sample.at },
          ),
          fc.integer({ min: 1, max: 5 }),
          fc.integer({ min: 0, max: 100 }),
          (shape, op, rows, blocks, q) => {
            const ns = (n: number) => BigInt(n) * BigInt(unit);
            const scan = scanOf(op, {
              times: { firstNs: ORIGIN + ns(shape.first), stepNs: ns(shape.step), count: shape.count },
              rangeNs: ns(shape.range),
              offsetNs: ns(shape.offset),
              parameter: op === 'quantile_over_time' ? q / 100 : null,
              unwrapped: true,
            });
            const samples = rows
              .map(
                ({ at, value, host }): ReferenceSample => ({
                  labels: [['host', host]],
                  timestampNs: ORIGIN + ns(at),
                  value,
                }),
              )
              .sort((a, b) => Number(a.timestampNs - b.timestampNs));
            const partials = Array.from({ length: blocks }, (_, b) => {
              const part = samples.filter((_, i) => i % blocks === b);
              return accumulate(scan, part, part[0]?.timestampNs ?? ORIGIN, b);
            });
            assertAgrees(scan, mergePartials(scan, partials), samples);
          },
        ),
        { numRuns: 300 },
      );
    });
  }

  it('treats NaN and infinities in one block as the plain evaluator does', () => {
    const ops = UNWRAPPED.filter((op) => !['rate_counter', 'stddev_over_time', 'stdvar_over_time'].includes(op));
    fc.assert(
      fc.property(fc.constantFrom(...ops), fc.array(extremeValue, { minLength: 1, maxLength: 8 }), (op, values) => {
        const scan = scanOf(op, { unwrapped: true, parameter: 0.5 });
        const samples = values.map((value, i) => ({ labels: [], timestampNs: ORIGIN - 50n + BigInt(i), value }));
        assertAgrees(scan, mergePartials(scan, [accumulate(scan, samples, ORIGIN - 60n)]), samples);
      }),
    );
  });

  it('counts and measures whole blocks as it does row by row', () => {
    fc.assert(
      fc.property(
        timesAndRange(1),
        fc.array(fc.record({ at: fc.integer({ min: 0, max: 600 }), length: fc.integer({ min: 0, max: 9 }) }), {
          minLength: 1,
          maxLength: 80,
        }),
        fc.boolean(),
        fc.constantFrom<RangeOp>('count_over_time', 'bytes_over_time'),
        (shape, rows, selected, op) => {
          const scan = scanOf(op, {
            times: { firstNs: ORIGIN + BigInt(shape.first), stepNs: BigInt(shape.step), count: shape.count },
            rangeNs: BigInt(shape.range),
            offsetNs: BigInt(shape.offset),
          });
          rows.sort((a, b) => a.at - b.at);
          const offsets = Float64Array.from(rows, (row) => row.at);
          const lineStarts = new Uint32Array(rows.length + 1);
          rows.forEach((row, i) => {
            lineStarts[i + 1] = lineStarts[i]! + row.length;
          });
          const numbers = Uint32Array.from(rows.keys()).filter((i) => !selected || i % 3 !== 0);
          const accumulator = new RangeAccumulator(scan);
          accumulator.openBlock(ORIGIN);
          const chosen = selected ? numbers : null;
          if (op === 'count_over_time') accumulator.addCounts(0, offsets, chosen, numbers.length);
          else accumulator.addBytes(0, offsets, lineStarts, chosen, numbers.length);
          const samples = Array.from(numbers, (i) => ({
            labels: [] as Labels,
            timestampNs: ORIGIN + BigInt(rows[i]!.at),
            value: op === 'count_over_time' ? 1 : rows[i]!.length,
          }));
          assertAgrees(scan, mergePartials(scan, [accumulator.partial([group([])])]), samples);
        },
      ),
    );
  });

  it('leaves out the open end of a window and takes in the closed one', () => {
    const scan = scanOf('count_over_time');
    const accumulator = new RangeAccumulator(scan);
    accumulator.openBlock(ORIGIN - 101n);
    for (const offset of [0, 1, 2, 101, 102]) accumulator.add(0, offset, 1);
    const matrix = mergePartials(scan, [accumulator.partial([group([])])]);
    assert.equal(matrix.series[0]!.values[0], 2);
  });

  it('takes the first and last of equal times by block and arrival, whichever partial comes first', () => {
    const at = ORIGIN - 5n;
    const blocks = [
      [1, 2],
      [3, 4],
    ].map((values) => values.map((value) => ({ labels: [] as Labels, timestampNs: at, value })));
    for (const [op, expected] of [
      ['first_over_time', 1],
      ['last_over_time', 4],
    ] as const) {
      const scan = scanOf(op, { unwrapped: true });
      const partials = blocks.map((block, i) => accumulate(scan, block, at, i));
      for (const order of [partials, partials.toReversed()]) {
        assert.equal(mergePartials(scan, order).series[0]!.values[0], expected);
      }
    }
  });

  it('stamps points in milliseconds', () => {
    const scan = scanOf('count_over_time', {
      times: { firstNs: 1_500_999_999n, stepNs: 1_000_000_000n, count: 2 },
    });
    assert.deepEqual([...mergePartials(scan, []).timesMs], [1500, 2500]);
  });

  it('is 1 where a selector has nothing, with the labels that it fixes', () => {
    const scan: RangeScan = {
      ...scanOf('absent_over_time', { times: { firstNs: ORIGIN, stepNs: 100n, count: 3 } }),
      matchers: [
        { kind: 'matcher', name: 'app', op: '=', value: 'web' },
        { kind: 'matcher', name: 'env', op: '=~', value: 'p.*' },
        { kind: 'matcher', name: 'twice', op: '=', value: 'x' },
        { kind: 'matcher', name: 'twice', op: '!=', value: 'y' },
      ],
    };
    const accumulator = new RangeAccumulator(scan);
    accumulator.openBlock(ORIGIN);
    accumulator.add(0, 100, 1);
    const { series } = mergePartials(scan, [accumulator.partial([group([])])]);
    assert.deepEqual(
      series.map(({ labels, present }) => [labels, [...present]]),
      [[[['app', 'web']], [1, 0, 1]]],
    );
  });

  it('fails with the series of a sample that carries an error', () => {
    const labels: Labels = [
      ['__error__', 'JSONParserErr'],
      ['app', 'a"b'],
    ];
    const accumulator = new RangeAccumulator(scanOf('count_over_time'));
    accumulator.openBlock(ORIGIN);
    accumulator.add(0, 0, 1);
    assert.throws(
      () => accumulator.partial([group(labels, 'JSONParserErr')]),
      (error) =>
        error instanceof PipelineError &&
        error.message ===
          `pipeline error: 'JSONParserErr' for series: '{__error__="JSONParserErr", app="a\\"b"}'.\n` +
            'Use a label filter to intentionally skip this error. (e.g | __error__!="JSONParserErr").\n' +
            'To skip all potential errors you can match empty errors.(e.g __error__="")\n' +
            'The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__="" )\n',
    );
  });

  it('ignores errors of rows outside every window', () => {
    const accumulator = new RangeAccumulator(scanOf('count_over_time'));
    accumulator.openBlock(ORIGIN);
    accumulator.add(0, 1, 1);
    assert.equal(accumulator.partial([group([], 'LogfmtParserErr')]).groups.counts.length, 0);
  });

  it('stops at its memory bounds', () => {
    const bounds = { maxCells: 64, maxSamples: 64 };
    for (const op of ['count_over_time', 'quantile_over_time'] as const) {
      const accumulator = new RangeAccumulator(scanOf(op), bounds);
      accumulator.openBlock(ORIGIN);
      for (let i = 0; i < 64; i++) accumulator.add(i, 0, 1);
      assert.throws(() => accumulator.add(64, 0, 1), QueryTooLargeError);
    }
  });
});

describe('memory of very many groups', () => {
  it('shows nothing of the queries that had it before', () => {
    const scan = scanOf('sum_over_time', { unwrapped: true, grouping: { kind: 'by', labels: ['ip'] } });
    const plan: MetricPlan = {
      kind: 'metric',
      root: { kind: 'range', scan: 0 },
      scans: [scan],
      times: scan.times,
      instant: true,
      sorted: false,
    };
    const partialOf = (texts: readonly string[], value: number): AccumulatorPartial => {
      const values = new ValueTable();
      const accumulator = new RangeAccumulator(scan);
      accumulator.openBlock(scan.readUntilNs - 1n);
      for (const text of texts) accumulator.add(values.numberOf(text), 0, value);
      const at = (number: number): GroupLabels => group([['ip', texts[number]!]]);
      const partial = accumulator.partial({
        length: texts.length,
        at,
        byValue: { name: 'ip', values, groupAt: (number) => number },
      });
      values.release();
      return partial;
    };
    for (let round = 1; round <= 4; round++) {
      const first = Array.from({ length: 20_000 * round }, (_, i) => `a${i}`);
      const second = Array.from({ length: 30_000 }, (_, i) => `${i % 2 === 0 ? 'a' : 'b'}${i}-${round}`.slice(0, 7));
      const distinct = [...new Set(second)];
      const result = evaluatePartials(plan, [[partialOf(first, round), partialOf(distinct, 0.5)]], 0);
      assert.equal(result.kind, 'vector');
      if (result.kind !== 'vector') return;
      const expected = new Map(first.map((text) => [text, round]));
      for (const text of distinct) expected.set(text, (expected.get(text) ?? 0) + 0.5);
      const found = new Map(result.matrix.series.map(({ labels, values }) => [labels[0]![1], values[0]!]));
      assert.deepEqual(found, expected);
    }
  });
});
