import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeBlocks } from '../block/index.ts';
import { headOf } from '../block/testing/heads.ts';
import { type ObjectStore, ObjectStoreError, type ObjectStoreErrorCode } from '../objectstore/index.ts';
import { BlockSource } from './block-source.ts';
import { newScanStats } from './scan-stats.ts';
import { groupOverlapping, type MemoryBlockRef, memoryRef, storedRef } from './units.ts';

const unavailable = (operation: string) => (): never => {
  throw new Error(`nobody calls ${operation} here`);
};

function storeThatAnswers(answer: () => Uint8Array): ObjectStore {
  return {
    get: async () => answer(),
    put: unavailable('put'),
    list: unavailable('list'),
    delete: unavailable('delete'),
    head: unavailable('head'),
    close: () => {},
  };
}

const stats = { minNs: 0n, maxNs: 9n, rowCount: 3, lineBytes: 30, metadataBytes: 0, encodedBytes: 100 };
const units = groupOverlapping(
  [['app', 'a']],
  [storedRef({ segmentKey: 'segments/t/x.seg', offset: 8, length: 100, linesOffset: 100, stats })],
);

async function open(answer: () => Uint8Array) {
  const seen = newScanStats();
  const blocks = await new BlockSource(storeThatAnswers(answer)).open(units[0]!, { lines: true, metadata: null }, seen);
  return [blocks.length, seen.corruptBlocks];
}

describe('BlockSource', () => {
  it('leaves out and counts what is damaged, gone, or shorter than the index says', async () => {
    assert.deepEqual(await open(() => Buffer.alloc(100)), [0, 1]);
    for (const code of ['not_found', 'invalid'] as const) {
      const fails = () => {
        throw new ObjectStoreError(code, 'no such bytes');
      };
      assert.deepEqual(await open(fails), [0, 1]);
    }
  });

  it('fails when the store does, since a later try may find the block', async () => {
    for (const code of ['unavailable', 'denied', 'aborted'] satisfies ObjectStoreErrorCode[]) {
      await assert.rejects(
        open(() => {
          throw new ObjectStoreError(code, 'not now');
        }),
        { code },
      );
    }
  });

  it('opens blocks of other units to compare them, and counts each where its own rows are looked at', async () => {
    const rows = ['a', 'b', 'c', 'd'].map((line, i) => ({ ns: BigInt(i >> 1), line }));
    const blockOf = (from: number, to: number) => memoryRef(encodeBlocks(headOf(rows.slice(from, to)))[0]!);
    const copies = [blockOf(0, 3), blockOf(0, 2), blockOf(2, 4)];
    const lookAt = async (refs: readonly MemoryBlockRef[], lines: boolean) => {
      const source = new BlockSource(storeThatAnswers(() => Buffer.alloc(0)));
      const seen = newScanStats();
      const found: number[][] = [];
      for (const unit of groupOverlapping([['app', 'a']], refs, null, [], { least: 1, most: 1 })) {
        assert.equal(unit.blocks.length, 1);
        for (const { columns, duplicates, sequence } of await source.open(unit, { lines, metadata: null }, seen)) {
          found.push([sequence, ...(duplicates ?? new Uint8Array(columns.rowCount))]);
        }
      }
      const { recentBlocks, recentRows, duplicates, corruptBlocks } = seen;
      return { found: found.sort(), counted: [recentBlocks, recentRows, duplicates, corruptBlocks] };
    };
    for (const lines of [true, false]) {
      assert.deepEqual(await lookAt(copies, lines), {
        found: [
          [0, 0, 0, 0],
          [1, 1, 1],
          [2, 1, 0],
        ],
        counted: [3, 7, 3, 0],
      });
      const damaged = { ...copies[0]!, bytes: Buffer.alloc(100) };
      assert.deepEqual(await lookAt([damaged, ...copies.slice(1)], lines), {
        found: [
          [1, 0, 0],
          [2, 0, 0],
        ],
        counted: [2, 4, 0, 1],
      });
    }
  });
});
