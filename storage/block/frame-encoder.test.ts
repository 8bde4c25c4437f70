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
      frames.push([compressFrame(content), content]);
    }
  }
  for (const [frame, content] of frames) {
    assert.ok(isWholeFrame(Buffer.from(frame), content.length), `${content.length} bytes`);
    assert.ok(zstdDecompressSync(frame).equals(content));
    assert.ok(frame.length <= content.length + 50);
  }
});
