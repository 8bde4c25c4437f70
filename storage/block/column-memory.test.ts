import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReusedMemory } from './column-memory.ts';

describe('ReusedMemory', () => {
  it('gives columns that do not overlap until it is reset', () => {
    const memory = new ReusedMemory();
    for (let round = 0; round < 3; round++) {
      memory.reset();
      const given: (Buffer | Uint32Array | Float64Array)[] = [];
      for (let i = 1; i <= 200; i++) given.push(memory.bytes(i), memory.words(i * 100), memory.floats(i * 100));
      given.forEach((column, i) => {
        column.fill(i % 251);
      });
      given.forEach((column, i) => {
        assert.ok(
          column.every((value) => value === i % 251),
          `column ${i} of round ${round}`,
        );
      });
      assert.deepEqual(
        given.slice(0, 3).map(({ length }) => length),
        [1, 100, 100],
      );
    }
  });

  it('uses the same memory again, and keeps none that is very large', () => {
    const memory = new ReusedMemory();
    const first = memory.floats(1000);
    memory.reset();
    assert.equal(memory.words(10).buffer, first.buffer);
    const large = memory.bytes(64 * 1024 * 1024);
    assert.equal(large.length, 64 * 1024 * 1024);
    memory.reset();
    assert.equal(memory.words(10).buffer, first.buffer);
  });

  it('gives nothing of what is made larger than it was asked for', () => {
    const asked: number[] = [];
    const memory = new ReusedMemory((bytes) => {
      asked.push(bytes);
      return new ArrayBuffer(bytes + 4096);
    });
    for (let i = 0; i < 100; i++) {
      const { byteOffset, length } = memory.bytes(30_000);
      assert.ok(byteOffset + length <= asked.at(-1)!);
    }
    assert.equal(asked.length, 2);
  });
});
