/**
 * The column of timestamps, in one of two forms. The first row is at the block's `minNs`; numbers are made of the
 * differences of neighbours over `divisor`, the greatest common one: sources that count milliseconds lose their six zeros.
 *
 *     planes := u8 mode 0 or 1  u8 width  f64 divisor  planes(rowCount - 1 numbers)
 *     packed := u8 mode 2  u8 bits  f64 divisor  f64 base  u32 exceptions  u8 indexWidth  u8 valueWidth
 *               bits(rowCount - 1 numbers)  planes(exceptions indexes)  planes(exceptions numbers)
 *
 * Planes suit zstd. Mode 0: the differences. Mode 1: differences of those, zigzag (the first against 0), for sources that
 * tick evenly.
 *
 * Packed (mode 2) needs no zstd: most times have noise that nothing makes smaller, and then this is smaller as well as
 * faster. A number is what a difference has above `base`, in `bits` bits each, the lowest first, in whole u32. The few
 * that need more bits (a pause) stand at the end: their indexes, ascending, and their numbers; among the others they are 0.
 */
import type { ColumnMemory } from './column-memory.ts';
import { compressColumn } from './compress.ts';
import { CorruptBlockError } from './corrupt-block-error.ts';
import { ENCODING_RAW, KIND_TIMESTAMPS, MAX_BLOCK_SPAN_NS, type StoredColumn } from './format.ts';
import { planeWidth, readPlanes, writePlanes } from './planes.ts';

const MODE_DELTA = 0;
const MODE_DELTA_OF_DELTA = 1;
const HEAD_BYTES = 10;
const MODE_PACKED = 2;
/** Of the packed form. */
const PACKED_HEAD_BYTES = 24;
/** 2^53 takes seven bytes. */
const MAX_WIDTH = 7;
const MAX_BITS = 32;
/** An exception's index and number, about. */
const EXCEPTION_BITS = 56;
/** What planes must come to, of the bytes of the packed form, to be worth the decoder's work. */
const PLANES_SHARE = 3 / 4;
/** Packed bytes a row that cannot be much improved. */
const SMALL_BYTES = 1 / 4;
/** Enough for zstd to show what it can do with more of them. */
const SAMPLE_ROWS = 512;
const NO_NAME = new Uint8Array(0);

/** `offsets`: ascending, whole, the first is 0, all below MAX_BLOCK_SPAN_NS. */
export function encodeTimestamps(offsets: Float64Array): StoredColumn {
  const count = Math.max(0, offsets.length - 1);
  const deltas = new Float64Array(count);
  let divisor = 0;
  for (let i = 0; i < count; i++) {
    const delta = offsets[i + 1]! - offsets[i]!;
    deltas[i] = delta;
    if (divisor !== 1 && (divisor === 0 || delta % divisor !== 0)) divisor = greatestCommonDivisor(divisor, delta);
  }
  if (divisor === 0) divisor = 1; // all rows have one timestamp
  if (divisor !== 1) for (let i = 0; i < count; i++) deltas[i]! /= divisor;
  const raw = encodePacked(deltas, divisor);
  const packed: StoredColumn = {
    kind: KIND_TIMESTAMPS,
    encoding: ENCODING_RAW,
    name: NO_NAME,
    stored: raw,
    rawBytes: raw.length,
  };
  if (raw.length <= PACKED_HEAD_BYTES + SMALL_BYTES * count || seemsNoise(deltas, divisor, raw.length)) return packed;
  const planes = compressColumn(KIND_TIMESTAMPS, NO_NAME, encodePlanes(deltas, divisor));
  return planes.stored.length < PLANES_SHARE * raw.length ? planes : packed;
}

/** Whether planes of the first rows, of many, show no sign of what they must come to. */
function seemsNoise(deltas: Float64Array, divisor: number, packedBytes: number): boolean {
  if (deltas.length < 2 * SAMPLE_ROWS) return false;
  const sample = compressColumn(KIND_TIMESTAMPS, NO_NAME, encodePlanes(deltas.subarray(0, SAMPLE_ROWS), divisor));
  return sample.stored.length > (packedBytes * SAMPLE_ROWS) / deltas.length;
}

function encodePlanes(deltas: Float64Array, divisor: number): Uint8Array {
  const count = deltas.length;
  const second = new Float64Array(count);
  let firstBits = 0;
  let secondBits = 0;
  let last = 0;
  for (let i = 0; i < count; i++) {
    const delta = deltas[i]!;
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
  writeHead(out, mode, width, divisor);
  writePlanes(out, HEAD_BYTES, values, count, width);
  return out;
}

function encodePacked(deltas: Float64Array, divisor: number): Uint8Array {
  const count = deltas.length;
  let base = count === 0 ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < count; i++) if (deltas[i]! < base) base = deltas[i]!;
  const bits = bestBits(deltas, base);
  const words = new Uint32Array(wordsOf(count, bits));
  const bound = 2 ** bits;
  const indexes: number[] = [];
  const numbers: number[] = [];
  for (let i = 0, bit = 0; i < count; i++, bit += bits) {
    const number = deltas[i]! - base;
    if (number >= bound) {
      indexes.push(i);
      numbers.push(number);
    } else if (number > 0) {
      const word = bit >>> 5;
      const shift = bit & 31;
      words[word]! |= number << shift;
      if (shift + bits > 32) words[word + 1] = number >>> (32 - shift);
    }
  }
  const exceptions = indexes.length;
  const exceptionIndexes = Uint32Array.from(indexes);
  const exceptionNumbers = Float64Array.from(numbers);
  const indexWidth = planeWidth(exceptionIndexes, exceptions);
  const valueWidth = planeWidth(exceptionNumbers, exceptions);
  const packedBytes = 4 * words.length;
  const out = new Uint8Array(PACKED_HEAD_BYTES + packedBytes + (indexWidth + valueWidth) * exceptions);
  writeHead(out, MODE_PACKED, bits, divisor);
  const view = new DataView(out.buffer);
  view.setFloat64(10, base, true);
  view.setUint32(18, exceptions, true);
  view.setUint8(22, indexWidth);
  view.setUint8(23, valueWidth);
  out.set(new Uint8Array(words.buffer), PACKED_HEAD_BYTES);
  writePlanes(out, PACKED_HEAD_BYTES + packedBytes, exceptionIndexes, exceptions, indexWidth);
  const valuesAt = PACKED_HEAD_BYTES + packedBytes + indexWidth * exceptions;
  writePlanes(out, valuesAt, exceptionNumbers, exceptions, valueWidth);
  return out;
}

/** The bits a number with which all numbers, exceptions included, take the least room. */
function bestBits(deltas: Float64Array, base: number): number {
  const byLength = new Uint32Array(54);
  for (let i = 0; i < deltas.length; i++) byLength[bitLength(deltas[i]! - base)]!++;
  let best = MAX_BITS;
  let bestSize = Number.POSITIVE_INFINITY;
  let longer = 0;
  for (let bits = 53; bits >= 0; bits--) {
    const size = deltas.length * bits + longer * EXCEPTION_BITS;
    if (bits <= MAX_BITS && size < bestSize) {
      best = bits;
      bestSize = size;
    }
    longer += byLength[bits]!;
  }
  return best;
}

function wordsOf(count: number, bits: number): number {
  return Math.ceil((count * bits) / 32);
}

function writeHead(out: Uint8Array, mode: number, width: number, divisor: number): void {
  out[0] = mode;
  out[1] = width;
  new DataView(out.buffer).setFloat64(2, divisor, true);
}

/**
 * Sets `offsets`, of all rows, ns after the block's `minNs`. `position` is where the column lies, for errors; `memory`
 * for what is needed on the way.
 */
export function decodeTimestamps(
  raw: Buffer,
  offsets: Float64Array,
  spanNs: bigint,
  position: number,
  memory: ColumnMemory,
): void {
  if (raw.length < HEAD_BYTES) throw new CorruptBlockError('timestamps cut short', position);
  const divisor = raw.readDoubleLE(2);
  if (!Number.isSafeInteger(divisor) || divisor < 1) throw new CorruptBlockError('timestamps without unit', position);
  offsets[0] = 0;
  const last =
    raw[0] === MODE_PACKED
      ? decodePacked(raw, offsets, divisor, position, memory)
      : decodePlanes(raw, offsets, divisor, position);
  if (!(last < MAX_BLOCK_SPAN_NS)) throw new CorruptBlockError('timestamps out of range', position);
  if (BigInt(last) !== spanNs) throw new CorruptBlockError('timestamps do not end at the block’s end', position);
}

/** Returns the last offset; Infinity when they run backwards. */
function decodePlanes(raw: Buffer, offsets: Float64Array, divisor: number, position: number): number {
  const count = offsets.length - 1;
  const mode = raw[0]!;
  const width = raw[1]!;
  if (mode > MODE_DELTA_OF_DELTA || width > MAX_WIDTH)
    throw new CorruptBlockError('timestamps of no known form', position);
  if (raw.length !== HEAD_BYTES + width * count) throw new CorruptBlockError('timestamps of a wrong length', position);
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
  return valid ? offset : Number.POSITIVE_INFINITY;
}

function decodePacked(
  raw: Buffer,
  offsets: Float64Array,
  divisor: number,
  position: number,
  memory: ColumnMemory,
): number {
  const count = offsets.length - 1;
  if (raw.length < PACKED_HEAD_BYTES) throw new CorruptBlockError('timestamps cut short', position);
  const bits = raw[1]!;
  const base = raw.readDoubleLE(10);
  const exceptions = raw.readUInt32LE(18);
  const indexWidth = raw[22]!;
  const valueWidth = raw[23]!;
  if (bits > MAX_BITS || indexWidth > 4 || valueWidth > MAX_WIDTH || exceptions > count) {
    throw new CorruptBlockError('timestamps of no known form', position);
  }
  if (!Number.isSafeInteger(base) || base < 0) throw new CorruptBlockError('timestamps out of range', position);
  const wordCount = wordsOf(count, bits);
  const exceptionsAt = PACKED_HEAD_BYTES + 4 * wordCount;
  if (raw.length !== exceptionsAt + (indexWidth + valueWidth) * exceptions) {
    throw new CorruptBlockError('timestamps of a wrong length', position);
  }
  const indexes = memory.words(exceptions);
  const numbers = memory.floats(exceptions);
  readPlanes(raw, exceptionsAt, indexes, exceptions, indexWidth);
  readPlanes(raw, exceptionsAt + indexWidth * exceptions, numbers, exceptions, valueWidth);
  // One word more than there are, so that the last number may be read as if it ran into the next.
  const words = memory.words(wordCount + 1);
  words[wordCount] = 0;
  new Uint8Array(words.buffer, words.byteOffset, 4 * wordCount).set(raw.subarray(PACKED_HEAD_BYTES, exceptionsAt));
  const mask = bits === 32 ? 0xffffffff : 2 ** bits - 1;
  let offset = 0;
  let at = 0;
  for (let e = 0; e <= exceptions; e++) {
    const end = e < exceptions ? indexes[e]! : count;
    if (end < at || end > count) throw new CorruptBlockError('timestamps out of order', position);
    for (let bit = at * bits; at < end; bit += bits) {
      const word = bit >>> 5;
      const shift = bit & 31;
      // A shift by 32 would be one by 0: in two steps.
      const number = ((words[word]! >>> shift) | ((words[word + 1]! << 1) << (31 - shift))) & mask;
      offset += (base + (number >>> 0)) * divisor;
      offsets[++at] = offset;
    }
    if (e < exceptions) {
      if (end === count) throw new CorruptBlockError('timestamps out of order', position);
      offset += (base + numbers[e]!) * divisor;
      offsets[++at] = offset;
    }
  }
  return offset;
}

function bitLength(value: number): number {
  return value < 2 ** 32 ? 32 - Math.clz32(value) : 64 - Math.clz32(Math.floor(value / 2 ** 32));
}

function greatestCommonDivisor(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
