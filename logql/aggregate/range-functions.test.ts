import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { counterRate, quantile } from './range-functions.ts';

describe('quantile', () => {
  it('is what the sorted samples say', () => {
    const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double(), fc.constant(Number.NaN));
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 200, size: 'max' }),
        fc.integer({ min: 0, max: 100 }),
        (values, percent) => {
          const sorted = values.toSorted((a, b) => (Number.isNaN(a) ? -1 : Number.isNaN(b) ? 1 : a - b));
          const rank = (percent / 100) * (values.length - 1);
          const lower = Math.floor(rank);
          const low = sorted[lower]!;
          const high = sorted[Math.min(lower + 1, sorted.length - 1)]!;
          const expected = low * (1 - (rank - lower)) + high * (rank - lower);
          const actual = quantile(percent / 100, Float64Array.from(values));
          assert.ok(Object.is(actual, expected) || actual === expected, `${actual} instead of ${expected}`);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is infinite outside 0 to 1', () => {
    assert.equal(quantile(1.1, new Float64Array([1])), Infinity);
    assert.equal(quantile(-0.1, new Float64Array([1])), -Infinity);
  });
});

describe('counterRate', () => {
  const seconds = (...at: number[]) => Float64Array.from(at, (s) => s * 1e9);

  it('adds back what a reset took away', () => {
    const rate = counterRate(new Float64Array([1, 5, 3, 10]), seconds(0, 10, 20, 30), 0, 4, 60);
    assert.ok(Math.abs(rate - 0.2333338) < 1e-9, String(rate));
  });

  it('does not extrapolate below zero', () => {
    const withZero = counterRate(new Float64Array([0, 6]), seconds(0, 30), 0, 2, 60);
    assert.equal(withZero, 0.1);
  });

  it('is 0 of a single sample', () => {
    assert.equal(counterRate(new Float64Array([7]), seconds(0), 0, 1, 60), 0);
  });
});
