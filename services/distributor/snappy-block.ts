import snappy from 'snappyjs';
import { PushError } from './push-error.ts';
import { SLICE_BYTES, type Sliced } from './sliced.ts';

/** Output that is decoded in one go: about 3 ms. */
const PIECE_BYTES = 1024 * 1024;

/** A place between two tags that no copy reaches across. */
interface Cut {
  /** In the input. */
  readonly at: number;
  /** Bytes of output before it. */
  readonly produced: number;
}

/**
 * A snappy block (never the framed form) with everything checked before memory is taken for it: `snappyjs` believes
 * the length in the header, even when the data is longer or shorter. Format: a uvarint with the length of the output,
 * then tags, whose low two bits say literal (0) or copy with 1, 2 or 4 bytes of offset (1, 2, 3). Encoders never copy
 * from before the current 64 kB, so that a large block falls into pieces, each of which is a block of its own.
 * `reserve` hears how much memory the output takes, before it is taken.
 * https://github.com/google/snappy/blob/main/format_description.txt
 */
export function* decodeSnappyBlock(
  input: Buffer,
  maxLength: number,
  reserve?: (bytes: number) => void,
): Sliced<Buffer> {
  const header = readHeader(input);
  if (header === null) throw corrupt();
  const { length } = header;
  if (length > maxLength) {
    throw new PushError(413, `decompressed message size too large than max (${length} vs ${maxLength})`);
  }
  const cuts = yield* findCuts(input, header.end, length);
  if (cuts === null) throw corrupt();
  reserve?.(length);
  if (cuts.length === 0) return length === 0 ? Buffer.alloc(0) : uncompress(input, length);
  const out = Buffer.allocUnsafe(length);
  let last: Cut = { at: header.end, produced: 0 };
  for (const cut of [...cuts, { at: input.length, produced: length }]) {
    const size = cut.produced - last.produced;
    if (size > 0) {
      const piece = Buffer.concat([uvarint(size), input.subarray(last.at, cut.at)]);
      out.set(uncompress(piece, size), last.produced);
    }
    last = cut;
    yield;
  }
  return out;
}

function uncompress(block: Buffer, length: number): Buffer {
  try {
    return snappy.uncompress(block, length);
  } catch (error: unknown) {
    throw new PushError(400, 'snappy: corrupt input', { cause: error });
  }
}

function uvarint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value & 0x7f) | 0x80);
  return Buffer.from([...bytes, value]);
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

/**
 * Walks the tags without copying: every operand is there, every copy points at produced bytes, the sum is `length`;
 * null otherwise. Returns where the block can be cut.
 */
function* findCuts(input: Buffer, at: number, length: number): Sliced<readonly Cut[] | null> {
  const end = input.length;
  const cuts: Cut[] = [];
  let lastCut = 0;
  let produced = 0;
  let pause = at + SLICE_BYTES;
  while (at < end) {
    if (produced - lastCut >= PIECE_BYTES) {
      cuts.push({ at, produced });
      lastCut = produced;
    }
    if (at > pause) {
      pause = at + SLICE_BYTES;
      yield;
    }
    const tag = input[at++]!;
    let size = (tag >>> 2) + 1;
    let offset: number;
    switch (tag & 3) {
      case 0:
        if (size > 60) {
          const bytes = size - 60;
          if (at + bytes > end) return null;
          size = 1;
          for (let i = 0, factor = 1; i < bytes; i++, factor *= 256) size += input[at + i]! * factor;
          at += bytes;
        }
        at += size;
        produced += size;
        if (at > end || produced > length) return null;
        continue;
      case 1:
        if (at + 1 > end) return null;
        size = ((tag >>> 2) & 7) + 4;
        offset = ((tag >>> 5) << 8) | input[at]!;
        at += 1;
        break;
      case 2:
        if (at + 2 > end) return null;
        offset = input[at]! | (input[at + 1]! << 8);
        at += 2;
        break;
      default:
        if (at + 4 > end) return null;
        offset = input.readUInt32LE(at);
        at += 4;
    }
    const from = produced - offset;
    if (offset === 0 || from < 0) return null;
    while (from < lastCut) {
      cuts.pop();
      lastCut = cuts.at(-1)?.produced ?? 0;
    }
    produced += size;
    if (produced > length) return null;
  }
  return produced === length ? cuts : null;
}
