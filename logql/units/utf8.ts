/**
 * Lines and labels are bytes in Loki and strings here. Where Go counts or cuts bytes, these functions do it on the
 * UTF-8 form without making it. Bytes that are not UTF-8 become U+FFFD, one each, as Go's `range` over a string
 * reads them.
 */

/** Length of the UTF-8 form. A lone surrogate counts as U+FFFD, three bytes. */
export function utf8Length(text: string): number {
  const n = text.length;
  let bytes = n;
  for (let i = 0; i < n; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      bytes += 1;
    } else if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(i + 1))) {
      bytes += 2;
      i++;
    } else {
      bytes += 2;
    }
  }
  return bytes;
}

/**
 * Bytes `start` to `end` (exclusive) of the UTF-8 form; the caller keeps both within the length. A character that is
 * cut leaves one U+FFFD for each byte of it that remains.
 */
export function utf8Slice(text: string, start: number, end: number): string {
  let out = '';
  let at = 0;
  let runFrom = -1;
  const n = text.length;
  for (let i = 0; i < n && at < end; ) {
    const point = text.codePointAt(i)!;
    const units = point > 0xffff ? 2 : 1;
    const next = at + byteWidth(point);
    if (at >= start && next <= end) {
      if (runFrom < 0) runFrom = i;
    } else {
      if (runFrom >= 0) out += text.slice(runFrom, i);
      runFrom = -1;
      const kept = Math.min(next, end) - Math.max(at, start);
      if (kept > 0) out += '\ufffd'.repeat(kept);
    }
    at = next;
    i += units;
    if (at >= end) {
      if (runFrom >= 0) out += text.slice(runFrom, i);
      return out;
    }
  }
  return runFrom >= 0 ? out + text.slice(runFrom) : out;
}

/** The byte at an offset of the UTF-8 form, which the caller keeps within the length. */
export function utf8At(text: string, index: number): number {
  let at = 0;
  for (const char of text) {
    const next = at + byteWidth(char.codePointAt(0)!);
    if (index < next) return Buffer.from(char, 'utf8')[index - at]!;
    at = next;
  }
  throw new RangeError(`byte ${index} of ${at}`);
}

/** Text of bytes; each byte that is not part of valid UTF-8 becomes one U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  let out = '';
  let validFrom = 0;
  const n = bytes.length;
  for (let i = 0; i < n; ) {
    const width = sequenceWidth(bytes, i);
    if (width > 0) {
      i += width;
      continue;
    }
    out += `${validText(bytes, validFrom, i)}\ufffd`;
    i++;
    validFrom = i;
  }
  return out + validText(bytes, validFrom, n);
}

function validText(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8');
}

function byteWidth(point: number): number {
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

/** Width of the valid sequence at `i`, 0 when there is none (RFC 3629: shortest form, no surrogates). */
function sequenceWidth(bytes: Uint8Array, i: number): number {
  const lead = bytes[i]!;
  if (lead < 0x80) return 1;
  const second = bytes[i + 1] ?? 0;
  if (lead >= 0xc2 && lead <= 0xdf) return isTail(second) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const low = lead === 0xe0 ? 0xa0 : 0x80;
    const high = lead === 0xed ? 0x9f : 0xbf;
    return second >= low && second <= high && isTail(bytes[i + 2] ?? 0) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const low = lead === 0xf0 ? 0x90 : 0x80;
    const high = lead === 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high && isTail(bytes[i + 2] ?? 0) && isTail(bytes[i + 3] ?? 0) ? 4 : 0;
  }
  return 0;
}

function isTail(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
