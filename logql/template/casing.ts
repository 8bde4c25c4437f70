/**
 * Go maps case character by character by Unicode's simple mappings. JavaScript maps texts: ß becomes SS, İ two
 * characters, and a final Σ differs. So everything that is not ASCII goes one by one here.
 */

const ASCII = /^[\x00-\x7f]*$/;

export function toUpper(text: string): string {
  return ASCII.test(text) ? text.toUpperCase() : mapChars(text, upperChar);
}

export function toLower(text: string): string {
  return ASCII.test(text) ? text.toLowerCase() : mapChars(text, lowerChar);
}

/** Go's deprecated `strings.Title`: the first letter of each word in title case. */
export function toTitle(text: string): string {
  let out = '';
  let startsWord = true;
  for (const char of text) {
    out += startsWord ? titleChar(char) : char;
    startsWord = isSeparator(char);
  }
  return out;
}

function mapChars(text: string, map: (char: string) => string): string {
  let out = '';
  for (const char of text) out += map(char);
  return out;
}

function lowerChar(char: string): string {
  return char === '\u0130' ? 'i' : char.toLowerCase();
}

function upperChar(char: string): string {
  const upper = char.toUpperCase();
  if (upper.length <= char.length) return upper;
  // More than one character: simple mappings have one only for Greek letters with iota subscript.
  const code = char.codePointAt(0)!;
  if (code >= 0x1f80 && code <= 0x1faf) return String.fromCodePoint(code | 8);
  if (code === 0x1fb3 || code === 0x1fc3 || code === 0x1ff3) return String.fromCodePoint(code + 9);
  return char;
}

const TITLE: Readonly<Record<string, string>> = {
  Ǆ: 'ǅ',
  ǅ: 'ǅ',
  ǆ: 'ǅ',
  Ǉ: 'ǈ',
  ǈ: 'ǈ',
  ǉ: 'ǈ',
  Ǌ: 'ǋ',
  ǋ: 'ǋ',
  ǌ: 'ǋ',
  Ǳ: 'ǲ',
  ǲ: 'ǲ',
  ǳ: 'ǲ',
};

function titleChar(char: string): string {
  // Georgian letters have capitals but no title case.
  if (/^[\u10d0-\u10ff]$/.test(char)) return char;
  return TITLE[char] ?? upperChar(char);
}

function isSeparator(char: string): boolean {
  if (char < '\x80') return !/[0-9A-Za-z_]/.test(char);
  if (/^[\p{L}\p{Nd}]$/u.test(char)) return false;
  return IS_SPACE.test(char);
}

const IS_SPACE = /^[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]$/;

/** Go's `strings.TrimSpace`; unlike `trim` it takes U+0085 and leaves U+FEFF. */
export function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && IS_SPACE.test(text[start]!)) start++;
  while (end > start && IS_SPACE.test(text[end - 1]!)) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}
