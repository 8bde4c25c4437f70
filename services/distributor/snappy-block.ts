import snappy from 'snappyjs';
import type { BufferPool, Loan } from '../rpc/buffer-pool.ts';
import { PushError } from './push-error.ts';
import { SLICE_BYTES, type Sliced } from './sliced.ts';
import { SnappyDecoder } from './snappy-decoder.ts';

/**
 * Output up to which `snappyjs` decodes. It believes the length in the header, even when the data is longer or shorter,
 * so its input has to be walked before. Up to here that costs no more than a microsecond; of 16 kB both together take 52
 * where one pass that decodes and checks takes 9.
 */
const SMALL_BYTES = 256;

/** A copy makes at most 64 bytes of 3: nothing that claims more than this factor can be whole. */
const MAX_EXPANSION = 22;

/**
 * Decodes a snappy block (never the framed form), all of it checked: nothing but what the block says comes out. Memory
 * is taken only for a block that may hold what its header claims. Format: a uvarint with the length of the output, then
 * tags. `reserve` hears how much memory the output takes, before it is taken from the pool. The caller gives it back.
 * https://github.com/google/snappy/blob/main/format_description.txt
 */
export function* decodeSnappyBlock(
  input: Buffer,
  maxLength: number,
  pool: BufferPool,
  reserve?: (bytes: number) => void,
): Sliced<Loan> {
  const header = readHeader(input);
  if (header === null) throw corrupt();
  const { length } = header;
  if (length > maxLength) {
    throw new PushError(413, `decompressed message size too large than max (${length} vs ${maxLength})`);
  }
  if (length > MAX_EXPANSION * input.length) throw corrupt();
  if (length <= SMALL_BYTES) {
    if (!isWhole(input, header.end, length)) throw corrupt();
    reserve?.(length);
    return { bytes: length === 0 ? Buffer.alloc(0) : uncompress(input, length), [Symbol.dispose]: () => {} };
  }
  reserve?.(length);
  const loan = pool.take(SnappyDecoder.memoryBytes(length, input.length - header.end));
  const decoder = new SnappyDecoder(input, header.end, loan.bytes);
  let until = SLICE_BYTES;
  while (decoder.run(until)) {
    if (decoder.isDone) {
      return { bytes: loan.bytes.subarray(0, length), [Symbol.dispose]: () => loan[Symbol.dispose]() };
    }
    until = decoder.produced + SLICE_BYTES;
    yield;
  }
  loan[Symbol.dispose]();
  throw corrupt();
}

function uncompress(block: Buffer, length: number): Buffer {
  try {
    return snappy.uncompress(block, length);
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
function isWhole(input: Buffer, at: number, length: number): boolean {
  const end = input.length;
  let produced = 0;
  while (at < end) {
    const tag = input[at++]!;
    let size = (tag >>> 2) + 1;
    let offset: number;
    switch (tag & 3) {
      case 0:
        if (size > 60) {
          const bytes = size - 60;
          if (at + bytes > end) return false;
          size = 1 + input.readUIntLE(at, bytes);
          at += bytes;
        }
        at += size;
        produced += size;
        if (at > end || produced > length) return false;
        continue;
      case 1:
        if (at + 1 > end) return false;
        size = ((tag >>> 2) & 7) + 4;
        offset = ((tag >>> 5) << 8) | input[at]!;
        at += 1;
        break;
      case 2:
        if (at + 2 > end) return false;
        offset = input.readUInt16LE(at);
        at += 2;
        break;
      default:
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
