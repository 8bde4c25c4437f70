import type { Labels } from './labels.ts';

/**
 * Where a stream stands among others when their entries have one timestamp: ascending by xxHash64 of
 * `name 0xff value 0xff …` with seed 0, as Loki orders them (its first 53 bits, which fit a number).
 * `__name__` does not count, as in Loki.
 *
 * xxHash64: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md. Numbers of 64 bits are pairs of 32-bit
 * halves here: bigints cost ten times as much, and a query may look at a hundred thousand streams.
 */
export function streamRank(labels: Labels): number {
  let length = 0;
  for (const [name, value] of labels) {
    if (name === '__name__') continue;
    if (buffer.length < length + 3 * (name.length + value.length) + 2)
      grow(length + 3 * (name.length + value.length) + 2);
    length += buffer.write(name, length, 'utf8');
    buffer[length++] = 0xff;
    length += buffer.write(value, length, 'utf8');
    buffer[length++] = 0xff;
  }
  xxHash64(buffer, length);
  return (hi >>> 0) * 2 ** 21 + (lo >>> 11);
}

/** The hash as a bigint, for tests. */
export function xxHash64Of(bytes: Uint8Array): bigint {
  xxHash64(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), bytes.length);
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

let buffer = Buffer.alloc(1024);
/** The result of the last step. */
let hi = 0;
let lo = 0;

const P1_HI = 0x9e3779b1;
const P1_LO = 0x85ebca87;
const P2_HI = 0xc2b2ae3d;
const P2_LO = 0x27d4eb4f;
const P3_HI = 0x165667b1;
const P3_LO = 0x9e3779f9;
const P4_HI = 0x85ebca77;
const P4_LO = 0xc2b2ae63;
const P5_HI = 0x27d4eb2f;
const P5_LO = 0x165667c5;
/** The four lanes: hi, lo, hi, lo, … */
const lanes = new Int32Array(8);

function grow(atLeast: number): void {
  const larger = Buffer.alloc(Math.max(atLeast, buffer.length * 2));
  buffer.copy(larger);
  buffer = larger;
}

function xxHash64(bytes: Buffer, length: number): void {
  let at = 0;
  if (length >= 32) {
    add(P1_HI, P1_LO, P2_HI, P2_LO);
    lanes.set([hi, lo, P2_HI, P2_LO, 0, 0]);
    add(0, 0, ~P1_HI, ~P1_LO);
    add(hi, lo, 0, 1);
    lanes[6] = hi;
    lanes[7] = lo;
    for (; at + 32 <= length; at += 32) {
      for (let lane = 0; lane < 4; lane++) {
        const from = at + lane * 8;
        round(lanes[lane * 2]!, lanes[lane * 2 + 1]!, bytes.readInt32LE(from + 4), bytes.readInt32LE(from));
        lanes[lane * 2] = hi;
        lanes[lane * 2 + 1] = lo;
      }
    }
    let sumHi = 0;
    let sumLo = 0;
    for (const [lane, bits] of [1, 7, 12, 18].entries()) {
      rotate(lanes[lane * 2]!, lanes[lane * 2 + 1]!, bits);
      add(sumHi, sumLo, hi, lo);
      sumHi = hi;
      sumLo = lo;
    }
    for (let lane = 0; lane < 4; lane++) {
      round(0, 0, lanes[lane * 2]!, lanes[lane * 2 + 1]!);
      multiply(sumHi ^ hi, sumLo ^ lo, P1_HI, P1_LO);
      add(hi, lo, P4_HI, P4_LO);
      sumHi = hi;
      sumLo = lo;
    }
  } else {
    hi = P5_HI;
    lo = P5_LO;
  }
  add(hi, lo, 0, length);
  for (; at + 8 <= length; at += 8) {
    const [accHi, accLo] = [hi, lo];
    round(0, 0, bytes.readInt32LE(at + 4), bytes.readInt32LE(at));
    rotate(accHi ^ hi, accLo ^ lo, 27);
    multiply(hi, lo, P1_HI, P1_LO);
    add(hi, lo, P4_HI, P4_LO);
  }
  if (at + 4 <= length) {
    const [accHi, accLo] = [hi, lo];
    multiply(0, bytes.readInt32LE(at), P1_HI, P1_LO);
    rotate(accHi ^ hi, accLo ^ lo, 23);
    multiply(hi, lo, P2_HI, P2_LO);
    add(hi, lo, P3_HI, P3_LO);
    at += 4;
  }
  for (; at < length; at++) {
    const [accHi, accLo] = [hi, lo];
    multiply(0, bytes[at]!, P5_HI, P5_LO);
    rotate(accHi ^ hi, accLo ^ lo, 11);
    multiply(hi, lo, P1_HI, P1_LO);
  }
  shiftXor(33);
  multiply(hi, lo, P2_HI, P2_LO);
  shiftXor(29);
  multiply(hi, lo, P3_HI, P3_LO);
  lo ^= hi; // shift by 32
}

/** `rotate(acc + input * P2, 31) * P1` */
function round(accHi: number, accLo: number, inputHi: number, inputLo: number): void {
  multiply(inputHi, inputLo, P2_HI, P2_LO);
  add(accHi, accLo, hi, lo);
  rotate(hi, lo, 31);
  multiply(hi, lo, P1_HI, P1_LO);
}

function add(aHi: number, aLo: number, bHi: number, bLo: number): void {
  const sum = (aLo >>> 0) + (bLo >>> 0);
  lo = sum | 0;
  hi = (aHi + bHi + (sum > 0xffffffff ? 1 : 0)) | 0;
}

function multiply(aHi: number, aLo: number, bHi: number, bLo: number): void {
  // The upper half of lo * lo by halves of 16 bits; the rest wraps around by itself.
  const a0 = aLo & 0xffff;
  const a1 = aLo >>> 16;
  const b0 = bLo & 0xffff;
  const b1 = bLo >>> 16;
  const low = a0 * b0;
  const middle = a1 * b0 + (low >>> 16);
  const carry = a0 * b1 + (middle % 0x10000);
  const upper = a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000);
  hi = (upper + Math.imul(aHi, bLo) + Math.imul(aLo, bHi)) | 0;
  lo = Math.imul(aLo, bLo);
}

/** To the left, by less than 32. */
function rotate(aHi: number, aLo: number, bits: number): void {
  hi = (aHi << bits) | (aLo >>> (32 - bits));
  lo = (aLo << bits) | (aHi >>> (32 - bits));
}

/** `x ^= x >>> bits`, for 29 to 33 bits but not 32. */
function shiftXor(bits: number): void {
  if (bits > 32) {
    lo ^= hi >>> (bits - 32);
    return;
  }
  lo ^= (lo >>> bits) | (hi << (32 - bits));
  hi ^= hi >>> bits;
}
