import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EncodedBlock } from '../../storage/block/types.ts';
import { BlockMemory } from './block-memory.ts';

const MB = 1 << 20;
const stats = { minNs: 0n, maxNs: 0n, rowCount: 1, lineBytes: 0, metadataBytes: 0, encodedBytes: 0 };
const block = (length: number, fill: number): EncodedBlock => ({
  bytes: new Uint8Array(length).fill(fill),
  stats,
  filter: new Uint8Array(0),
});
const isFilledWith = (bytes: Uint8Array, length: number, fill: number): boolean =>
  bytes.length === length && bytes.every((byte) => byte === fill);

describe('memory of encoded blocks', () => {
  it('keeps what blocks hold, of any size, until they are given back', () => {
    const memory = new BlockMemory(16 * MB);
    const sizes = [1, 100_000, 500_000, 0, 700_000, 3 * MB, 70_000];
    const kept = sizes.map((size, i) => memory.keep(block(size, i + 1)));
    for (const [i, { bytes }] of kept.entries()) assert.ok(isFilledWith(bytes, sizes[i]!, i + 1), `block ${i}`);
    assert.ok(kept.every(({ bytes }) => bytes.buffer instanceof SharedArrayBuffer));
  });

  it('uses a page again once all of its blocks were given back, and not before', () => {
    const memory = new BlockMemory(16 * MB);
    const [first, second] = [memory.keep(block(200_000, 1)), memory.keep(block(200_000, 2))];
    memory.keep(block(400_000, 3)); // begins another page
    memory.release(first);
    assert.equal(memory.idleBytes, 0);
    assert.ok(isFilledWith(second.bytes, 200_000, 2));
    memory.release(second);
    assert.equal(memory.idleBytes, MB / 2);
    assert.equal(memory.keep(block(400_000, 4)).bytes.buffer, first.bytes.buffer);
    assert.equal(memory.idleBytes, 0);
  });

  it('uses a page again only when nobody reads it any more, whoever is done first', () => {
    const memory = new BlockMemory(16 * MB);
    const kept = memory.keep(block(400_000, 1));
    kept.page.hold();
    kept.page.hold();
    memory.keep(block(400_000, 2));
    kept.page.letGo();
    memory.release(kept);
    assert.equal(memory.idleBytes, 0);
    assert.notEqual(memory.keep(block(400_000, 3)).bytes.buffer, kept.bytes.buffer);
    assert.ok(isFilledWith(kept.bytes, 400_000, 1));
    kept.page.letGo();
    assert.equal(memory.idleBytes, MB / 2);
    assert.equal(memory.keep(block(400_000, 4)).bytes.buffer, kept.bytes.buffer);
  });

  it('goes on with a page that was read while it had blocks', () => {
    const memory = new BlockMemory(16 * MB);
    const kept = memory.keep(block(400_000, 1));
    memory.keep(block(400_000, 2));
    kept.page.hold();
    kept.page.letGo();
    assert.equal(memory.idleBytes, 0);
    memory.release(kept);
    assert.equal(memory.idleBytes, MB / 2);
  });

  it('uses the page that is being filled again, too', () => {
    const memory = new BlockMemory(16 * MB);
    const kept = memory.keep(block(400_000, 1));
    memory.release(kept);
    assert.equal(memory.keep(block(400_000, 2)).bytes.buffer, kept.bytes.buffer);
  });

  it('lets go of pages beyond what may idle', () => {
    const memory = new BlockMemory(MB);
    const kept = Array.from({ length: 8 }, (_, i) => memory.keep(block(400_000, i)));
    for (const one of kept) memory.release(one);
    assert.equal(memory.idleBytes, MB);
  });
});
