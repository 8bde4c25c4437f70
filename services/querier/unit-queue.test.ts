import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ScanUnit } from '../../storage/scan/units.ts';
import { UnitQueue } from './unit-queue.ts';

const unit = fc
  .record({ from: fc.nat({ max: 9 }), length: fc.nat({ max: 9 }), rank: fc.nat({ max: 5 }) })
  .map(({ from, length, rank }): ScanUnit => {
    const minNs = BigInt(from);
    const maxNs = BigInt(from + length);
    return { labels: [], rank, tenant: null, minNs, maxNs, rowCount: 1, lineBytes: 1, blocks: [] };
  });

describe('a queue of units', () => {
  it('gives the one nearest to the start of the answer, then the next', () => {
    fc.assert(
      fc.property(fc.array(unit), fc.constantFrom('forward' as const, 'backward' as const), (units, direction) => {
        const queue = new UnitQueue(units, direction);
        const found: ScanUnit[] = [];
        for (let first = queue.first; first !== undefined; first = queue.first) {
          found.push(first);
          queue.removeFirst();
        }
        const keyOf = ({ minNs, maxNs, rank }: ScanUnit) => [
          direction === 'backward' ? -Number(maxNs) : Number(minNs),
          rank,
        ];
        const wanted = units.map(keyOf).sort(([a, x], [b, y]) => a! - b! || x! - y!);
        assert.deepEqual(found.map(keyOf), wanted);
        assert.deepEqual(new Set(found), new Set(units));
      }),
    );
  });

  it('is empty when it was cleared', () => {
    const [one] = fc.sample(unit, 1);
    const queue = new UnitQueue([one!, one!], 'backward');
    queue.clear();
    assert.equal(queue.first, undefined);
    queue.removeFirst();
  });
});
