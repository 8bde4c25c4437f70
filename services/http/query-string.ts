import { quoteGo } from '../../logql/units/index.ts';
import { HttpError } from './http-error.ts';

/**
 * Query strings and form bodies as Go reads them: `&` parts, `+` is a space, `;` is refused. Like Go, the first mistake is
 * the error and the parts before it do not matter. Throws HttpError 400.
 */
export function parseQueryString(text: string, into: URLSearchParams = new URLSearchParams()): URLSearchParams {
  for (const part of text.split('&')) {
    if (part === '') continue;
    if (part.includes(';')) throw new HttpError(400, 'invalid semicolon separator in query');
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    into.append(unescapePart(name), equals < 0 ? '' : unescapePart(part.slice(equals + 1)));
  }
  return into;
}

function unescapePart(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  return spaced.includes('%') ? percentDecode(spaced) : spaced;
}

/** `%41` → `A`; bytes that are no UTF-8 become U+FFFD. Throws HttpError 400 in Go's words. */
export function percentDecode(text: string): string {
  const bytes: number[] = [];
  const source = Buffer.from(text, 'utf8');
  for (let at = 0; at < source.length; at++) {
    if (source[at] !== 0x25) {
      bytes.push(source[at]!);
      continue;
    }
    const escaped = source.subarray(at, at + 3).toString('utf8');
    if (!/^%[0-9a-fA-F]{2}$/.test(escaped)) throw new HttpError(400, `invalid URL escape ${quoteGo(escaped)}`);
    bytes.push(Number.parseInt(escaped.slice(1), 16));
    at += 2;
  }
  return Buffer.from(bytes).toString('utf8');
}
