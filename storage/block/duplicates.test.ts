import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  blocksToCompare,
  encodeBlocks,
  headToColumns,
  markDuplicates,
  openBlock,
  overlappingDuplicates,
  shareTime,
} from './index.ts';
import { arbitraryRows } from './testing/arbitrary-rows.ts';
import { headOf, rowTexts, type TestRow } from './testing/heads.ts';

const everything = { lines: true, metadata: null };
const headColumns = (rows: TestRow[]) => headToColumns(headOf(rows), everything);
const blockColumns = (rows: TestRow[]) => openBlock(encodeBlocks(headOf(rows))[0]!.bytes).columns(everything);

describe('overlappingDuplicates', () => {
  it('leaves each distinct row of several blocks and heads exactly once, in the earliest', () => {
    const picks = fc.array(fc.array(fc.nat(), { minLength: 1, maxLength: 40 }), { minLength: 2, maxLength: 4 });
    fc.assert(
      fc.property(arbitraryRows, picks, (pool, groups) => {
        const blocks = groups.map((group, g) => {
          const rows = group.map((n) => pool[n % pool.length]!);
          return g % 2 ? headColumns(rows) : blockColumns(rows);
        });
        const masks = overlappingDuplicates(blocks);
        const seen = new Set<string>();
        blocks.forEach((block, b) => {
          rowTexts(block).forEach((text, r) => {
            assert.equal((masks[b]?.[r] ?? 0) === 1, seen.has(text), text);
            seen.add(text);
          });
        });
      }),
    );
  });

  it('compares many rows of one timestamp by line and metadata', () => {
    const rows = (from: number, pod: string): TestRow[] =>
      Array.from({ length: 300 }, (_, i) => ({ ns: 5n, line: `line ${from + i}`, metadata: [['pod', pod]] }));
    const [first, shared, other] = overlappingDuplicates([
      headColumns(rows(0, 'a')),
      headColumns(rows(200, 'a')),
      headColumns(rows(0, 'b')),
    ]);
    assert.equal(first, null);
    assert.equal(
      shared!.reduce((sum, bit) => sum + bit, 0),
      100,
    );
    assert.equal(other, null);
  });

  it('does not look at rows of blocks that do not overlap', () => {
    const unread = { ...headColumns([{ ns: 1n, line: 'a' }]), bytes: null };
    const later = { ...headColumns([{ ns: 2n, line: 'a' }]), bytes: null };
    assert.deepEqual(overlappingDuplicates([unread, later]), [null, null]);
  });

  it('needs no lines of blocks that have no rows alike, and takes equal lengths for equal lines without them', () => {
    fc.assert(
      fc.property(fc.array(arbitraryRows, { minLength: 2, maxLength: 4 }), (groups) => {
        const whole = groups.map((rows) => blockColumns([...rows, ...groups[0]!.slice(0, 2)]));
        const unread = whole.map((block) => ({ ...block, bytes: null }));
        const compared = blocksToCompare(unread);
        const masks = overlappingDuplicates(whole.map((block, b) => (compared.has(b) ? block : unread[b]!)));
        assert.deepEqual(masks, overlappingDuplicates(whole));
      }),
    );
    const unread = (line: string) => ({ ...headColumns([{ ns: 1n, line }]), bytes: null });
    assert.deepEqual([...blocksToCompare([unread('abc'), unread('de'), unread('xyz')])], [0, 2]);
    assert.deepEqual(overlappingDuplicates([unread('abc'), unread('xyz')]), [null, Uint8Array.of(1)]);
  });
});

describe('markDuplicates', () => {
  it('agrees, block by block, with what is marked in all at once, and marks only where times are shared', () => {
    fc.assert(
      fc.property(fc.array(arbitraryRows, { minLength: 2, maxLength: 4 }), (groups) => {
        const blocks = groups.map((rows, g) =>
          g % 2 ? headColumns([...rows, ...groups[0]!.slice(0, 2)]) : blockColumns(rows),
        );
        const later = blocks.at(-1)!;
        let mask: Uint8Array | null = null;
        for (const earlier of blocks.slice(0, -1)) {
          const times = new Set(timesOf(earlier));
          const isShared = timesOf(later).some((ns) => times.has(ns));
          assert.equal(shareTime(earlier, later), isShared);
          assert.equal(shareTime(later, earlier), isShared);
          if (!isShared) assert.equal(markDuplicates(earlier, later, null), null);
          mask = markDuplicates(earlier, later, mask);
        }
        assert.deepEqual(mask, overlappingDuplicates(blocks).at(-1));
      }),
    );
  });
});

function timesOf({ baseNs, offsetsNs }: ReturnType<typeof headColumns>): bigint[] {
  return Array.from(offsetsNs, (offset) => baseNs + BigInt(offset));
}
