import { decodeUtf8, quoteGo } from '../../units/index.ts';
import { FunctionError } from '../function-error.ts';

/** Go's `url.QueryEscape`: a space is `+`, letters, digits and `-_.~` stay. */
export function queryEscape(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

/** Go's `url.QueryUnescape`. */
export function queryUnescape(text: string): string {
  const bad = /%(?![0-9a-fA-F]{2})/.exec(text);
  if (bad !== null) {
    const shown = [...Buffer.from(text.slice(bad.index)).subarray(0, 3)];
    throw new FunctionError(`invalid URL escape ${quoteGo(decodeUtf8(Uint8Array.from(shown)))}`);
  }
  const plain = text.replaceAll('+', ' ');
  if (!plain.includes('%')) return plain;
  const source = Buffer.from(plain, 'utf8');
  const out: number[] = [];
  for (let i = 0; i < source.length; i++) {
    if (source[i] !== 0x25) {
      out.push(source[i]!);
      continue;
    }
    out.push(Number.parseInt(source.toString('latin1', i + 1, i + 3), 16));
    i += 2;
  }
  return decodeUtf8(Uint8Array.from(out));
}
