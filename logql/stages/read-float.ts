import { parseGoFloat } from '../units/index.ts';

/** Digits beyond these may not be exact when they are added up. */
const MAX_EXACT_DIGITS = 15;

/**
 * `parseGoFloat` with a short way for plain decimal integers, which most values of logs are: status codes, sizes,
 * milliseconds. Throws `UnitError`.
 */
export function readFloat(text: string): number {
  const length = text.length;
  if (length === 0 || length > MAX_EXACT_DIGITS) return parseGoFloat(text);
  let value = 0;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return parseGoFloat(text);
    value = value * 10 + digit;
  }
  return value;
}
