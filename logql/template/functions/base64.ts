import { decodeUtf8 } from '../../units/index.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Missing padding is added, if it is not too much; a bad text gives Go's error as the result. */
export function decodeBase64(text: string): string {
  const remainder = Buffer.byteLength(text) % 4;
  const padded = remainder > 1 ? text + '='.repeat(4 - remainder) : text;
  const bytes = Buffer.from(padded, 'utf8');
  const bad = firstBadByte(bytes);
  if (bad >= 0) return `illegal base64 data at input byte ${bad}`;
  return decodeUtf8(Buffer.from(padded, 'base64'));
}

/** Offset that Go's decoder complains about; -1 when it takes the text. Line breaks are skipped. */
function firstBadByte(bytes: Uint8Array): number {
  let i = 0;
  const skipBreaks = () => {
    while (bytes[i] === 0x0a || bytes[i] === 0x0d) i++;
  };
  for (;;) {
    let filled = 0;
    while (filled < 4) {
      skipBreaks();
      if (i === bytes.length) return filled === 0 ? -1 : i - filled;
      const char = String.fromCharCode(bytes[i++]!);
      if (ALPHABET.includes(char)) {
        filled++;
        continue;
      }
      if (char !== '=' || filled < 2) return i - 1;
      if (filled === 2) {
        skipBreaks();
        if (i === bytes.length) return bytes.length;
        if (bytes[i] !== 0x3d) return i - 1;
        i++;
      }
      skipBreaks();
      return i < bytes.length ? i : -1;
    }
  }
}
