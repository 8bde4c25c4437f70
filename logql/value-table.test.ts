import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hashOf, ValueTable } from './value-table.ts';

const value = fc.oneof(fc.string({ maxLength: 3 }), fc.string({ unit: 'binary', maxLength: 3 }), fc.ipV4());

test('values have the numbers in which they are met, and come back', () => {
  fc.assert(
    fc.property(fc.array(value), (values) => {
      const table = new ValueTable();
      const distinct = [...new Set(values)];
      for (const text of values) assert.equal(table.numberOf(`<${text}>`, 1, text.length + 1), distinct.indexOf(text));
      for (const text of [...values, ...values]) assert.equal(table.numberOfOften(text), distinct.indexOf(text));
      assert.equal(table.length, distinct.length);
      assert.deepEqual(
        distinct.map((_, i) => table.at(i)),
        distinct,
      );
    }),
  );
});

test('thousands of values are told apart', () => {
  const table = new ValueTable();
  const text = (i: number) => `10.0.${i >> 8}.${i & 255}${i % 1000 === 0 ? 'ω' : ''}`;
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < 20_000; i++) assert.equal(table.numberOfOften(text(i)), i);
  for (let i = 1; i < 20_000; i++) {
    if (i % 1000 !== 0) assert.equal(table.numberOfBytes(Buffer.from(text(i)), 0, text(i).length), i);
  }
  for (let i = 0; i < 20_000; i++) assert.equal(table.at(i), text(i));
});

test('bytes have the number of the text that they are', () => {
  fc.assert(
    fc.property(fc.array(value), fc.array(fc.boolean()), (values, asBytes) => {
      const table = new ValueTable();
      const distinct = [...new Set(values)];
      for (const [i, text] of [...values, ...values].entries()) {
        const isLatin = !/[^\x00-\xff]/.test(text);
        const number =
          isLatin && asBytes[i] === true
            ? table.numberOfBytes(Buffer.from(`<${text}>`, 'latin1'), 1, text.length + 1)
            : table.numberOfOften(text);
        assert.equal(number, distinct.indexOf(text));
      }
      assert.deepEqual(
        distinct.map((_, i) => table.at(i)),
        distinct,
      );
    }),
  );
});

test('the order is that of strings', () => {
  fc.assert(
    fc.property(value, value, (a, b) => {
      const table = new ValueTable();
      const order = table.compare(table.numberOf(a), table.numberOf(b));
      assert.equal(Math.sign(order), a < b ? -1 : a > b ? 1 : 0);
    }),
  );
});

test('values come in the order of their hashes, and of their bytes where those are equal', () => {
  const many = fc.oneof(
    fc.array(value),
    fc.integer({ min: 0, max: 5000 }).map((n) => Array.from({ length: n }, (_, i) => `v${i}`)),
  );
  fc.assert(
    fc.property(many, fc.integer({ min: 1, max: 3 }), (values, part) => {
      const table = new ValueTable();
      for (const text of values) table.numberOf(text);
      const { numbers, hashes } = table.ordered();
      const latin = (text: string) => Buffer.from(text, 'latin1');
      const expected = [...new Set(values)]
        .filter((text) => !/[^\x00-\xff]/.test(text))
        .map((text) => ({ text, hash: hashOf(latin(text), 0, text.length) }))
        .sort((a, b) => a.hash - b.hash || Buffer.compare(latin(a.text), latin(b.text)));
      assert.deepEqual(
        Array.from(numbers, (number, i) => ({ text: table.at(number), hash: hashes[i]! })),
        expected,
      );
      const some = numbers.filter((number) => number % part === 0);
      const { bytes, lengths } = table.pack(some);
      let from = 0;
      for (const [i, length] of lengths.entries()) {
        assert.equal(Buffer.from(bytes.subarray(from, from + length)).toString('latin1'), table.at(some[i]!));
        from += length;
      }
      assert.equal(from, bytes.length);
    }),
    { numRuns: 50 },
  );
});

test('values whose places lie at the end of the table, and that stand at its beginning, are in order, too', () => {
  // Of 512 places the last ones; there are hashes enough among short texts.
  const last = Array.from({ length: 40_000 }, (_, i) => `v${i}`).filter((text) => {
    const bytes = Buffer.from(text);
    return hashOf(bytes, 0, bytes.length) >>> 23 >= 508;
  });
  assert.ok(last.length > 200);
  const table = new ValueTable();
  for (const text of last.slice(0, 200)) table.numberOf(text);
  for (let i = 0; i < 50; i++) table.numberOf(`other ${i}`);
  const { hashes } = table.ordered();
  assert.equal(hashes.length, 250);
  assert.deepEqual(
    [...hashes],
    [...hashes].sort((a, b) => a - b),
  );
});
