import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decodeLz4Frames } from './lz4-frame.ts';
import { PushError } from './push-error.ts';

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

interface FrameOptions {
  readonly blockChecksums?: boolean;
  readonly contentSize?: boolean;
  readonly contentChecksum?: boolean;
}

function frame(
  blocks: readonly { readonly stored: boolean; readonly bytes: Buffer }[],
  options: FrameOptions = {},
): Buffer {
  const { blockChecksums = false, contentSize = false, contentChecksum = false } = options;
  const flags = 0x40 | (blockChecksums ? 0x10 : 0) | (contentSize ? 0x08 : 0) | (contentChecksum ? 0x04 : 0);
  const parts = [u32(0x184d2204), Buffer.from([flags, 0x70]), Buffer.alloc(contentSize ? 8 : 0), Buffer.from([0])];
  for (const { stored, bytes } of blocks) {
    parts.push(u32(stored ? bytes.length + 0x80000000 : bytes.length), bytes, Buffer.alloc(blockChecksums ? 4 : 0));
  }
  return Buffer.concat([...parts, u32(0), Buffer.alloc(contentChecksum ? 4 : 0)]);
}

/** A block by the simplest encoder: at each place the longest match of at least four bytes within `window`. */
function compress(input: Buffer, from: number): Buffer {
  const out: number[] = [];
  const long = (value: number): void => {
    for (; value >= 255; value -= 255) out.push(255);
    out.push(value);
  };
  let literals = from;
  const sequence = (to: number, match: number, offset: number): void => {
    const count = to - literals;
    out.push((Math.min(count, 15) << 4) | Math.min(Math.max(match - 4, 0), 15));
    if (count >= 15) long(count - 15);
    out.push(...input.subarray(literals, to));
    if (match === 0) return;
    out.push(offset & 0xff, offset >> 8);
    if (match - 4 >= 15) long(match - 4 - 15);
  };
  for (let at = from; at < input.length - 5; ) {
    let best = 0;
    let offset = 0;
    for (let back = 1; back <= Math.min(at, 64); back++) {
      let length = 0;
      while (at + length < input.length - 5 && input[at + length] === input[at + length - back]) length++;
      if (length > best) [best, offset] = [length, back];
    }
    if (best < 4) {
      at++;
      continue;
    }
    sequence(at, best, offset);
    at += best;
    literals = at;
  }
  sequence(input.length, 0, 0);
  return Buffer.from(out);
}

const text = (bytes: Buffer, most = 1e6): string => decodeLz4Frames(bytes, most).toString('latin1');

describe('LZ4 frames', () => {
  test('give back what went in, also across blocks', () => {
    const input = fc.array(fc.constantFrom('abcd', 'ab', 'x', 'longer piece of text '), { maxLength: 200 });
    fc.assert(
      fc.property(input, fc.nat(1000), (pieces, cut) => {
        const whole = Buffer.from(pieces.join(''));
        const middle = Math.min(cut, whole.length);
        const blocks = [
          { stored: false, bytes: compress(whole.subarray(0, middle), 0) },
          { stored: false, bytes: compress(whole, middle) },
        ];
        assert.equal(text(frame(blocks)), whole.toString('latin1'));
      }),
    );
  });

  test('are those of the lz4 program', () => {
    const packed = 'BCJNGHRAvS8AAAD/BmxldmVsPWluZm8gbXNnPWhlbGxvIBUACEF3YXJuFQBPYnllCj0AYlA9YnllCo/eHpAAAAAAkDJHjQ=='; // lz4 -9 -BX
    const line = 'level=info msg=hello level=info msg=hello level=warn msg=bye\n';
    assert.equal(text(Buffer.from(packed, 'base64')), line.repeat(3));
  });

  test('may be several, some to be skipped, with sizes and checksums or without', () => {
    const stored = [{ stored: true, bytes: Buffer.from('one') }];
    const all = { blockChecksums: true, contentSize: true, contentChecksum: true };
    const skipped = Buffer.concat([u32(0x184d2a53), u32(2), Buffer.from('zz')]);
    assert.equal(text(Buffer.concat([frame(stored), skipped, frame(stored, all)])), 'oneone');
    assert.equal(text(Buffer.alloc(0)), '');
  });

  test('do not reach back into the frame before', () => {
    const back = [{ stored: false, bytes: Buffer.from([0x00, 1, 0, 0x00]) }];
    assert.throws(
      () => text(Buffer.concat([frame([{ stored: true, bytes: Buffer.from('abcd') }]), frame(back)])),
      PushError,
    );
  });

  test('do not grow beyond the bound', () => {
    const bomb = frame([{ stored: false, bytes: compress(Buffer.alloc(10_000, 0x61), 0) }]);
    assert.equal(text(bomb).length, 10_000);
    assert.throws(() => text(bomb, 9_999), { status: 413 });
    assert.throws(() => text(frame([{ stored: true, bytes: Buffer.alloc(100) }]), 99), { status: 413 });
  });

  test('are read or refused when they are damaged', () => {
    const whole = Buffer.from('level=info msg=hello level=info msg=hello level=info msg=hello');
    const good = frame([{ stored: false, bytes: compress(whole, 0) }]);
    for (let length = 1; length < good.length; length++) assert.throws(() => text(good.subarray(0, length)), PushError);
    for (let at = 0; at < good.length; at++) {
      for (const byte of [0, 0x0f, 0xf0, 0xff]) {
        const damaged = Buffer.from(good);
        damaged[at] = byte;
        try {
          text(damaged);
        } catch (error: unknown) {
          assert.ok(error instanceof PushError, String(error));
        }
      }
    }
  });
});
