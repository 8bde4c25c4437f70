import { parseGoFloat } from '../units/index.ts';

/** Digits beyond these may not be exact when they are added up. */
const MAX_EXACT_DIGITS = 15;

/**
 * `parseGoFloat` with a short way for plain decimal numbers, which most values of logs are: status codes, sizes,
 * milliseconds. Digits and the power of ten are exact doubles, so that their quotient is the nearest one (Clinger 1990).
 * Throws `UnitError`.
 */
export function readFloat(text: string): number {
  const length = text.length;
  if (length > MAX_EXACT_DIGITS) return parseGoFloat(text);
  let value = 0;
  let point = -1;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit >= 0 && digit <= 9) value = value * 10 + digit;
    else if (digit === POINT && point < 0) point = i;
    else return parseGoFloat(text);
  }
  const digits = point < 0 ? length : length - 1;
  if (digits === 0) return parseGoFloat(text);
  return point < 0 ? value : value / POWERS_OF_TEN[length - 1 - point]!;
}

/** The same of ASCII bytes; NaN where `readFloat` must look at them. */
export function readPlainFloat(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length > MAX_EXACT_DIGITS) return Number.NaN;
  let value = 0;
  let point = -1;
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - 0x30;
    if (digit >= 0 && digit <= 9) value = value * 10 + digit;
    else if (digit === POINT && point < 0) point = i;
    else return Number.NaN;
  }
  const digits = point < 0 ? length : length - 1;
  if (digits === 0) return Number.NaN;
  return point < 0 ? value : value / POWERS_OF_TEN[end - 1 - point]!;
}

/** As a digit. */
const POINT = -2;
const POWERS_OF_TEN = Float64Array.from({ length: MAX_EXACT_DIGITS }, (_, i) => 10 ** i);
