import snappy from 'snappyjs';
import { PushError } from './push-error.ts';

/**
 * A snappy block (never the framed form) with everything checked before memory is taken for it: `snappyjs` believes
 * the length in the header, even when the data is longer or shorter. Format: a uvarint with the length of the output,
 * then tags, whose low two bits say literal (0) or copy with 1, 2 or 4 bytes of offset (1, 2, 3).
 * `reserve` hears how much memory the output takes, before it is taken.
 * https://github.com/google/snappy/blob/main/format_description.txt
 */
export function decodeSnappyBlock(input: Buffer, maxLength: number, reserve?: (bytes: number) => void): Buffer {
  const header = readHeader(input);
  if (header === null) throw corrupt();
  if (header.length > maxLength) {
    throw new PushError(413, `decompressed message size too large than max (${header.length} vs ${maxLength})`);
  }
  if (!tagsProduce(input, header.end, header.length)) throw corrupt();
  if (header.length === 0) return Buffer.alloc(0);
  reserve?.(header.length);
  try {
    return snappy.uncompress(input, maxLength);
  } catch (error: unknown) {
    throw new PushError(400, 'snappy: corrupt input', { cause: error });
  }
}

const corrupt = (): PushError => new PushError(400, 'snappy: corrupt input');

function readHeader(input: Buffer): { length: number; end: number } | null {
  let length = 0;
  let factor = 1;
  for (let at = 0; at < input.length && at < 5; at++) {
    const byte = input[at]!;
    length += (byte & 0x7f) * factor;
    if (byte < 0x80) return length > 0xffffffff ? null : { length, end: at + 1 };
    factor *= 128;
  }
  return null;
}

/** Walks the tags without copying: every operand is there, every copy points at produced bytes, the sum is `length`. */
function tagsProduce(input: Buffer, at: number, length: number): boolean {
  const end = input.length;
  let produced = 0;
  while (at < end) {
    const tag = input[at++]!;
    if ((tag & 3) === 0) {
      let size = (tag >>> 2) + 1;
      if (size > 60) {
        const bytes = size - 60;
        if (at + bytes > end) return false;
        size = 1;
        for (let i = 0, factor = 1; i < bytes; i++, factor *= 256) size += input[at + i]! * factor;
        at += bytes;
      }
      at += size;
      if (at > end) return false;
      produced += size;
      continue;
    }
    let offset: number;
    let size = (tag >>> 2) + 1;
    if ((tag & 3) === 1) {
      if (at + 1 > end) return false;
      size = ((tag >>> 2) & 7) + 4;
      offset = ((tag >>> 5) << 8) | input[at]!;
      at += 1;
    } else if ((tag & 3) === 2) {
      if (at + 2 > end) return false;
      offset = input[at]! | (input[at + 1]! << 8);
      at += 2;
    } else {
      if (at + 4 > end) return false;
      offset = input.readUInt32LE(at);
      at += 4;
    }
    if (offset === 0 || offset > produced) return false;
    produced += size;
    if (produced > length) return false;
  }
  return produced === length;
}
