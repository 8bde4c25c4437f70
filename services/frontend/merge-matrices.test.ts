import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Matrix } from '../../logql/aggregate/index.ts';
import { mergeMatrices, sliceMatrix } from './merge-matrices.ts';

/** Series by the value of their one label; null where there is no value. */
function matrix(timesMs: number[], series: readonly (readonly [string, (number | null)[]])[]): Matrix {
  return {
    timesMs: Float64Array.from(timesMs),
    series: series.map(([name, values]) => ({
      labels: [['a', name]],
      values: Float64Array.from(values, (value) => value ?? 0),
      present: Uint8Array.from(values, (value) => Number(value !== null)),
    })),
  };
}

test('series of several parts are joined, and ordered by labels', () => {
  const first = matrix([1, 2], [['b', [1, null]]]);
  const second = matrix(
    [3],
    [
      ['a', [5]],
      ['b', [6]],
    ],
  );
  assert.deepEqual(
    mergeMatrices([first, second]),
    matrix(
      [1, 2, 3],
      [
        ['a', [null, null, 5]],
        ['b', [1, null, 6]],
      ],
    ),
  );
});

test('several series of equal labels in a part are not joined', () => {
  const twice = matrix(
    [1],
    [
      ['a', [1]],
      ['a', [2]],
    ],
  );
  assert.equal(mergeMatrices([twice, matrix([2], [])]), null);
  assert.equal(mergeMatrices([twice]), twice);
});

test('a slice has the series that have a value in it', () => {
  const all = matrix(
    [1, 2, 3],
    [
      ['a', [1, null, null]],
      ['b', [null, 2, 3]],
    ],
  );
  assert.deepEqual(sliceMatrix(all, 1, 3), matrix([2, 3], [['b', [2, 3]]]));
});
