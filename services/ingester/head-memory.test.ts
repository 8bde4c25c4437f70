import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HeadMemory, MAX_PIECE_BYTES } from './head-memory.ts';

const MB = 1 << 20;

/** Fills a piece, to find out later whether another one lies over it. */
function fill(memory: HeadMemory, address: number, bytes: number, value: number): void {
  const start = memory.startOf(address);
  memory.slabOf(address).bytes.fill(value, start, start + bytes);
}
const isFilled = (memory: HeadMemory, address: number, bytes: number, value: number): boolean => {
  const start = memory.startOf(address);
  return memory
    .slabOf(address)
    .bytes.subarray(start, start + bytes)
    .every((byte) => byte === value);
};

describe('memory of heads', () => {
  it('is large enough, at a multiple of eight, and by at most three quarters too large', () => {
    const memory = new HeadMemory(64 * MB);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 * MB }), (bytes) => {
        const address = memory.take(bytes);
        const room = memory.bytesOf(address);
        assert.ok(room >= bytes && room <= Math.max(512, 4 * bytes), `${room} for ${bytes}`);
        assert.equal(memory.startOf(address) % 8, 0);
        assert.ok(memory.startOf(address) + room <= memory.slabOf(address).memory.byteLength);
      }),
    );
  });

  it('gives no byte to two heads, whatever comes and goes', () => {
    const step = fc.record({ bytes: fc.integer({ min: 1, max: MAX_PIECE_BYTES + 20_000 }), gives: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const memory = new HeadMemory(0);
        const lent: { address: number; bytes: number; value: number }[] = [];
        steps.forEach(({ bytes, gives }, i) => {
          const address = memory.take(bytes);
          const all = memory.bytesOf(address);
          fill(memory, address, all, i % 251);
          lent.push({ address, bytes: all, value: i % 251 });
          if (gives % 3 !== 0) return;
          const [back] = lent.splice(gives % lent.length, 1);
          memory.give(back!.address);
        });
        for (const { address, bytes, value } of lent) assert.ok(isFilled(memory, address, bytes, value));
      }),
      { numRuns: 60 },
    );
  });

  it('is used again by heads of any size', () => {
    const memory = new HeadMemory(64 * MB);
    const small = Array.from({ length: 64 }, () => memory.take(1000));
    const [slab] = small.map((address) => memory.slabOf(address));
    const before = memory.idleBytes;
    for (const address of small) memory.give(address);
    assert.equal(memory.idleBytes, before + MAX_PIECE_BYTES);
    assert.equal(memory.slabOf(memory.take(MAX_PIECE_BYTES)), slab);
  });

  it('idles only within its limit once nothing is lent', () => {
    const memory = new HeadMemory(2 * MB);
    const lent = Array.from({ length: 5000 }, (_, i) => memory.take(1 + ((i * 7919) % MAX_PIECE_BYTES)));
    for (const address of lent) memory.give(address);
    assert.ok(memory.idleBytes <= 2 * MB && memory.idleBytes > 0, `${memory.idleBytes}`);
    assert.doesNotThrow(() => memory.slabOf(memory.take(100)).bytes.fill(1));
  });

  it('has room for what is larger than any piece, and does not keep it', () => {
    const memory = new HeadMemory(64 * MB);
    const large = [memory.take(5 * MB + 1), memory.take(MB)];
    assert.equal(memory.bytesOf(large[0]!), 5 * MB + 8);
    for (const address of large) memory.give(address);
    assert.equal(memory.idleBytes, 0);
  });
});
