import { quoteGo } from './go-quote.ts';
import { UnitError } from './unit-error.ts';

const DECIMAL = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;
const INFINITY = /^[+-]?inf(?:inity)?$/i;
const HEXADECIMAL = /^([+-]?)0[xX](_?[0-9a-fA-F][0-9a-fA-F_]*|)(?:\.([0-9a-fA-F_]*))?[pP]([+-]?[0-9][0-9_]*)$/;

/** Go's `strconv.ParseFloat(text, 64)`. `inf`, `infinity` and `nan` in any case; hexadecimal with exponent (`0x1p-2`). */
export function parseGoFloat(text: string): number {
  const digits = text.includes('_') ? withoutSeparators(text) : text;
  if (DECIMAL.test(digits)) {
    const value = Number(digits);
    if (!Number.isFinite(value)) throw rangeError(text);
    return value;
  }
  if (INFINITY.test(text)) return text[0] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (/^nan$/i.test(text)) return Number.NaN;
  return parseHexadecimal(text);
}

function parseHexadecimal(text: string): number {
  const match = HEXADECIMAL.exec(text);
  if (match === null) throw syntaxError(text);
  const [, sign, whole = '', fraction = '', exponent = ''] = match;
  if (!underscoresBetweenDigits(text)) throw syntaxError(text);
  const fractionDigits = fraction.replaceAll('_', '');
  const digits = whole.replaceAll('_', '') + fractionDigits;
  if (digits === '') throw syntaxError(text);
  const shift = Number(exponent.replaceAll('_', '')) - 4 * fractionDigits.length;
  const value = scaleBinary(BigInt(`0x${digits}`), shift);
  if (!Number.isFinite(value)) throw rangeError(text);
  return sign === '-' ? -value : value;
}

/** `1_000` is 1000 to Go; an underscore anywhere else than between two digits stays, and is an error. */
function withoutSeparators(text: string): string {
  return text.replaceAll(/(?<=[0-9])_(?=[0-9])/g, '');
}

/** In Go's literals an underscore stands between two digits or between the prefix and a digit. */
function underscoresBetweenDigits(text: string): boolean {
  return !/_(?![0-9a-fA-F])|(?<![0-9a-fA-FxX])_/.test(text);
}

/** mantissa · 2^shift, rounded once to the nearest double, ties to even. */
function scaleBinary(mantissa: bigint, shift: number): number {
  if (mantissa === 0n) return 0;
  const bits = mantissa.toString(2).length;
  const exponent = bits + shift; // value is in [2^(exponent-1), 2^exponent)
  if (exponent > 1024) return Number.POSITIVE_INFINITY;
  if (exponent < -1074) return 0;
  const precision = exponent >= -1021 ? 53 : exponent + 1074; // fewer bits for subnormal numbers
  const drop = bits - precision;
  if (drop <= 0) return twoTo(Number(mantissa), shift);
  const cut = BigInt(drop);
  let kept = mantissa >> cut;
  const rest = mantissa - (kept << cut);
  const half = 1n << (cut - 1n);
  if (rest > half || (rest === half && (kept & 1n) === 1n)) kept++;
  return twoTo(Number(kept), shift + drop);
}

/** value · 2^exponent in two exact steps: 2^exponent alone may lie outside the doubles. */
function twoTo(value: number, exponent: number): number {
  const half = Math.trunc(exponent / 2);
  return value * 2 ** half * 2 ** (exponent - half);
}

function syntaxError(text: string): UnitError {
  return new UnitError(`strconv.ParseFloat: parsing ${quoteGo(text)}: invalid syntax`);
}

function rangeError(text: string): UnitError {
  return new UnitError(`strconv.ParseFloat: parsing ${quoteGo(text)}: value out of range`);
}

/** A sample value in an answer: shortest decimal that reads back the same, never an exponent; `NaN`, `+Inf`, `-Inf`. */
export function formatSampleValue(value: number): string {
  if (!Number.isFinite(value)) return nonFinite(value);
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  const e = text.indexOf('e');
  return e < 0 ? text : expand(text, e);
}

/** Go's `%v` of a float64: shortest digits, an exponent below 1e-4 and from 1e+06 on, as strconv's `g`. */
export function formatGoFloat(value: number): string {
  if (!Number.isFinite(value)) return nonFinite(value);
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const text = value.toExponential();
  const e = text.indexOf('e');
  const exponent = Number(text.slice(e + 1));
  if (exponent < -4 || exponent >= FIRST_EXPONENT) {
    const size = String(Math.abs(exponent)).padStart(2, '0');
    return `${text.slice(0, e)}e${exponent < 0 ? '-' : '+'}${size}`;
  }
  return formatSampleValue(value);
}

/** From this power of ten on, the shortest `g` is written with an exponent. */
const FIRST_EXPONENT = 6;

function nonFinite(value: number): string {
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

function expand(text: string, e: number): string {
  const negative = text[0] === '-';
  const [whole = '', fraction = ''] = text.slice(negative ? 1 : 0, e).split('.');
  const digits = whole + fraction;
  const point = whole.length + Number(text.slice(e + 1));
  const plain = point <= 0 ? `0.${'0'.repeat(-point)}${digits}` : digits.padEnd(point, '0');
  return negative ? `-${plain}` : plain;
}
