/**
 * Whole numbers as byte planes: first the lowest byte of every number, then the second, up to `width`. Neighbours in a
 * plane are alike, which suits zstd better than varints, and reading needs no branch per number.
 */

/** Bytes that the largest of `values` needs; 0 when all are 0. */
export function planeWidth(values: Float64Array | Uint32Array, count: number): number {
  let max = 0;
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    if (value > max) max = value;
  }
  let width = 0;
  for (; max >= 1; max = Math.floor(max / 256)) width++;
  return width;
}

/** Writes `width * count` bytes at `at`. Values are whole, from 0 to below 2^53. */
export function writePlanes(
  out: Uint8Array,
  at: number,
  values: Float64Array | Uint32Array,
  count: number,
  width: number,
): void {
  for (let plane = 0; plane < width; plane++) {
    const to = at + plane * count;
    if (plane < 4) {
      const shift = plane * 8;
      for (let i = 0; i < count; i++) out[to + i] = values[i]! >>> shift; // the store keeps the low 8 bits
    } else {
      const divisor = 256 ** plane;
      for (let i = 0; i < count; i++) out[to + i] = Math.floor(values[i]! / divisor);
    }
  }
}

/** Sets `out[0 .. count)`. */
export function readPlanes(
  bytes: Uint8Array,
  at: number,
  out: Float64Array | Uint32Array,
  count: number,
  width: number,
): void {
  // One pass for the usual widths, in 32-bit arithmetic; planes above go on top.
  const b = at + count;
  const c = b + count;
  const d = c + count;
  switch (width) {
    case 0:
      out.fill(0, 0, count);
      return;
    case 1:
      for (let i = 0; i < count; i++) out[i] = bytes[at + i]!;
      return;
    case 2:
      for (let i = 0; i < count; i++) out[i] = bytes[at + i]! | (bytes[b + i]! << 8);
      return;
    case 3:
      for (let i = 0; i < count; i++) out[i] = bytes[at + i]! | (bytes[b + i]! << 8) | (bytes[c + i]! << 16);
      return;
    default:
      for (let i = 0; i < count; i++) {
        out[i] = (bytes[at + i]! | (bytes[b + i]! << 8) | (bytes[c + i]! << 16) | (bytes[d + i]! << 24)) >>> 0;
      }
  }
  for (let plane = 4; plane < width; plane++) {
    const from = at + plane * count;
    const factor = 256 ** plane;
    for (let i = 0; i < count; i++) out[i]! += bytes[from + i]! * factor;
  }
}
