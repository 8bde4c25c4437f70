import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type ArrivedBlock, type ChainPiece, cutChain, overlap } from './chains.ts';
import { groupOverlapping, type MemoryBlockRef } from './units.ts';

const MEGABYTE = 1024 * 1024;
const SIZE = { least: 8 * MEGABYTE, most: 16 * MEGABYTE };

function block(minNs: number, maxNs: number, lineBytes: number): MemoryBlockRef {
  const bounds = { minNs: BigInt(minNs), maxNs: BigInt(maxNs), rowCount: 1, lineBytes, metadataBytes: 0 };
  return { kind: 'memory', bytes: new Uint8Array(0), ...bounds };
}

/** In order of time; `arrivals` as the blocks are given. */
function chainOf(blocks: readonly MemoryBlockRef[]): ArrivedBlock[] {
  const chain = blocks.map((one, arrival) => ({ block: one, arrival }));
  return chain.sort((a, b) => Number(a.block.minNs - b.block.minNs) || a.arrival - b.arrival);
}

function bytesOf(piece: readonly ArrivedBlock[]): number {
  return piece.reduce((sum, one) => sum + one.block.lineBytes, 0);
}

const arrivals = (list: readonly ArrivedBlock[]) => list.map(({ arrival }) => arrival);
const inOrder = (list: readonly ArrivedBlock[]) => arrivals(list).every((one, i, all) => i === 0 || all[i - 1]! < one);

/** Blocks whose times touch, three copies with ends of their own, and blocks of which each has a row from long ago. */
const touching = Array.from({ length: 128 }, (_, i) => block(i, i + 1, MEGABYTE));
const copies = [0, 3, 7].flatMap((shift) =>
  Array.from({ length: 60 }, (_, i) => block(10 * i + shift, 10 * (i + 1) + shift, MEGABYTE)),
);
const lateRows = Array.from({ length: 200 }, (_, i) => block(0, i, MEGABYTE));
const oneTime = Array.from({ length: 100 }, () => block(5, 5, MEGABYTE));

describe('cutChain', () => {
  it('puts each block into one piece, and beside it what arrived before one of its blocks and has times of it', () => {
    const blocks = fc.array(fc.tuple(fc.nat(40), fc.nat(12), fc.nat(300)), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(blocks, fc.integer({ min: 1, max: 400 }), (given, least) => {
        const chain = chainOf(given.map(([start, span, bytes]) => block(start, start + span, bytes)));
        const pieces = cutChain(chain, { least, most: 2 * least });
        assert.deepEqual(
          pieces.flatMap(({ own }) => arrivals(own)).sort((a, b) => a - b),
          given.map((_, i) => i),
        );
        for (const { own, others } of pieces) {
          assert.ok(inOrder(own) && inOrder(others));
          const expected = chain.filter(
            (other) =>
              !own.includes(other) && own.some((one) => one.arrival > other.arrival && overlap(one.block, other.block)),
          );
          assert.deepEqual(
            arrivals(others),
            arrivals(expected).sort((a, b) => a - b),
          );
        }
      }),
    );
  });

  it('makes no piece larger than allowed, however blocks overlap', () => {
    for (const blocks of [touching, copies, lateRows, oneTime, [...touching, ...copies, ...lateRows]]) {
      const pieces = cutChain(chainOf(blocks), SIZE);
      assert.ok(pieces.length >= bytesOf(chainOf(blocks)) / SIZE.most);
      for (const { own } of pieces) assert.ok(bytesOf(own) <= SIZE.most);
      for (const { own } of pieces.slice(0, -1)) assert.ok(bytesOf(own) >= SIZE.least - MEGABYTE);
    }
    const large = Array.from({ length: 5 }, (_, i) => block(i, i + 1, 100 * MEGABYTE));
    assert.equal(cutChain(chainOf(large), SIZE).length, 5);
  });

  it('bounds the number of blocks in a piece, however small they are', () => {
    const small = Array.from({ length: 5000 }, (_, i) => block(i, i + 30, 1));
    for (const { own } of cutChain(chainOf(small), SIZE)) assert.ok(own.length <= 512);
  });

  it('opens little twice: the last block of the piece before where blocks touch, a few of each of three copies', () => {
    const opened = (pieces: readonly ChainPiece[]) => pieces.flatMap(({ others }) => others).length;
    assert.equal(opened(cutChain(chainOf(touching), SIZE)), 15);
    const pieces = cutChain(chainOf(copies), SIZE);
    assert.ok(opened(pieces) <= 5 * pieces.length, `${opened(pieces)} in ${pieces.length} pieces`);
  });

  it('ends a piece where few blocks cross its end', () => {
    const long = [block(0, 100, 3 * MEGABYTE), block(0, 100, 3 * MEGABYTE), block(0, 100, 3 * MEGABYTE)];
    const pieces = cutChain(chainOf([...long, block(100, 110, 4 * MEGABYTE), block(105, 120, 8 * MEGABYTE)]), SIZE);
    assert.deepEqual(
      pieces.map(({ own, others }) => [own.length, others.length]),
      [
        [3, 0],
        [2, 3],
      ],
    );
  });
});

describe('groupOverlapping', () => {
  it('cuts chains and tells of each block when it arrived', () => {
    const late = [...touching.slice(64), ...touching.slice(0, 64)];
    const units = groupOverlapping([], late, null, [{ id: 'd', startNs: 20n, endNs: 21n, stages: [] }]);
    assert.equal(units.length, 16);
    assert.deepEqual(units[0]!.arrivals, [64, 65, 66, 67, 68, 69, 70, 71]);
    assert.deepEqual([units[0]!.minNs, units[0]!.maxNs, units[0]!.lineBytes], [0n, 8n, 8 * MEGABYTE]);
    assert.equal(units[0]!.others, undefined);
    assert.deepEqual(
      units[1]!.others!.map(({ arrival }) => arrival),
      [71],
    );
    assert.deepEqual(
      units[7]!.others!.map(({ arrival }) => arrival),
      [0, 119],
      'what is behind it arrived before it',
    );
    assert.equal(units[8]!.others, undefined);
    assert.deepEqual(units.map(({ deletes }) => deletes?.length ?? 0).slice(0, 5), [0, 0, 1, 0, 0]);
  });
});
