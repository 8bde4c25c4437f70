import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ObjectStore, ObjectStoreError, type ObjectStoreErrorCode } from '../objectstore/index.ts';
import { BlockSource } from './block-source.ts';
import { newScanStats } from './scan-stats.ts';
import { groupOverlapping, storedRef } from './units.ts';

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
});
