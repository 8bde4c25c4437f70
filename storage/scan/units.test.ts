import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HeadColumns } from '../block/types.ts';
import { groupOverlapping, headRef, type MemoryBlockRef } from './units.ts';

const block = (minNs: bigint, maxNs: bigint): MemoryBlockRef => ({
  kind: 'memory',
  bytes: new Uint8Array(0),
  minNs,
  maxNs,
  rowCount: 1,
  lineBytes: 2,
  metadataBytes: 0,
});

test('blocks apart in time are units of their own, ascending', () => {
  const units = groupOverlapping([], [block(20n, 29n), block(0n, 9n), block(10n, 19n)]);
  assert.deepEqual(
    units.map((u) => [u.minNs, u.maxNs, u.blocks.length]),
    [
      [0n, 9n, 1],
      [10n, 19n, 1],
      [20n, 29n, 1],
    ],
  );
});

test('blocks that touch or overlap go together in order of arrival', () => {
  const [late, early, apart] = [block(5n, 20n), block(0n, 5n), block(21n, 22n)];
  const units = groupOverlapping([], [late, early, apart]);
  assert.equal(units.length, 2);
  assert.deepEqual(units[0]!.blocks, [late, early]);
  assert.deepEqual([units[0]!.minNs, units[0]!.maxNs, units[0]!.rowCount, units[0]!.lineBytes], [0n, 20n, 2, 4]);
});

test('a long block holds together what would be apart without it', () => {
  assert.equal(groupOverlapping([], [block(0n, 1n), block(8n, 9n), block(0n, 10n)]).length, 1);
});

test('the bounds of an unsorted head are found, an empty head has none', () => {
  const head: HeadColumns = {
    rowCount: 3,
    baseNs: 100n,
    offsetsNs: Float64Array.of(5, -2, 1, 99),
    lineEnds: Uint32Array.of(1, 2, 3, 4),
    bytes: Buffer.from('abcd'),
    metaIndexes: new Uint32Array(4),
    metaEnds: new Uint32Array(0),
    metaBytes: new Uint8Array(0),
    ascending: false,
    metadataBytes: 7,
  };
  const ref = headRef(head)!;
  assert.deepEqual([ref.minNs, ref.maxNs, ref.lineBytes], [98n, 105n, 3]);
  assert.equal(headRef({ ...head, rowCount: 0 }), null);
});
