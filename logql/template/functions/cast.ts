import { parseGoFloat, UnitError } from '../../units/index.ts';
import { parseInt64 } from '../number-literal.ts';
import { Integer, type Value } from '../value.ts';

const MIN_INT64 = -(2n ** 63n);
const DECIMAL = /^([-+]?[0-9]*)(?:\.[0-9]*)?$/;

/** The int64 of any value, as the Go package cast makes it: what cannot be one is 0. */
export function toInt64(value: Value): bigint {
  if (typeof value === 'string') return textToInt64(value);
  if (typeof value === 'number') return floatToInt64(value);
  if (typeof value === 'boolean') return value ? 1n : 0n;
  return value instanceof Integer ? value.value : 0n;
}

/** The part before a decimal point counts; a prefix `0x`, `0o`, `0b`, `0` is understood. */
function textToInt64(text: string): bigint {
  const whole = text.includes('.') ? DECIMAL.exec(text)?.[1] : text;
  if (whole === undefined || whole === '' || whole === '-' || whole === '+') return 0n;
  return parseInt64(whole) ?? 0n;
}

/** As amd64 converts: what does not fit becomes the smallest int64. */
function floatToInt64(value: number): bigint {
  if (!(Math.abs(value) < 2 ** 63)) return MIN_INT64;
  return BigInt(Math.trunc(value));
}

/** The float64 of any value; what cannot be one is 0. */
export function toFloat64(value: Value): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'string') {
    if (value === '') return 0;
    try {
      return parseGoFloat(value);
    } catch (error: unknown) {
      if (error instanceof UnitError) return 0;
      throw error;
    }
  }
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value instanceof Integer ? Number(value.value) : 0;
}
