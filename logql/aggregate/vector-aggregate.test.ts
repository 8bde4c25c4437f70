import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareLabels } from '../labels.ts';
import { BestK } from './best-k.ts';
import { newSeries, type Series } from './matrix.ts';
import { aggregateVector } from './vector-aggregate.ts';

const STEPS = 2;
const EVERYTHING = { without: false, labels: [] };

const value = fc.option(fc.constantFrom(1, 2, 3, -0, Number.NaN, Number.POSITIVE_INFINITY, 7.5, 8.25), { freq: 5 });
const input = fc
  .array(fc.tuple(value, value), { minLength: 1, maxLength: 12 })
  .chain((rows) => fc.tuple(fc.constant(rows), fc.shuffledSubarray([...rows.keys()], { minLength: rows.length })))
  .map(([rows, names]) =>
    rows.map((values, i): Series => {
      const series = newSeries([['name', `s${String(names[i]).padStart(2, '0')}`]], STEPS);
      values.forEach((v, step) => {
        if (v === null) return;
        series.values[step] = v;
        series.present[step] = 1;
      });
      return series;
    }),
  );

const rowsOf = (series: readonly Series[]) =>
  series.map(({ labels, values, present }) => [
    labels,
    [...values].map((v, step) => (present[step] === 1 ? v : 'none')),
  ]);

describe('topk and bottomk', () => {
  it('keep the series that offering all in order of labels to one heap keeps', () => {
    fc.assert(
      fc.property(input, fc.nat({ max: 6 }), fc.constantFrom('topk' as const, 'bottomk' as const), (series, k, op) => {
        const sorted = [...series].sort((a, b) => compareLabels(a.labels, b.labels));
        const expected = sorted.map(({ labels, values }) => ({ labels, values, present: new Uint8Array(STEPS) }));
        for (let step = 0; step < STEPS; step++) {
          const best = new BestK(k, op === 'topk');
          sorted.forEach((one, i) => {
            if (one.present[step] === 1) best.add(i, one.values[step]!);
          });
          for (const item of best.items) expected[item]!.present[step] = 1;
        }
        const timesMs = new Float64Array(STEPS);
        const found = aggregateVector(op, k, EVERYTHING, { timesMs, series });
        assert.deepEqual(rowsOf(found.series), rowsOf(expected.filter(({ present }) => present.includes(1))));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('topk and bottomk of an instant vector', () => {
  it('keep the same, also where most samples have the worst value', () => {
    const instant = fc.uniqueArray(fc.tuple(fc.string({ maxLength: 2 }), fc.constantFrom(1, 1, 1, 2, 3, Number.NaN)), {
      selector: ([name]) => name,
    });
    fc.assert(
      fc.property(
        instant,
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom('topk' as const, 'bottomk' as const),
        (samples, k, op) => {
          const series = samples.map(([value, sample]) => ({
            labels: [['l', value]] as const,
            values: Float64Array.of(sample),
            present: Uint8Array.of(1),
          }));
          const sorted = [...series].sort((a, b) => compareLabels(a.labels, b.labels));
          const best = new BestK(k, op === 'topk');
          sorted.forEach((one, i) => {
            best.add(i, one.values[0]!);
          });
          const expected = best.items.map((item) => sorted[item]!.labels[0]![1]).sort();
          const found = aggregateVector(op, k, EVERYTHING, { timesMs: Float64Array.of(0), series });
          assert.deepEqual(found.series.map(({ labels }) => labels[0]![1]).sort(), expected);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('topk and bottomk of very many values', () => {
  it('keep what they keep of the same as series', () => {
    const values = fc.oneof(
      fc.array(fc.constantFrom(1, 1, 1, 1, 1, 2, 2, 3, 3.5, 4), { maxLength: 700, size: 'max' }),
      fc.array(fc.integer({ min: -100, max: 200 }), { maxLength: 700, size: 'max' }),
    );
    fc.assert(
      fc.property(
        values,
        fc.integer({ min: 0, max: 12 }),
        fc.constantFrom('topk' as const, 'bottomk' as const),
        (values, k, op) => {
          const series = values.map((value, i) => ({
            labels: [['l', String((i * 7919) % 1009)]] as const,
            values: Float64Array.of(value),
            present: Uint8Array.of(1),
          }));
          const vector = {
            values: Float64Array.from(values),
            seriesAt: (i: number) => series[i]!,
            compare: (a: number, b: number) => compareLabels(series[a]!.labels, series[b]!.labels),
            names: new Set(['l']),
          };
          const timesMs = Float64Array.of(0);
          const found = aggregateVector(op, k, EVERYTHING, { timesMs, series, vector });
          const best = new BestK(k, op === 'topk');
          const sorted = [...series].sort((a, b) => compareLabels(a.labels, b.labels));
          sorted.forEach((one, i) => {
            best.add(i, one.values[0]!);
          });
          const expected = best.items.map((item) => sorted[item]!.labels[0]![1]).sort();
          assert.deepEqual(found.series.map(({ labels }) => labels[0]![1]).sort(), expected);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('aggregations of distinct series that have the grouping already', () => {
  it('give what they give for series in any other form', () => {
    fc.assert(
      fc.property(input, fc.constantFrom('sum', 'max', 'min', 'avg', 'count', 'stddev'), (series, op) => {
        const matrix = { timesMs: new Float64Array(STEPS), series };
        const grouping = { without: false, labels: ['name', 'other'] };
        const plain = aggregateVector(op as 'sum', null, grouping, matrix);
        const distinct = aggregateVector(op as 'sum', null, grouping, matrix, true);
        assert.deepEqual(rowsOf(distinct.series), rowsOf(plain.series));
      }),
    );
  });
});
