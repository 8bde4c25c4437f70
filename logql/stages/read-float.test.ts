import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { parseGoFloat, UnitError } from '../units/index.ts';
import { readFloat, readPlainFloat } from './read-float.ts';

function outcome(read: (text: string) => number, text: string): number | string {
  try {
    return read(text);
  } catch (error: unknown) {
    if (error instanceof UnitError) return error.message;
    throw error;
  }
}

it('readFloat reads what parseGoFloat reads', () => {
  const text = fc.string({ unit: fc.constantFrom(...'0123456789.-+e_xN '), maxLength: 18 });
  const decimal = fc
    .tuple(fc.stringMatching(/^[0-9]{0,9}$/), fc.stringMatching(/^[0-9]{0,9}$/))
    .map(([whole, fraction]) => `${whole}.${fraction}`);
  fc.assert(
    fc.property(fc.oneof(text, decimal, fc.integer().map(String), fc.double().map(String)), (value) => {
      assert.deepEqual(outcome(readFloat, value), outcome(parseGoFloat, value));
    }),
    { numRuns: 3000 },
  );
});

it('readPlainFloat reads a part of what readFloat reads, and nothing differently', () => {
  const text = fc.string({ unit: fc.constantFrom(...'0123456789.-+e '), maxLength: 18 });
  const decimal = fc
    .tuple(fc.stringMatching(/^[0-9]{1,7}$/), fc.stringMatching(/^[0-9]{0,7}$/))
    .map(([whole, fraction]) => `${whole}.${fraction}`);
  const plain = (value: string) => readPlainFloat(Buffer.from(`9${value}9`), 1, value.length + 1);
  fc.assert(
    fc.property(text, (value) => {
      const number = plain(value);
      if (!Number.isNaN(number)) assert.equal(number, readFloat(value));
    }),
    { numRuns: 3000 },
  );
  fc.assert(fc.property(decimal, (value) => assert.equal(plain(value), readFloat(value))));
});
