import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { splitSteps, splitTime, widthFor } from './split.ts';

const pairs = (parts: Iterable<{ startNs: bigint; endNs: bigint }>) =>
  [...parts].map(({ startNs, endNs }) => [Number(startNs), Number(endNs)]);
const whole = (startNs: bigint, endNs: bigint) => ({ startNs, endNs });

test('steps are cut where an interval begins, and steps stay what they are', () => {
  assert.deepEqual(pairs(splitSteps(whole(5n, 35n), 5n, 10n)), [
    [5, 5],
    [10, 15],
    [20, 25],
    [30, 35],
  ]);
  assert.deepEqual(pairs(splitSteps(whole(7n, 70n), 7n, 10n)), [
    [7, 7],
    [14, 14],
    [21, 28],
    [35, 35],
    [42, 49],
    [56, 56],
    [63, 63],
    [70, 70],
  ]);
  assert.deepEqual(pairs(splitSteps(whole(3n, 3n), 1n, 10n)), [[3, 3]]);
});

test('runs of too few steps are joined to those beside them', () => {
  assert.deepEqual(pairs(splitSteps(whole(5n, 40n), 5n, 10n, 2)), [
    [5, 15],
    [20, 25],
    [30, 40],
  ]);
  assert.deepEqual(pairs(splitSteps(whole(0n, 40n), 10n, 10n, 2)), [
    [0, 10],
    [20, 40],
  ]);
});

test('time is cut in the order of the direction, ever wider', () => {
  assert.deepEqual(pairs(splitTime(whole(5n, 33n), 'forward', 10n, 1n)), [
    [5, 10],
    [10, 20],
    [20, 30],
    [30, 33],
  ]);
  assert.deepEqual(pairs(splitTime(whole(5n, 33n), 'backward', 10n, 1n)), [
    [30, 33],
    [20, 30],
    [10, 20],
    [5, 10],
  ]);
  assert.deepEqual(pairs(splitTime(whole(15n, 200n), 'forward', 10n, 4n)), [
    [15, 20],
    [20, 40],
    [40, 80],
    [80, 120],
    [120, 160],
    [160, 200],
  ]);
  assert.deepEqual(pairs(splitTime(whole(15n, 200n), 'backward', 10n, 4n)), [
    [190, 200],
    [170, 190],
    [130, 170],
    [90, 130],
    [50, 90],
    [15, 50],
  ]);
  assert.deepEqual(pairs(splitTime(whole(5n, 5n), 'forward', 10n, 1n)), []);
});

test('a cut is never made at 1970, where two of Loki’s periods are one', () => {
  assert.deepEqual(pairs(splitSteps(whole(-15n, 15n), 5n, 10n)), [
    [-15, -15],
    [-10, 5],
    [10, 15],
  ]);
  assert.deepEqual(pairs(splitTime(whole(-15n, 15n), 'forward', 10n, 1n)), [
    [-15, -10],
    [-10, 10],
    [10, 15],
  ]);
  assert.deepEqual(pairs(splitTime(whole(-15n, 15n), 'backward', 10n, 1n)), [
    [10, 15],
    [-10, 10],
    [-15, -10],
  ]);
});

test('whatever is cut, nothing is lost or doubled, and cuts lie on multiples of the width', () => {
  const time = fc.bigInt({ min: -1000n, max: 1000n });
  const width = fc.bigInt({ min: 1n, max: 300n });
  fc.assert(
    fc.property(time, time, width, fc.boolean(), fc.constantFrom(1n, 2n, 8n), (a, b, widthNs, forward, factor) => {
      const range = a < b ? whole(a, b) : whole(b, a);
      const parts = [...splitTime(range, forward ? 'forward' : 'backward', widthNs, factor)];
      if (!forward) parts.reverse();
      let at = range.startNs;
      for (const { startNs, endNs } of parts) {
        assert.equal(startNs, at);
        assert.ok(endNs > startNs);
        assert.ok(endNs === range.endNs || (endNs % widthNs === 0n && endNs !== 0n));
        at = endNs;
      }
      assert.equal(at, range.endNs);
    }),
  );
  fc.assert(
    fc.property(
      time,
      fc.nat({ max: 50 }),
      width,
      width,
      fc.constantFrom(1, 2),
      (startNs, steps, stepNs, widthNs, least) => {
        const range = whole(startNs, startNs + BigInt(steps) * stepNs);
        let next = startNs;
        const parts = splitSteps(range, stepNs, widthNs, least);
        for (const part of parts) {
          assert.equal(part.startNs, next);
          assert.equal((part.endNs - part.startNs) % stepNs, 0n);
          assert.ok(parts.length === 1 || (part.endNs - part.startNs) / stepNs + 1n >= BigInt(least));
          next = part.endNs + stepNs;
        }
        assert.equal(next, range.endNs + stepNs);
      },
    ),
  );
});

test('the width is the interval, or as many as a range needs and as keep the parts few', () => {
  assert.equal(widthFor(whole(0n, 100n), 10n, 0n, 100), 10n);
  assert.equal(widthFor(whole(0n, 100n), 10n, 25n, 100), 40n);
  assert.equal(widthFor(whole(0n, 100n), 10n, 0n, 5), 20n);
});
