import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ByteSearch } from './byte-search.ts';
import { searchableMemory, searchOf } from './search-memory.ts';

/** Few different bytes, so that needles are found, overlap themselves, and stand across what is only alike. */
const text = (maxLength: number) =>
  fc.array(fc.constantFrom('a', 'b', 'c', 'ab', 'abc', 'é', ' '), { maxLength }).map((parts) => parts.join(''));

/** Each anew in the same memory: what stood there before is around it. */
const memory = searchableMemory(100_000);
const inMemory = (bytes: Buffer, offset: number): Buffer => {
  const copy = Buffer.from(memory, offset, bytes.length);
  bytes.copy(copy);
  return copy;
};

describe('ByteSearch', () => {
  it('has memory to test with that is searched by words, and other memory that is not', () => {
    assert.ok(searchOf(memory) !== undefined);
    assert.equal(searchOf(new ArrayBuffer(8)), undefined);
  });

  it('gives other memory where the processor has no vectors', () => {
    const file = new URL('./search-memory.ts', import.meta.url).href;
    const script = `const { searchableMemory } = await import('${file}'); console.log(searchableMemory(1000).byteLength >= 1000);`;
    const flags = ['--no-enable-sse4-1', '--input-type=module', '--eval'];
    assert.equal(execFileSync(process.execPath, [...flags, script], { encoding: 'utf8' }), 'true\n');
  });

  it('finds in memory that is searched by words what indexOf finds, and nothing before or behind', () => {
    fc.assert(
      fc.property(
        text(8).filter((needle) => needle !== ''),
        fc.array(fc.tuple(text(80), fc.nat(200), fc.boolean()), { minLength: 1, maxLength: 6 }),
        (needle, texts) => {
          const search = new ByteSearch(Buffer.from(needle));
          for (const [one, offset, isOther] of texts) {
            inMemory(Buffer.from(needle.repeat(100)), 0);
            const bytes = isOther ? Buffer.from(one) : inMemory(Buffer.from(one), offset);
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

  it('finds by words what stands anywhere in a long text, whatever its bytes are', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(bytes, fc.integer({ min: 0, max: 600 }), fc.constantFrom(0, 0x80, 0xff), (needle, at, filler) => {
        const long = Buffer.alloc(600 + needle.length, filler);
        long.set(needle, at);
        const search = new ByteSearch(Buffer.from(needle));
        search.open(inMemory(long, 17));
        assert.equal(search.next(0), long.indexOf(needle));
        assert.equal(search.next(at), at);
        assert.equal(search.next(at + 1), long.indexOf(needle, at + 1));
      }),
      { numRuns: 1000 },
    );
  });

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
