import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { packLabelSets, unpackLabelSets } from './packed-labels.ts';

test('label sets come out as they went in', () => {
  const label = fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(fc.array(fc.array(label, { maxLength: 4 })), (sets) => {
      assert.deepEqual(unpackLabelSets(packLabelSets(sets)), sets);
    }),
  );
});
