import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CHUNK_BYTES, type GramMarker, newVectorMarker, WordMarker } from './gram-marker.ts';
import { ALL_LETTERS, gramAt, hashOf, letterHashOf, lettersIn } from './text-bits.ts';

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

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: fc.constantFrom(...'azAZ@[`{m09 '), maxLength: 200 }).map((text) => Buffer.from(text)),
);

function checkMarks(marker: GramMarker): void {
  const check = (lines: Uint8Array): void => {
    marker.text.fill(0);
    marker.letters.fill(0);
    marker.mark(lines);
    const expected = marksOf(lines);
    assert.deepEqual(Buffer.from(marker.text), Buffer.from(expected.text));
    assert.deepEqual(Buffer.from(marker.letters), Buffer.from(expected.letters));
  };
  fc.assert(fc.property(bytes, check), { numRuns: 100 });
  // At the ends of chunks, and with what an earlier chunk left behind a shorter one.
  const long = Buffer.from(Array.from({ length: 2 * CHUNK_BYTES + 40 }, (_, i) => (i * i * 31 + i) % 251));
  long.fill('Abcdefghij', CHUNK_BYTES - 5, CHUNK_BYTES + 5);
  for (let length = CHUNK_BYTES - 20; length <= CHUNK_BYTES + 40; length++) check(long.subarray(0, length));
  check(long);
}

describe('a gram marker', () => {
  it('marks the grams of lines, word by word', () => {
    checkMarks(new WordMarker());
  });

  it('marks the same by vectors, where this machine has them', () => {
    const marker = newVectorMarker();
    if (marker !== null) checkMarks(marker);
    else assert.notEqual(process.arch, 'arm64'); // all of these have them
  });
});
