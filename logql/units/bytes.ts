import { parseGoFloat } from './float.ts';
import { UnitError } from './unit-error.ts';

const SIZES = sizes();

function sizes(): ReadonlyMap<string, number> {
  const table = new Map([
    ['', 1],
    ['b', 1],
  ]);
  for (const [i, letter] of [...'kmgtpe'].entries()) {
    table.set(letter, 1000 ** (i + 1)).set(`${letter}b`, 1000 ** (i + 1));
    table.set(`${letter}i`, 1024 ** (i + 1)).set(`${letter}ib`, 1024 ** (i + 1));
  }
  return table;
}

/** Go's `unicode.IsDigit` and the two marks that a number may have. */
const NUMBER = /^[\p{Nd}.,]*/u;

/**
 * Sizes as the Go package humanize reads them: `10MB`, `10 mib`, `1,000`, any case; decimal prefixes are powers of
 * 1000, `i` powers of 1024. Returns whole bytes.
 */
export function parseBytes(text: string): number {
  const number = NUMBER.exec(text)![0];
  const value = parseGoFloat(number.includes(',') ? number.replaceAll(',', '') : number);
  const name = text.slice(number.length).trim().toLowerCase();
  const size = SIZES.get(name);
  if (size === undefined) throw new UnitError(`unhandled size name: ${name}`);
  const bytes = value * size;
  if (bytes >= 2 ** 64) throw new UnitError(`too large: ${text}`);
  return Math.trunc(bytes);
}

const DECIMAL_NAMES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
const BINARY_NAMES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** Humanize's decimal form with two significant digits: `5.1 kB`, `83 MB`, `999 B`. */
export function formatBytes(n: number): string {
  return format(n, 1000, DECIMAL_NAMES);
}

/** Humanize's binary form with two significant digits: `5.1 KiB`, `83 MiB`, `1000 B`. */
export function formatBinaryBytes(n: number): string {
  return format(n, 1024, BINARY_NAMES);
}

function format(n: number, base: number, names: readonly string[]): string {
  if (n < 10) return `${n} B`;
  const exponent = Math.floor(Math.log(n) / Math.log(base));
  const value = Math.floor((n / base ** exponent) * 10 + 0.5) / 10;
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${names[exponent]}`;
}
