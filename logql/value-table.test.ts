import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ValueTable } from './value-table.ts';

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

test('the text of some values is theirs, one behind the other', () => {
  fc.assert(
    fc.property(fc.uniqueArray(value), fc.func(fc.boolean()), (values, isChosen) => {
      const table = new ValueTable();
      for (const text of values) table.numberOf(text);
      const chosen = values.map((_, i) => i).filter((i) => isChosen(i));
      const { text, lengths } = table.textOf(chosen);
      assert.equal(text, chosen.map((i) => values[i]).join(''));
      assert.deepEqual(
        [...lengths],
        chosen.map((i) => values[i]!.length),
      );
    }),
  );
});
