import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteSearch } from './byte-search.ts';

/** Few different bytes, so that needles are found, overlap themselves, and stand across what is only alike. */
const text = (maxLength: number) =>
  fc.array(fc.constantFrom('a', 'b', 'c', 'ab', 'abc', 'é', ' '), { maxLength }).map((parts) => parts.join(''));

describe('ByteSearch', () => {
  it('finds what indexOf finds, in one text after the other', () => {
    fc.assert(
      fc.property(
        text(8).filter((needle) => needle !== ''),
        fc.array(text(80), { minLength: 1, maxLength: 6 }),
        (needle, texts) => {
          const search = new ByteSearch(Buffer.from(needle));
          for (const one of texts) {
            const bytes = Buffer.from(one);
            search.open(bytes);
            for (let from = 0; from <= bytes.length; from++) {
              assert.equal(search.next(from), from < bytes.length ? bytes.indexOf(needle, from) : -1);
            }
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('finds needles of every length at both ends of a text', () => {
    for (let length = 1; length < 40; length++) {
      const needle = Buffer.from(Array.from({ length }, (_, i) => 97 + (i % 26)));
      const search = new ByteSearch(needle);
      for (const before of ['', 'e', 'xyzabc'.repeat(2000)]) {
        search.open(Buffer.concat([Buffer.from(before), needle]));
        assert.equal(search.next(before.length), before.length);
        assert.equal(search.next(before.length + 1), -1);
      }
    }
  });
});
