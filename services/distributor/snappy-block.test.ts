import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import snappy from 'snappyjs';
import { BufferPool } from '../rpc/buffer-pool.ts';
import { PushError } from './push-error.ts';
import { decodeSnappyBlock } from './snappy-block.ts';
import { SnappyDecoder } from './snappy-decoder.ts';

const MB = 1024 * 1024;
const pool = new BufferPool(64 * MB);

function decode(input: Buffer, maxLength: number, reserve?: (bytes: number) => void): Buffer {
  for (const work = decodeSnappyBlock(input, maxLength, pool, reserve); ; ) {
    const step = work.next();
    if (step.done) return step.value.bytes;
  }
}

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
      assert.deepEqual(decode(snappy.compress(plain), MB), plain);
    }),
  );
});

/** Decodes with `SnappyDecoder` alone, whatever the size, into memory that holds something else; null when it is corrupt. */
function decodeInOnePass(block: Uint8Array, at: number, length: number, step: number): Buffer | null {
  const memory = Buffer.alloc(SnappyDecoder.memoryBytes(length, block.length - at), 0xee);
  const decoder = new SnappyDecoder(block, at, memory);
  while (decoder.run(decoder.produced + step)) if (decoder.isDone) return memory.subarray(0, length);
  return null;
}

test('the pass that decodes and checks at once agrees with the plain version, also on damaged blocks', () => {
  const words = fc.constantFrom('level=info ', 'abc', 'x', 'aaaaaaaa', 'xyxyxyxyxy', 'GET /api/v1/users/1234 ');
  const texts = fc.array(words, { maxLength: 400 }).map((list) => Buffer.from(list.join('')));
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 });
  fc.assert(
    fc.property(texts, damage, fc.integer({ min: 1, max: 500 }), (plain, changes, step) => {
      const block = snappy.compress(plain);
      const header = plain.length < 128 ? 1 : 2;
      for (const [place, byte] of changes)
        if (block.length > header) block[header + (place % (block.length - header))] = byte;
      const expected = decodePlainly(block, header, plain.length);
      assert.deepEqual(decodeInOnePass(block, header, plain.length, step), expected);
      if (expected !== null) assert.deepEqual(decode(block, MB), expected);
      else assert.throws(() => decode(block, MB), PushError);
    }),
    { numRuns: 2000 },
  );
});

test('the same holds for blocks of several windows, wherever they are damaged', () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 });
  const literal = Buffer.alloc(70_000, 'incompressible').map((byte, i) => byte ^ ((i * i) >>> 7));
  fc.assert(
    fc.property(fc.integer({ min: 40_000, max: 200_000 }), damage, (length, changes) => {
      const plain = Buffer.concat([sample(length), literal, sample(1000)]);
      const block = snappy.compress(plain);
      for (const [place, byte] of changes) block[3 + (place % (block.length - 3))] = byte;
      const walked = decodePlainly(block, 3, plain.length);
      const decoded = decodeInOnePass(block, 3, plain.length, 64 * 1024);
      if (walked === null) assert.equal(decoded, null);
      else assert.ok(decoded !== null && walked.equals(decoded));
    }),
    { numRuns: 60 },
  );
});

/** The plain version: a byte at a time, from behind the header on. Null when the block is corrupt. */
function decodePlainly(block: Buffer, at: number, length: number): Buffer | null {
  const out = Buffer.alloc(length);
  let produced = 0;
  while (at < block.length) {
    const tag = block[at++]!;
    const kind = tag & 3;
    const width = kind === 0 ? Math.max(0, (tag >>> 2) - 59) : [0, 1, 2, 4][kind]!;
    if (at + width > block.length) return null;
    const operand = width === 0 ? 0 : block.readUIntLE(at, width);
    at += width;
    const size = kind === 1 ? ((tag >>> 2) & 7) + 4 : kind === 0 && width > 0 ? operand + 1 : (tag >>> 2) + 1;
    if (produced + size > length) return null;
    if (kind === 0) {
      if (at + size > block.length) return null;
      block.copy(out, produced, at, at + size);
      at += size;
      produced += size;
      continue;
    }
    const offset = kind === 1 ? ((tag >>> 5) << 8) | operand : operand;
    if (offset === 0 || offset > produced) return null;
    for (const stop = produced + size; produced < stop; produced++) out[produced] = out[produced - offset]!;
  }
  return produced === length ? out : null;
}

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
    assert.throws(() => decode(input, MB), { status: 400, message: 'snappy: corrupt input' });
  });
}

test('a header that claims 4 GB is refused before memory is taken', () => {
  const input = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0x61]);
  assert.throws(() => decode(input, MB), {
    status: 413,
    message: `decompressed message size too large than max (4294967295 vs ${MB})`,
  });
});

test('no memory is reserved for a block that cannot hold what it claims', () => {
  const reserved: number[] = [];
  assert.throws(() => decode(good.subarray(0, 5), MB, (bytes) => reserved.push(bytes)), PushError);
  const claim = Buffer.from([0x80, 0x80, 0x40, 0, 0x61]); // 1 MB of one byte
  assert.throws(() => decode(claim, 2 * MB, (bytes) => reserved.push(bytes)), PushError);
  decode(good, MB, (bytes) => reserved.push(bytes));
  assert.deepEqual(reserved, [29]);
});

test('a large block that is corrupt gives its memory back', () => {
  const body = snappy.compress(sample(MB));
  const own = new BufferPool(64 * MB);
  const work = decodeSnappyBlock(body.subarray(0, body.length - 1), 2 * MB, own);
  assert.throws(() => [...work], { status: 400, message: 'snappy: corrupt input' });
  assert.ok(own.keptBytes >= MB);
});

test('random bytes are decoded or refused, and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decode(Buffer.from(bytes), MB);
      } catch (error) {
        assert.ok(error instanceof PushError);
      }
    }),
    { numRuns: 1000 },
  );
});

/** `length` bytes that repeat a little, so that they compress into literals and copies. */
function sample(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0, x = 1; i < length; i++) {
    x = (x * 1103515245 + 12345) >>> 0;
    bytes[i] = i % 100 < 60 ? 0x61 + (i % 100) : x >>> 24;
  }
  return bytes;
}

test('a large block is decoded in pieces and comes out whole', () => {
  const plain = sample(5 * MB + 12_345);
  let pauses = 0;
  const work = decodeSnappyBlock(snappy.compress(plain), 10 * MB, pool);
  let step = work.next();
  for (; !step.done; step = work.next()) pauses++;
  assert.ok(plain.equals(step.value.bytes));
  assert.ok(pauses > 6, `${pauses} pauses`);
});

test('a large block with a copy over all of it comes out whole, too', () => {
  const plain = sample(3 * MB);
  const body = snappy.compress(plain);
  // A copy of 4 bytes from the very start, which no encoder writes, but the format allows.
  const far = Buffer.from([(3 << 2) | 3, 0, 0, 0, 0]);
  far.writeUInt32LE(plain.length, 1);
  const header = Buffer.from([0x84, 0x80, 0xc0, 0x01]); // 3 MB + 4
  const block = Buffer.concat([header, body.subarray(4), far]);
  assert.ok(Buffer.concat([plain, plain.subarray(0, 4)]).equals(decode(block, 10 * MB)));
});
