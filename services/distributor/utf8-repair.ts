const SPACE = 0x20;

/**
 * Bytes with a space for each byte that is not UTF-8, and for each U+FFFD, as Loki cleans metadata values. Returns
 * `value` itself when there is nothing to clean.
 */
export function repairUtf8(value: Uint8Array): Uint8Array {
  let at = 0;
  let out: number[] | null = null;
  while (at < value.length) {
    const width = characterWidth(value, at);
    const isReplacement = width === 3 && value[at] === 0xef && value[at + 1] === 0xbf && value[at + 2] === 0xbd;
    if (width === 0 || isReplacement) {
      out ??= [...value.subarray(0, at)];
      out.push(SPACE);
      at += width || 1;
      continue;
    }
    if (out !== null) for (let i = 0; i < width; i++) out.push(value[at + i]!);
    at += width;
  }
  return out === null ? value : Uint8Array.from(out);
}

/** Bytes of the character at `at` (RFC 3629), 0 when it is not one. */
function characterWidth(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const second = bytes[at + 1] ?? 0;
  if (first < 0xc2 || first > 0xf4) return 0;
  if (first < 0xe0) return isTail(second) ? 2 : 0;
  const third = bytes[at + 2] ?? 0;
  if (first < 0xf0) {
    const low = first === 0xe0 ? 0xa0 : 0x80;
    const high = first === 0xed ? 0x9f : 0xbf;
    return second >= low && second <= high && isTail(third) ? 3 : 0;
  }
  const low = first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xf4 ? 0x8f : 0xbf;
  return second >= low && second <= high && isTail(third) && isTail(bytes[at + 3] ?? 0) ? 4 : 0;
}

const isTail = (byte: number): boolean => (byte & 0xc0) === 0x80;
