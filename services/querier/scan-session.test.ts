import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ScanUnit } from '../../storage/scan/units.ts';
import { divideUnits, JOB_UNITS } from './scan-session.ts';

const unit = (rowCount: number, lineBytes: number): ScanUnit => ({
  labels: [],
  rank: 0,
  tenant: null,
  minNs: 0n,
  maxNs: 1n,
  rowCount,
  lineBytes,
  blocks: [],
});
const sizes = (parts: readonly (readonly ScanUnit[])[]): number[] => parts.map((part) => part.length);

describe('divideUnits', () => {
  it('ends a job with the unit that makes it long enough, by rows or by bytes', () => {
    assert.deepEqual(sizes(divideUnits([unit(5, 1), unit(5, 1), unit(5, 1)], 10, 100)), [2, 1]);
    assert.deepEqual(sizes(divideUnits([unit(1, 60), unit(1, 60), unit(1, 200)], 10, 100)), [2, 1]);
    assert.deepEqual(sizes(divideUnits([])), []);
  });

  it('sends no more units in one message than a worker can be handed at once', () => {
    const units = Array.from({ length: 2 * JOB_UNITS + 1 }, () => unit(1, 1));
    assert.deepEqual(sizes(divideUnits(units)), [JOB_UNITS, JOB_UNITS, 1]);
    assert.deepEqual(divideUnits(units).flat(), units);
  });
});
