import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HeadMemory } from './head-memory.ts';

const MB = 1 << 20;

describe('memory of heads', () => {
  it('is large enough, and by at most half too large', () => {
    const memory = new HeadMemory(64 * MB);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 * MB }), (bytes) => {
        const { byteLength } = memory.take(bytes);
        assert.ok(byteLength >= bytes && byteLength <= 1.5 * bytes);
      }),
    );
  });

  it('goes from one head to the next, unless somebody may still read it', () => {
    const memory = new HeadMemory(64 * MB);
    const first = memory.take(100_000);
    const second = memory.take(100_000);
    memory.give(first, false);
    memory.give(second, true);
    assert.equal(memory.take(98_305), first);
    assert.notEqual(memory.take(98_305), second);
  });

  it('idles only within its limit, whatever sizes come and go', () => {
    const memory = new HeadMemory(8 * MB);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 20_000, max: 2 * MB }), { maxLength: 30 }), (sizes) => {
        const lent = sizes.map((bytes) => memory.take(bytes));
        for (const one of lent) memory.give(one, false);
        assert.ok(memory.idleBytes <= 8 * MB);
      }),
    );
  });

  it('takes what idles up to twice as large rather than new memory', () => {
    const memory = new HeadMemory(64 * MB);
    const large = memory.take(256 * 1024);
    memory.give(large, false);
    assert.equal(memory.take(130 * 1024), large);
    memory.give(large, false);
    assert.notEqual(memory.take(90 * 1024), large);
    assert.equal(memory.idleBytes, 256 * 1024);
  });
});
