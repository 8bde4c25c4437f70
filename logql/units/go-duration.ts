import { UnitError } from './unit-error.ts';

const MICROSECOND = 1e3;
const MILLISECOND = 1e6;
const SECOND = 1e9;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const UNITS: ReadonlyMap<string, number> = new Map([
  ['ns', 1],
  ['us', MICROSECOND],
  ['µs', MICROSECOND], // U+00B5, micro sign
  ['μs', MICROSECOND], // U+03BC, Greek mu
  ['ms', MILLISECOND],
  ['s', SECOND],
  ['m', MINUTE],
  ['h', HOUR],
]);

/** Largest duration of Go, an int64 of nanoseconds; as a double this is 2^63 itself. */
const MAX_NS = 2 ** 63;

/** More digits than this never reach a valid value and would only cost time. */
const MAX_INTEGER_DIGITS = 19;

/** What fits an int64; the rest is below a nanosecond in every unit. */
const MAX_FRACTION_DIGITS = 18;

/**
 * Go's `time.ParseDuration`: signed sequence of decimal numbers with units (`1h30m`, `-1.5h`, `100ns`). Returns
 * nanoseconds; beyond 2^53 (104 days) they are rounded to a double.
 */
export function parseGoDuration(text: string): number {
  let i = 0;
  const first = text.charCodeAt(0);
  const negative = first === 0x2d;
  if (negative || first === 0x2b) i = 1;
  const n = text.length;
  if (n - i === 1 && text[i] === '0') return 0;
  if (i === n) throw invalid(text);
  let total = 0;
  while (i < n) {
    const integerFrom = i;
    i = skipDigits(text, i);
    const integerTo = i;
    let fractionTo = i;
    const hasPoint = text.charCodeAt(i) === 0x2e;
    if (hasPoint) fractionTo = i = skipDigits(text, i + 1);
    const hasFraction = hasPoint && fractionTo > integerTo + 1;
    if (integerTo === integerFrom && !hasFraction) throw invalid(text);
    const unitFrom = i;
    while (i < n && !isNumberPart(text.charCodeAt(i))) i++;
    if (i === unitFrom) throw new UnitError(`time: missing unit in duration ${quoteForTime(text)}`);
    const name = text.slice(unitFrom, i);
    const unit = UNITS.get(name);
    if (unit === undefined) {
      throw new UnitError(`time: unknown unit ${quoteForTime(name)} in duration ${quoteForTime(text)}`);
    }
    const integer = integerValue(text, integerFrom, integerTo) * unit;
    if (integer > MAX_NS) throw invalid(text);
    total += integer;
    if (hasFraction) total += fractionValue(text, integerTo + 1, fractionTo, unit);
    if (total > MAX_NS) throw invalid(text);
  }
  return negative ? -total : total;
}

/** Go's `Duration.String`: `1h30m0s`, `1.5ms`, `0s`. A bigint prints exactly beyond 104 days, too. */
export function formatGoDuration(ns: number | bigint): string {
  if (typeof ns === 'bigint') {
    const hours = ns / BigInt(HOUR);
    if (hours < 0n || hours < 1000n) return formatGoDuration(Number(ns));
    const rest = formatGoDuration(Number(ns % BigInt(HOUR)) + HOUR); // at least an hour, so that minutes are printed
    return `${hours}${rest.slice(rest.indexOf('h'))}`;
  }
  if (ns === 0) return '0s';
  const sign = ns < 0 ? '-' : '';
  const value = Math.abs(ns);
  if (value < MICROSECOND) return `${sign}${value}ns`;
  if (value < MILLISECOND) return `${sign}${withFraction(value, MICROSECOND, 3)}µs`;
  if (value < SECOND) return `${sign}${withFraction(value, MILLISECOND, 6)}ms`;
  const hours = Math.floor(value / HOUR);
  const minutes = Math.floor((value % HOUR) / MINUTE);
  const seconds = `${withFraction(value % MINUTE, SECOND, 9)}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : sign + seconds;
}

function withFraction(value: number, unit: number, digits: number): string {
  const rest = value % unit;
  const whole = `${Math.floor(value / unit)}`;
  return rest === 0 ? whole : `${whole}.${String(rest).padStart(digits, '0').replace(/0+$/, '')}`;
}

function integerValue(text: string, from: number, to: number): number {
  if (from === to) return 0;
  while (from < to - 1 && text.charCodeAt(from) === 0x30) from++;
  if (to - from > MAX_INTEGER_DIGITS) return Number.POSITIVE_INFINITY;
  return Number(text.slice(from, to));
}

/** As Go computes it, digits as an integer times unit over scale: nanoseconds come out exact. Cut, not rounded. */
function fractionValue(text: string, from: number, to: number, unit: number): number {
  const end = Math.min(to, from + MAX_FRACTION_DIGITS);
  return Math.trunc(Number(text.slice(from, end)) * (unit / 10 ** (end - from)));
}

function skipDigits(text: string, i: number): number {
  while (isDigit(text.charCodeAt(i))) i++;
  return i;
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

function isNumberPart(unit: number): boolean {
  return unit === 0x2e || isDigit(unit);
}

function invalid(text: string): UnitError {
  return new UnitError(`time: invalid duration ${quoteForTime(text)}`);
}

/** Package time quotes by itself, without strconv: everything that is not printable ASCII becomes `\xHH` bytes. */
export function quoteForTime(text: string): string {
  let out = '"';
  for (const byte of Buffer.from(text, 'utf8')) {
    if (byte === 0x22 || byte === 0x5c) out += `\\${String.fromCharCode(byte)}`;
    else if (byte < 0x20 || byte >= 0x80) out += `\\x${byte.toString(16).padStart(2, '0')}`;
    else out += String.fromCharCode(byte);
  }
  return `${out}"`;
}
