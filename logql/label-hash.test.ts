import assert from 'node:assert/strict';
import { test } from 'node:test';
import { streamRank, xxHash64Of } from './label-hash.ts';

const MASK = 2n ** 64n - 1n;
const [P1, P2, P3, P4, P5] = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
];

/** The specification, in bigints. */
function reference(bytes: Buffer): bigint {
  const rotate = (x: bigint, bits: bigint) => ((x << bits) | (x >> (64n - bits))) & MASK;
  const round = (acc: bigint, input: bigint) => (rotate((acc + input * P2) & MASK, 31n) * P1) & MASK;
  let at = 0;
  let hash: bigint;
  if (bytes.length >= 32) {
    const lanes = [(P1 + P2) & MASK, P2, 0n, (0n - P1) & MASK];
    for (; at + 32 <= bytes.length; at += 32) {
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i]!, bytes.readBigUInt64LE(at + i * 8));
    }
    hash = [1n, 7n, 12n, 18n].reduce((sum, bits, i) => (sum + rotate(lanes[i]!, bits)) & MASK, 0n);
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * P1 + P4) & MASK;
  } else {
    hash = P5;
  }
  hash = (hash + BigInt(bytes.length)) & MASK;
  for (; at + 8 <= bytes.length; at += 8) {
    hash = (rotate(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * P1 + P4) & MASK;
  }
  if (at + 4 <= bytes.length) {
    hash = (rotate(hash ^ ((BigInt(bytes.readUInt32LE(at)) * P1) & MASK), 23n) * P2 + P3) & MASK;
    at += 4;
  }
  for (; at < bytes.length; at++) hash = (rotate(hash ^ ((BigInt(bytes[at]!) * P5) & MASK), 11n) * P1) & MASK;
  hash = ((hash ^ (hash >> 33n)) * P2) & MASK;
  hash = ((hash ^ (hash >> 29n)) * P3) & MASK;
  return hash ^ (hash >> 32n);
}

test('known hashes', () => {
  assert.equal(xxHash64Of(Buffer.from('')), 0xef46db3751d8e999n);
  assert.equal(xxHash64Of(Buffer.from('a')), 0xd24ec4f1a98c6e5bn);
  assert.equal(xxHash64Of(Buffer.from('abc')), 0x44bc2cf5ad770999n);
});

test('halves of 32 bits agree with bigints for every length up to 200', () => {
  let seed = 1;
  for (let length = 0; length <= 200; length++) {
    const bytes = Buffer.alloc(length);
    for (let i = 0; i < length; i++) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      bytes[i] = seed >>> 16;
    }
    assert.equal(xxHash64Of(bytes), reference(bytes), `length ${length}`);
  }
});

test('a rank is the hash of names and values, without __name__', () => {
  const text = Buffer.from('app\xffweb\xffenv\xff\xfc\xff', 'latin1');
  const utf8 = Buffer.concat([text.subarray(0, 12), Buffer.from('ü'), Buffer.from([0xff])]);
  const rank = Number(reference(utf8) >> 11n);
  assert.equal(
    streamRank([
      ['__name__', 'x'],
      ['app', 'web'],
      ['env', 'ü'],
    ]),
    rank,
  );
});
