/*
 * Large arrays that grow with what a query finds are used again by the next query of the thread. What is fresh costs as much as
 * filling it, and V8 looks at all that is alive once so many bytes of buffers were made: with tens of MB a query, at
 * each of them. What is not given back, as when a query is given up, is garbage like any other.
 */

/** Smaller arrays are always new. */
const MIN_KEPT_BYTES = 64 * 1024;
/** What a thread keeps at most. */
export const MAX_KEPT_BYTES = 48 * 1024 * 1024;
/** Of which size nobody has taken one for this long, all are let go. */
const IDLE_MS = 10_000;

interface SameSize {
  readonly buffers: ArrayBuffer[];
  /** Since the last look. */
  isWanted: boolean;
}

/** By their size in bytes. */
const kept = new Map<number, SameSize>();
let keptBytes = 0;
let looks: NodeJS.Timeout | null = null;

/** A length for arrays that may be longer than needed: sizes that come again are used again. */
export function roundLength(length: number): number {
  return length <= 1 ? length : 2 ** (32 - Math.clz32(length - 1));
}

/** As many zeros, of an array that may be longer. */
export function someUint32(length: number): Uint32Array<ArrayBuffer> {
  return takeUint32(roundLength(length)).subarray(0, length);
}

/** As many zeros, of an array that may be longer. */
export function someFloat64(length: number): Float64Array<ArrayBuffer> {
  return takeFloat64(roundLength(length)).subarray(0, length);
}

/** Zeros. */
export function takeUint32(length: number): Uint32Array<ArrayBuffer> {
  const buffer = take(4 * length);
  return buffer === null ? new Uint32Array(length) : new Uint32Array(buffer).fill(0);
}

/** Zeros. */
export function takeFloat64(length: number): Float64Array<ArrayBuffer> {
  const buffer = take(8 * length);
  return buffer === null ? new Float64Array(length) : new Float64Array(buffer).fill(0);
}

/** With anything in them. */
export function takeBytes(length: number): Uint8Array<ArrayBuffer> {
  const buffer = take(length);
  return buffer === null ? new Uint8Array(length) : new Uint8Array(buffer);
}

/** Nobody looks at the array any more, nor at others over its buffer. Kept are sizes that `roundLength` makes. */
export function giveBack({ buffer }: Uint8Array | Uint32Array | Float64Array): void {
  const { byteLength } = buffer;
  if (byteLength < MIN_KEPT_BYTES || roundLength(byteLength) !== byteLength) return;
  if (keptBytes + byteLength > MAX_KEPT_BYTES || !(buffer instanceof ArrayBuffer)) return;
  const same = kept.get(byteLength);
  if (same === undefined) kept.set(byteLength, { buffers: [buffer], isWanted: true });
  else same.buffers.push(buffer);
  keptBytes += byteLength;
  looks ??= setInterval(letGoOfIdle, IDLE_MS).unref();
}

/** Bytes that wait to be taken. */
export function keptMemory(): number {
  return keptBytes;
}

function take(bytes: number): ArrayBuffer | null {
  if (bytes < MIN_KEPT_BYTES) return null;
  const same = kept.get(bytes);
  const buffer = same?.buffers.pop();
  if (same === undefined || buffer === undefined) return null;
  same.isWanted = true;
  keptBytes -= bytes;
  return buffer;
}

function letGoOfIdle(): void {
  for (const [bytes, same] of kept) {
    if (!same.isWanted) {
      keptBytes -= bytes * same.buffers.length;
      kept.delete(bytes);
    }
    same.isWanted = false;
  }
  if (kept.size > 0 || looks === null) return;
  clearInterval(looks);
  looks = null;
}
