/** Damage that checksums do not show: columns of any content with sums that fit. A reader must stay in bounds. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { freshMemory } from './column-memory.ts';
import { compressColumn, decompressColumn } from './compress.ts';
import { decodeBlockHeader, encodeBlock } from './format.ts';
import { CorruptBlockError, encodeBlocks, openBlock } from './index.ts';
import { arbitraryRows } from './testing/arbitrary-rows.ts';
import { headOf } from './testing/heads.ts';

/** What stands at some byte of some column instead, or where the column ends. */
const damage = fc.record({
  column: fc.nat(),
  at: fc.oneof(fc.nat(12), fc.nat()),
  byte: fc.oneof(fc.constantFrom(0, 1, 2, 0x7f, 0xff), fc.nat(255)),
  cut: fc.boolean(),
});

it('a block of well summed nonsense is refused or read, but never with another error', () => {
  let refused = 0;
  fc.assert(
    fc.property(arbitraryRows, fc.array(damage, { minLength: 1, maxLength: 3 }), (rows, damages) => {
      const { bytes } = encodeBlocks(headOf(rows))[0]!;
      const { header, columns } = decodeBlockHeader(bytes);
      const raws = columns.map((place) => Buffer.from(decompressColumn(bytes, place, freshMemory)));
      for (const { column, at, byte, cut } of damages) {
        const c = column % raws.length;
        const raw = raws[c]!;
        if (raw.length === 0) continue;
        if (cut) raws[c] = raw.subarray(0, at % raw.length);
        else raw[at % raw.length] = byte;
      }
      const stored = columns.map((place, c) => compressColumn(place.kind, Buffer.from(place.name), raws[c]!));
      try {
        const read = openBlock(encodeBlock(header, stored)).columns({ lines: true, metadata: null });
        assert.equal(read.offsetsNs.length, read.rowCount);
        assert.equal(read.lineStarts[read.rowCount], read.bytes!.length);
        for (let r = 1; r < read.rowCount; r++) {
          assert.ok(read.offsetsNs[r]! >= read.offsetsNs[r - 1]! && read.lineStarts[r]! >= read.lineStarts[r - 1]!);
        }
        for (const { values, indexes } of read.metadata) for (const index of indexes) assert.ok(index < values.length);
      } catch (error: unknown) {
        if (!(error instanceof CorruptBlockError)) throw error;
        refused++;
      }
    }),
    { numRuns: 1000 },
  );
  assert.ok(refused > 300, `only ${refused} refused`);
});
