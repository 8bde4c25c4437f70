/**
 * The column of timestamps.
 *
 *     timestamps := u8 mode  u8 width  f64 divisor  planes(rowCount - 1 numbers)
 *
 * The first row is at the block's `minNs`. Mode 0: differences of neighbours over `divisor`. Mode 1: differences of
 * those, zigzag (the first against 0), for sources that tick evenly. The divisor is the greatest common one of the
 * differences: sources that count milliseconds lose their six zeros.
 */
import { CorruptBlockError } from './corrupt-block-error.ts';
import { MAX_BLOCK_SPAN_NS } from './format.ts';
import { planeWidth, readPlanes, writePlanes } from './planes.ts';

const MODE_DELTA = 0;
const MODE_DELTA_OF_DELTA = 1;
const HEAD_BYTES = 10;
/** 2^53 takes seven bytes. */
const MAX_WIDTH = 7;

/** `offsets`: ascending, whole, the first is 0, all below MAX_BLOCK_SPAN_NS. */
export function encodeTimestamps(offsets: Float64Array): Uint8Array {
  const count = Math.max(0, offsets.length - 1);
  const deltas = new Float64Array(count);
  let divisor = 0;
  for (let i = 0; i < count; i++) {
    const delta = offsets[i + 1]! - offsets[i]!;
    deltas[i] = delta;
    if (divisor !== 1 && (divisor === 0 || delta % divisor !== 0)) divisor = greatestCommonDivisor(divisor, delta);
  }
  if (divisor === 0) divisor = 1; // all rows have one timestamp
  const second = new Float64Array(count);
  let firstBits = 0;
  let secondBits = 0;
  let last = 0;
  for (let i = 0; i < count; i++) {
    const delta = deltas[i]! / divisor;
    deltas[i] = delta;
    const change = delta - last;
    const zigzag = change >= 0 ? 2 * change : -2 * change - 1;
    second[i] = zigzag;
    last = delta;
    firstBits += bitLength(delta);
    secondBits += bitLength(zigzag);
  }
  const mode = secondBits < firstBits ? MODE_DELTA_OF_DELTA : MODE_DELTA;
  const values = mode === MODE_DELTA ? deltas : second;
  const width = planeWidth(values, count);
  const out = new Uint8Array(HEAD_BYTES + width * count);
  out[0] = mode;
  out[1] = width;
  new DataView(out.buffer).setFloat64(2, divisor, true);
  writePlanes(out, HEAD_BYTES, values, count, width);
  return out;
}

/** Sets `offsets`, of all rows, ns after the block's `minNs`. `position` is where the column lies, for errors. */
export function decodeTimestamps(raw: Buffer, offsets: Float64Array, spanNs: bigint, position: number): void {
  const count = offsets.length - 1;
  if (raw.length < HEAD_BYTES) throw new CorruptBlockError('timestamps cut short', position);
  const mode = raw[0]!;
  const width = raw[1]!;
  const divisor = raw.readDoubleLE(2);
  if (mode > MODE_DELTA_OF_DELTA || width > MAX_WIDTH)
    throw new CorruptBlockError('timestamps of no known form', position);
  if (raw.length !== HEAD_BYTES + width * count) throw new CorruptBlockError('timestamps of a wrong length', position);
  if (!Number.isSafeInteger(divisor) || divisor < 1) throw new CorruptBlockError('timestamps without unit', position);
  offsets[0] = 0;
  readPlanes(raw, HEAD_BYTES, offsets.subarray(1), count, width);
  let offset = 0;
  let valid = true;
  if (mode === MODE_DELTA) {
    for (let i = 1; i <= count; i++) {
      offset += offsets[i]! * divisor;
      offsets[i] = offset;
    }
  } else {
    let delta = 0;
    for (let i = 1; i <= count; i++) {
      const zigzag = offsets[i]!;
      const half = Math.floor(zigzag / 2);
      delta += zigzag === 2 * half ? half : -half - 1;
      if (delta < 0) valid = false;
      offset += delta * divisor;
      offsets[i] = offset;
    }
  }
  if (!valid || offset >= MAX_BLOCK_SPAN_NS) throw new CorruptBlockError('timestamps out of range', position);
  if (BigInt(offset) !== spanNs) throw new CorruptBlockError('timestamps do not end at the block’s end', position);
}

function bitLength(value: number): number {
  return value < 2 ** 32 ? 32 - Math.clz32(value) : 64 - Math.clz32(Math.floor(value / 2 ** 32));
}

function greatestCommonDivisor(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
