import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import snappy from 'snappyjs';
import { PushError } from './push-error.ts';
import { decodeSnappyBlock } from './snappy-block.ts';

const MB = 1024 * 1024;

test('what snappyjs compresses comes back', () => {
  const texts = fc.oneof(
    fc.uint8Array({ maxLength: 3000 }),
    fc
      .array(fc.constantFrom('level=info ', 'abc', 'x'), { maxLength: 2000 })
      .map((words) => Buffer.from(words.join(''))),
  );
  fc.assert(
    fc.property(texts, (bytes) => {
      const plain = Buffer.from(bytes);
      assert.deepEqual(decodeSnappyBlock(snappy.compress(plain), MB), plain);
    }),
  );
});

const good = snappy.compress(Buffer.from('hello hello hello hello hello'));
const corrupt: readonly (readonly [name: string, input: Buffer])[] = [
  ['nothing at all', Buffer.alloc(0)],
  ['a header that never ends', Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3])],
  ['uncompressed protobuf', Buffer.from('0a210a0c7b6170703d2270757368227d', 'hex')],
  ['JSON', Buffer.from('{"streams":[]}')],
  ['the framed format', Buffer.from('ff060000734e61507059', 'hex')],
  ['data cut short', good.subarray(0, good.length - 1)],
  ['data after the end', Buffer.concat([good, Buffer.from([0, 0x41])])],
  ['a header that claims more than there is', Buffer.from([10, 0, 0x61])],
  ['a header that claims less than there is', Buffer.from([1, 4, 0x61, 0x62])],
  ['a copy from before the start', Buffer.from([10, 0, 0x61, 0x0a, 0x0a, 0])],
  ['a copy from offset 0', Buffer.from([5, 0, 0x61, 0x01, 0])],
  ['a copy without its offset', Buffer.from([5, 0, 0x61, 0x02, 1])],
  ['a long literal without its length', Buffer.from([100, 63 << 2, 1])],
];
for (const [name, input] of corrupt) {
  test(`${name} is refused as corrupt`, () => {
    assert.throws(() => decodeSnappyBlock(input, MB), { status: 400, message: 'snappy: corrupt input' });
  });
}

test('a header that claims 4 GB is refused before memory is taken', () => {
  const input = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0x61]);
  assert.throws(() => decodeSnappyBlock(input, MB), {
    status: 413,
    message: `decompressed message size too large than max (4294967295 vs ${MB})`,
  });
});

test('memory is reserved only for a block that is whole', () => {
  const reserved: number[] = [];
  assert.throws(() => decodeSnappyBlock(good.subarray(0, 5), MB, (bytes) => reserved.push(bytes)), PushError);
  decodeSnappyBlock(good, MB, (bytes) => reserved.push(bytes));
  assert.deepEqual(reserved, [29]);
});

test('random bytes are decoded or refused, and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeSnappyBlock(Buffer.from(bytes), MB);
      } catch (error) {
        assert.ok(error instanceof PushError);
      }
    }),
    { numRuns: 1000 },
  );
});
