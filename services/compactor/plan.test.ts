import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type PlannedSegment, planMerges } from './plan.ts';

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 2, 1);
const NOW_MS = START_MS + DAY_MS / 2;

function segment(id: number, sizeBytes: number, own: { day?: number; ageMs?: number } = {}): PlannedSegment {
  const { day = 0, ageMs = 3_600_000 - id } = own;
  const minNs = BigInt(START_MS + day * DAY_MS + 1) * 1_000_000n;
  return {
    key: `segment ${id}`,
    id: (NOW_MS - ageMs).toString(16).padStart(12, '0') + String(id).padStart(16, '0'),
    minNs,
    maxNs: minNs + 5n,
    sizeBytes,
  };
}

const plan = (segments: PlannedSegment[], options: Partial<Parameters<typeof planMerges>[1]> = {}) =>
  planMerges(segments, { nowMs: NOW_MS, maxBytes: 100, settleMs: 3_600_000, isBusy: () => false, ...options }).map(
    (run) => run.map(({ key }) => Number(key.slice(8))),
  );

describe('planMerges', () => {
  it('waits for four segments in a day that still grows, for two in one that is over', () => {
    const three = [1, 2, 3].map((id) => segment(id, 10));
    assert.deepEqual(plan(three), []);
    assert.deepEqual(plan([...three, segment(4, 10)]), [[1, 2, 3, 4]]);
    assert.deepEqual(plan(three, { nowMs: NOW_MS + DAY_MS }), [[1, 2, 3]]);
  });

  it('keeps days apart', () => {
    const segments = [1, 2, 3, 4, 5, 6, 7, 8].map((id) => segment(id, 10, { day: id % 2 === 0 ? 0 : -1 }));
    assert.deepEqual(plan(segments), [
      [1, 3, 5, 7],
      [2, 4, 6, 8],
    ]);
  });

  it('does not rewrite a large segment for the sake of small ones', () => {
    assert.deepEqual(plan([segment(1, 60), segment(2, 5), segment(3, 5), segment(4, 5), segment(5, 5)]), [
      [2, 3, 4, 5],
    ]);
    assert.deepEqual(plan([segment(1, 20), segment(2, 5), segment(3, 5), segment(4, 5), segment(5, 5)]), [
      [1, 2, 3, 4, 5],
    ]);
  });

  it('leaves what is busy or fresh alone and merges nothing across it', () => {
    const segments = [1, 2, 3, 4, 5, 6].map((id) => segment(id, 10));
    assert.deepEqual(plan(segments, { isBusy: (key) => key === 'segment 3' }), []);
    assert.deepEqual(plan([...segments.slice(0, 4), segment(5, 10, { ageMs: 1000 })]), [[1, 2, 3, 4]]);
  });

  it('makes runs of neighbours that fit, whatever the sizes, until nothing is left to do', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 60 }), (sizes) => {
        let segments = sizes.map((size, i) => segment(i, size));
        let next = sizes.length;
        for (let round = 0; ; round++) {
          assert.ok(round < 20, 'comes to an end');
          const runs = planMerges(segments, { nowMs: NOW_MS, maxBytes: 100, settleMs: 0, isBusy: () => false });
          if (runs.length === 0) break;
          for (const run of runs) {
            const bytes = run.reduce((sum, one) => sum + one.sizeBytes, 0);
            assert.ok(bytes <= 100 && run.length >= 4);
            const first = segments.indexOf(run[0]!);
            assert.deepEqual(segments.slice(first, first + run.length), run);
            const last = run.at(-1)!;
            segments = segments.toSpliced(first, run.length, { ...last, key: `segment ${next++}`, sizeBytes: bytes });
          }
        }
      }),
    );
  });
});
