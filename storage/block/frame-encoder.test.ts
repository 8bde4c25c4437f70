import assert from 'node:assert/strict';
import { it } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { isWholeFrame } from './frame-decoder.ts';
import { compressFrame } from './frame-encoder.ts';

it('compressFrame makes whole frames of any content, one after the other', () => {
  let state = 1;
  const noise = (length: number): Buffer => {
    const bytes = Buffer.alloc(length);
    for (let i = 0; i < length; i++) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      bytes[i] = state >>> 24;
    }
    return bytes;
  };
  const frames: [frame: Uint8Array, content: Buffer][] = [];
  for (const length of [0, 1, 40, 3000, 1, 131_072, 131_073, 1_200_000, 17]) {
    const shared = Buffer.from(new SharedArrayBuffer(length));
    for (const content of [noise(length), Buffer.alloc(length, 'line of a log '), shared]) {
      frames.push([compressFrame(content), content], [compressFrame(content, true), content]);
    }
  }
  for (const [frame, content] of frames) {
    assert.ok(isWholeFrame(Buffer.from(frame), content.length), `${content.length} bytes`);
    assert.ok(zstdDecompressSync(frame).equals(content));
    assert.ok(frame.length <= content.length + 50);
  }
});

it('compressFrame makes lines of independent fields smaller where that is worth more work', () => {
  const pick = (i: number, from: number): string => ['alpha', 'bravo', 'charlie', 'delta'][(i >>> from) & 3]!;
  const lines = Array.from({ length: 4000 }, (_, row) => {
    const i = Math.imul(row, 0x9e3779b1) >>> 8;
    return `first=${pick(i, 0)} second=${pick(i, 2)} third=${pick(i, 4)} fourth=${pick(i, 6)} number=${i}`;
  });
  const content = Buffer.from(lines.join(''));
  const thorough = compressFrame(content, true);
  assert.ok(thorough.length < 0.95 * compressFrame(content).length);
  assert.ok(zstdDecompressSync(thorough).equals(content));
});
