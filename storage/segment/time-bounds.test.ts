import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BlockTimes, TimeBounds } from './time-bounds.ts';

const HALF = 2n ** 32n;
const time = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -3n, max: 3n }).map((n) => n + HALF),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, -HALF, -1n, 0n, 1n, 2n ** 31n - 1n, 2n ** 31n, HALF - 1n),
);
const bound = fc.oneof(time, fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }));

describe('bounds of time', () => {
  it('overlap a block, and cover all, exactly where the numbers say so, also beyond 64 bits', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(time, time), { minLength: 1, maxLength: 8 }), bound, bound, (spans, a, b) => {
        const blocks = spans.map(([x, y]): [bigint, bigint] => (x < y ? [x, y] : [y, x]));
        const times = new BlockTimes(
          BigInt64Array.from(blocks, ([min]) => min),
          BigInt64Array.from(blocks, ([, max]) => max),
        );
        const bounds = new TimeBounds(a, b);
        blocks.forEach(([min, max], i) => {
          assert.equal(bounds.overlap(times, i), min <= b && max >= a, `${min} to ${max}, asked ${a} to ${b}`);
        });
        const within = blocks.every(([min, max]) => min >= a && max <= b);
        assert.equal(bounds.cover(times), within, `asked ${a} to ${b}`);
      }),
      { numRuns: 2000 },
    );
  });

  it('cover no blocks where there are none', () => {
    const none = new BlockTimes(new BigInt64Array(0), new BigInt64Array(0));
    assert.equal(new TimeBounds(0n, 1n).cover(none), false);
  });
});
