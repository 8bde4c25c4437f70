/**
 * Byte strings: JavaScript strings in which each character is one byte of UTF-8 (see `source.ts`). They are what
 * scanners read; text is what people and templates see.
 */

const HIGH_BYTE = /[\x80-\xff]/;
const NON_ASCII = /[^\x00-\x7f]/;

/** Text of a byte string; bytes that are not UTF-8 become U+FFFD. */
export function decodeUtf8(bytes: string): string {
  return HIGH_BYTE.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;
}

/** The byte string of a text. */
export function encodeUtf8(text: string): string {
  return NON_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

export function isAscii(text: string): boolean {
  return !NON_ASCII.test(text);
}

/**
 * Text of a byte string as Loki makes label values of it: each byte that is not UTF-8, and U+FFFD itself, becomes a
 * space.
 */
export function decodeLabelValue(bytes: string): string {
  if (!HIGH_BYTE.test(bytes)) return bytes;
  const text = Buffer.from(bytes, 'latin1').toString('utf8');
  return text.includes('\ufffd') ? spacesForInvalid(bytes) : text;
}

/** The decoder would join up to three bytes of a cut sequence to one U+FFFD; each of them is a space here. */
function spacesForInvalid(bytes: string): string {
  let result = '';
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    const text = length === 0 ? ' ' : decodeUtf8(bytes.slice(at, at + length));
    result += text === '\ufffd' ? ' ' : text;
    at += Math.max(1, length);
  }
  return result;
}

/** Length of the well-formed sequence at `at`, 0 when there is none. */
function sequenceLength(bytes: string, at: number): number {
  const first = bytes.charCodeAt(at);
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0 || first > 0xf4 || at + length > bytes.length) return 0;
  for (let i = 1; i < length; i++) if ((bytes.charCodeAt(at + i) & 0xc0) !== 0x80) return 0;
  const second = bytes.charCodeAt(at + 1);
  if (first === 0xe0 && second < 0xa0) return 0;
  if (first === 0xed && second > 0x9f) return 0;
  if (first === 0xf0 && second < 0x90) return 0;
  if (first === 0xf4 && second > 0x8f) return 0;
  return length;
}

/**
 * A copy that holds on to nothing. V8 makes slices of 13 characters and more views of their parent, so that one kept
 * label value would keep its whole block.
 */
export function detach(text: string): string {
  if (text.length < 13) return text;
  return isAscii(text)
    ? Buffer.from(text, 'latin1').toString('latin1')
    : Buffer.from(text, 'utf16le').toString('utf16le');
}

/** The text with the letters A to Z in lower case, and nothing else changed. */
export function lowerAscii(text: string): string {
  return isAscii(text) ? text.toLowerCase() : text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
