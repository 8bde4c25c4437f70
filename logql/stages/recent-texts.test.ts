import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecentTexts } from './recent-texts.ts';

test('what is found is the text of the bytes', () => {
  const piece = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 });
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const texts = new RecentTexts();
      for (const text of pieces) {
        const bytes = Buffer.from(`<${text}>`);
        assert.ok([text, undefined].includes(texts.find(bytes, 1, text.length + 1)));
        texts.keep(bytes, 1, text.length + 1, text);
      }
    }),
  );
});

test('a text is found again until another takes its place; long ones are not kept', () => {
  const texts = new RecentTexts();
  const keep = (text: string) => texts.keep(Buffer.from(text), 0, text.length, text);
  const find = (text: string) => texts.find(Buffer.from(text), 0, text.length);
  keep('error');
  keep('information');
  assert.equal(find('error'), 'error');
  assert.equal(find('information'), 'information');
  assert.equal(find('warn'), undefined);
  assert.equal(find(''), '');
  const long = 'x'.repeat(100);
  keep(long);
  assert.equal(find(long), undefined);
});
