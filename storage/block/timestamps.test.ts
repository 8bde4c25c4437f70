import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { freshMemory } from './column-memory.ts';
import { decompressColumn } from './compress.ts';
import { decodeTimestamps, encodeTimestamps } from './timestamps.ts';

/** Differences of neighbours, as sources of many kinds make them. */
const differences = fc.oneof(
  fc.array(fc.nat(3)),
  fc.array(fc.constantFrom(0, 1_000_000, 60_000_000_000)),
  fc.array(fc.integer({ min: 3_000_000, max: 5_000_000 }), { minLength: 50 }),
  fc.array(
    fc.oneof({ weight: 50, arbitrary: fc.nat(2 ** 20) }, { weight: 1, arbitrary: fc.nat({ max: 2 ** 31 - 1 }) }),
    { maxLength: 400 },
  ),
  fc.array(fc.nat({ max: 2 ** 31 - 1 }).map((n) => n * 1001)),
  fc.array(fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 33), { maxLength: 300 }),
);

function offsetsOf(steps: readonly number[]): Float64Array {
  const offsets = new Float64Array(steps.length + 1);
  steps.forEach((step, i) => {
    offsets[i + 1] = offsets[i]! + step;
  });
  return offsets;
}

function roundTrip(offsets: Float64Array): { mode: number; stored: number; decoded: Float64Array } {
  const column = encodeTimestamps(offsets);
  const { stored, rawBytes, encoding } = column;
  const place = { kind: 1, encoding, name: '', offset: 0, storedBytes: stored.length, rawBytes, crc: crc32(stored) };
  const raw = decompressColumn(stored, place, freshMemory);
  const decoded = new Float64Array(offsets.length).fill(-1);
  decodeTimestamps(raw, decoded, BigInt(offsets.at(-1)!), 0, freshMemory);
  return { mode: raw[0]!, stored: stored.length, decoded };
}

describe('encodeTimestamps and decodeTimestamps', () => {
  it('give back any ascending times', () => {
    const modes = new Set<number>();
    fc.assert(
      fc.property(differences, (steps) => {
        const offsets = offsetsOf(steps);
        const { mode, decoded } = roundTrip(offsets);
        modes.add(mode);
        assert.deepEqual(decoded, offsets);
      }),
      { numRuns: 1000 },
    );
    assert.ok(modes.has(2) && modes.size > 1, `only modes ${[...modes]}`);
  });

  it('pack noise in the bits that it has, whatever pauses there are', () => {
    let state = 1;
    const steps = Array.from({ length: 2000 }, (_, i) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return i % 250 === 249 ? 5_000_000_000 + state : 3_000_000 + (state >>> 12);
    });
    const { mode, stored, decoded } = roundTrip(offsetsOf(steps));
    assert.equal(mode, 2);
    assert.deepEqual(decoded, offsetsOf(steps));
    assert.ok(stored < (2000 * 20) / 8 + 200, `${stored} bytes`);
  });

  it('leave what repeats itself to zstd', () => {
    const steps = Array.from({ length: 3000 }, (_, i) => (i % 3 === 2 ? 997_000_001 : 1_000_003 * (i % 3)));
    const { mode, stored } = roundTrip(offsetsOf(steps));
    assert.notEqual(mode, 2);
    assert.ok(stored < 200, `${stored} bytes`);
  });
});
