import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { FirstTimes } from './first-times.ts';

const block = fc.record({
  baseNs: fc.oneof(
    fc.bigInt({ min: -20n, max: 20n }),
    fc.bigInt({ min: -20n, max: 20n }).map((n) => n + 2n ** 60n),
  ),
  offsets: fc.array(fc.nat({ max: 30 }), { maxLength: 12 }).map((all) => all.sort((a, b) => a - b)),
  skipped: fc.nat({ max: 3 }),
});

describe('FirstTimes', () => {
  it('knows the time of the last of the first rows in either direction', () => {
    fc.assert(
      fc.property(
        fc.array(block, { maxLength: 6 }),
        fc.integer({ min: 1, max: 20 }),
        fc.constantFrom('forward' as const, 'backward' as const),
        (blocks, limit, direction) => {
          const first = new FirstTimes(limit, direction);
          const times: bigint[] = [];
          let baseNs: bigint | null = null;
          for (const { baseNs: base, offsets, skipped } of blocks) {
            first.add({ baseNs: base, offsetsNs: Float64Array.from(offsets) }, skipped, offsets.length);
            if (skipped >= offsets.length) continue;
            baseNs ??= base;
            const distance = base > baseNs ? base - baseNs : baseNs - base;
            if (distance < 2n ** 52n) times.push(...offsets.slice(skipped).map((offset) => base + BigInt(offset)));
          }
          times.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
          if (direction === 'backward') times.reverse();
          assert.equal(first.lastNs, times[limit - 1] ?? null);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
