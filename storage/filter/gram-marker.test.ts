import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CHUNK_BYTES, type GramMarker, newVectorMarker, WordMarker } from './gram-marker.ts';
import { ALL_LETTERS, gramAt, HASH_BITS, hashOf, LETTER_HASH_BITS, letterHashOf, lettersIn } from './text-bits.ts';

/** What stands in the lines, found the plain way. */
function marksOf(lines: Uint8Array): { text: Uint8Array; letters: Uint8Array } {
  const { text, letters } = new WordMarker();
  for (let at = 0; at + 4 <= lines.length; at++) {
    const gram = gramAt(lines, at);
    if (at % 2 === 0) text[hashOf(gram)] = 1;
    if (lettersIn(gram) === ALL_LETTERS) letters[letterHashOf(gram)] = 1;
  }
  return { text, letters };
}

/** Marks as bits of a smaller array, the plain way. */
function bitsOf(marks: Uint8Array, hashBits: number, bits: number): Uint8Array {
  const out = new Uint8Array(bits / 8);
  marks.forEach((mark, hash) => {
    const bit = Math.floor((hash * bits) / 2 ** hashBits);
    if (mark !== 0) out[bit >>> 3]! |= 1 << (bit & 7);
  });
  return out;
}

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: fc.constantFrom(...'azAZ@[`{m09 '), maxLength: 200 }).map((text) => Buffer.from(text)),
);

function checkMarks(marker: GramMarker): void {
  const check = (lines: Uint8Array): void => {
    marker.mark(lines);
    const expected = marksOf(lines);
    assert.ok(Buffer.from(marker.text).equals(expected.text));
    assert.ok(Buffer.from(marker.letters).equals(expected.letters));
    for (const [marks, hashBits, wanted] of [
      [marker.text, HASH_BITS, expected.text],
      [marker.letters, LETTER_HASH_BITS, expected.letters],
    ] as const) {
      const size = [64, 72, 1000, 1 << hashBits][lines.length % 4]!;
      const taken = marker.take(marks, hashBits, (marked) => {
        assert.equal(
          marked,
          wanted.reduce((sum, mark) => sum + mark, 0),
        );
        return size;
      });
      assert.deepEqual(Buffer.from(taken), Buffer.from(bitsOf(wanted, hashBits, size)));
      assert.ok(marks.every((mark) => mark === 0));
    }
  };
  fc.assert(fc.property(bytes, check), { numRuns: 100 });
  // At the ends of chunks, and with what an earlier chunk left behind a shorter one.
  const long = Buffer.from(Array.from({ length: 2 * CHUNK_BYTES + 40 }, (_, i) => (i * i * 31 + i) % 251));
  long.fill('Abcdefghij', CHUNK_BYTES - 5, CHUNK_BYTES + 5);
  for (let length = CHUNK_BYTES - 20; length <= CHUNK_BYTES + 40; length++) check(long.subarray(0, length));
  check(long);
}

describe('a gram marker', () => {
  it('marks the grams of lines, and makes bits of them, word by word', () => {
    checkMarks(new WordMarker());
  });

  it('does the same by vectors, where this machine has them', () => {
    const marker = newVectorMarker();
    if (marker !== null) checkMarks(marker);
    // Of these kinds all that are in use have them (SSE 4.1, NEON).
    else assert.ok(!['arm64', 'x64'].includes(process.arch));
  });
});
