import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isWorthwhile, type PlannedSegment, type PlanOptions, planMerges, settledWindows } from './plan.ts';

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
    footerBytes: 1,
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

const HOUR_MS = 3_600_000;
const DAY_NS = BigInt(DAY_MS) * 1_000_000n;

/** From and to in hours after the day's start; `family` are the digits that segments made together share. */
function span(
  from: number,
  to: number,
  own: Partial<Record<'family' | 'sizeBytes' | 'footerBytes' | 'arrivedMs', number>> = {},
) {
  const { family = Math.round(from * 1e6 + to), sizeBytes = 10, footerBytes = 1 } = own;
  const { arrivedMs = START_MS + to * HOUR_MS } = own;
  const at = (hours: number): bigint => BigInt(START_MS + Math.round(hours * HOUR_MS)) * 1_000_000n;
  const digits = (value: number): string => value.toString(16).padStart(12, '0');
  const id = `${digits(arrivedMs)}${digits(family)}0000`;
  return { key: `${from}-${to}-${family}`, id, minNs: at(from), maxNs: at(to), sizeBytes, footerBytes };
}

const options = (own: Partial<PlanOptions> = {}): PlanOptions => ({
  nowMs: START_MS + 100 * DAY_MS,
  maxBytes: 100,
  settleMs: 4 * HOUR_MS,
  isBusy: () => false,
  ...own,
});

const hoursOf = (ns: bigint): number => Number((ns - BigInt(START_MS) * 1_000_000n) / 1_000_000n) / HOUR_MS;

describe('settledWindows', () => {
  const windows = (segments: PlannedSegment[], own: Partial<PlanOptions> = {}) =>
    settledWindows(segments, options(own)).map(({ startNs, endNs, segments: some }) => [
      hoursOf(startNs),
      hoursOf(endNs),
      some.length,
    ]);

  it('waits until all ingesters have stored what they had', () => {
    const segments = [span(20, 22), span(21, 23.5)];
    assert.deepEqual(windows(segments, { nowMs: START_MS + 28 * HOUR_MS }), []);
    assert.deepEqual(windows(segments, { nowMs: START_MS + 28 * HOUR_MS + 1 }), [[0, 24, 2]]);
  });

  it('leaves alone what was made together, what is alone, and what is busy', () => {
    const made = { family: 1, arrivedMs: START_MS };
    assert.deepEqual(windows([span(1, 2, made), span(1, 3, made), span(25, 30)]), []);
    const two = [span(1, 2), span(1, 3)];
    assert.deepEqual(windows(two), [[0, 24, 2]]);
    assert.deepEqual(windows(two, { isBusy: (key) => key === two[1]!.key }), []);
  });

  it('looks at a large day in parts, some of which are over while it lasts', () => {
    const segments = Array.from({ length: 24 }, (_, hour) => span(hour, hour + 1.5, { sizeBytes: 100 }));
    const all = settledWindows(segments, options());
    assert.deepEqual(
      all.slice(0, 4).map(({ startNs, endNs }) => [hoursOf(startNs), hoursOf(endNs)]),
      [
        [0, 6],
        [6, 12],
        [12, 18],
        [18, 24],
      ],
    );
    assert.deepEqual(all[0]!.cutsNs.map(hoursOf), [0, 6, 12, 18, 24]);
    assert.equal(windows(segments, { nowMs: START_MS + 17 * HOUR_MS }).length, 2);
    const huge = segments.map((segment) => ({ ...segment, sizeBytes: 5000 }));
    const lengths = windows(huge).map(([start, end]) => end! - start!);
    assert.deepEqual([lengths.length, Math.min(...lengths)], [31, 0.75], 'no part is shorter than 45 minutes');
  });

  it('looks at a day of very many streams in parts too, for the sake of their footers', () => {
    const segments = Array.from({ length: 24 }, (_, hour) => span(hour, hour + 1, { footerBytes: 2 ** 23 }));
    assert.ok(windows(segments).length > 2);
  });

  it('covers every time into which two segments reach, once, in few windows', () => {
    const hours = fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: -500_000, max: 1000 }));
    const one = fc.tuple(hours, fc.oneof(fc.nat({ max: 30 }), fc.nat({ max: 500_000 })), fc.nat({ max: 3 }));
    fc.assert(
      fc.property(fc.array(one, { maxLength: 12 }), fc.constantFrom(10, 1e9), (list, maxBytes) => {
        const segments = list
          .map(([from, length, family], i) => ({ ...span(from, from + length, { family, arrivedMs: 1 }), key: `${i}` }))
          .sort((a, b) => (a.id < b.id ? -1 : 1));
        const found = settledWindows(segments, options({ maxBytes, nowMs: Number.MAX_SAFE_INTEGER }));
        for (const [i, { startNs, endNs, cutsNs, segments: some }] of found.entries()) {
          assert.ok(startNs < endNs && (i === 0 || found[i - 1]!.endNs <= startNs));
          assert.ok(cutsNs.includes(startNs) && cutsNs.includes(endNs));
          const inside = segments.filter(({ minNs, maxNs }) => minNs < endNs && maxNs >= startNs);
          assert.deepEqual(new Set(some), new Set(inside));
        }
        for (const a of segments) {
          for (const b of segments) {
            if (a === b || a.id === b.id || a.minNs > b.maxNs || b.minNs > a.maxNs) continue;
            const from = a.minNs > b.minNs ? a.minNs : b.minNs;
            const to = a.maxNs < b.maxNs ? a.maxNs : b.maxNs;
            for (const ns of [from, to, (from + to) / 2n]) {
              assert.equal(found.filter(({ startNs, endNs }) => startNs <= ns && ns < endNs).length, 1);
            }
          }
        }
        if (maxBytes === 1e9) assert.ok(found.length <= 4 * segments.length, `${found.length} windows`);
      }),
    );
  });
});

describe('isWorthwhile', () => {
  const made = { family: 1, sizeBytes: 400, arrivedMs: START_MS + DAY_MS };
  const day = [span(0, 12, made), span(3, 20, made)];
  const endNs = BigInt(START_MS) * 1_000_000n + DAY_NS;
  const late = (sizeBytes: number, hours: number) =>
    span(5, 6, { family: 9, sizeBytes, arrivedMs: START_MS + DAY_MS + hours * HOUR_MS });

  it('brings copies together at once', () => {
    const copies = [1, 2, 3].map((family) => span(0, 20, { family, sizeBytes: 400 }));
    assert.equal(isWorthwhile(copies, endNs, START_MS + DAY_MS + 4 * HOUR_MS), true);
    assert.equal(isWorthwhile(day, endNs, START_MS + 50 * DAY_MS), false, 'not what was made together');
  });

  it('writes a day again for an eighth of it, for less only when no more comes', () => {
    const nowMs = START_MS + DAY_MS + 21 * HOUR_MS;
    assert.equal(isWorthwhile([...day, late(100, 20)], endNs, nowMs), true);
    assert.equal(isWorthwhile([...day, late(99, 20)], endNs, nowMs), false);
    assert.equal(isWorthwhile([...day, late(99, 20)], endNs, nowMs + 18 * HOUR_MS), false);
    assert.equal(isWorthwhile([...day, late(99, 20)], endNs, nowMs + 19 * HOUR_MS), true);
    assert.equal(isWorthwhile([...day, late(9, 20), late(9, 38)], endNs, nowMs + 19 * HOUR_MS), false);
  });
});
