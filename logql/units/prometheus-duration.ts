import { quoteGo } from './go-quote.ts';
import { UnitError } from './unit-error.ts';

const MS = 1e6;

/** From big to small, which is the only order a text may have them in. Nanoseconds. */
const UNITS: readonly (readonly [name: string, ns: number])[] = [
  ['y', 365 * 86_400_000 * MS],
  ['w', 7 * 86_400_000 * MS],
  ['d', 86_400_000 * MS],
  ['h', 3_600_000 * MS],
  ['m', 60_000 * MS],
  ['s', 1000 * MS],
  ['ms', MS],
];

const PART = /([0-9]+)([^0-9]*)/y;

/** Largest duration of Go, an int64 of nanoseconds. */
const MAX_NS = 2 ** 63;

/** The duration of Prometheus (`5m`, `1h30m`, `1d2h`; integers, units descending, no sign). Returns nanoseconds. */
export function parsePrometheusDuration(text: string): number {
  if (text === '0') return 0;
  if (text === '') throw new UnitError('empty duration string');
  let total = 0;
  let last = -1;
  PART.lastIndex = 0;
  for (let from = 0; from < text.length; from = PART.lastIndex) {
    const part = PART.exec(text);
    if (part === null) throw invalid(text);
    const count = Number(part[1]);
    const name = part[2]!;
    if (count >= 2 ** 64 || name === '') throw invalid(text);
    const position = UNITS.findIndex(([unit]) => unit === name);
    if (position < 0) throw new UnitError(`unknown unit ${quoteGo(name)} in duration ${quoteGo(text)}`);
    if (position <= last) throw invalid(text);
    last = position;
    total += count * UNITS[position]![1];
    if (total >= MAX_NS) throw new UnitError('duration out of range');
  }
  return total;
}

/** Prometheus' way to write a duration: `1h30m`, `0s`; years and weeks only when nothing remains. Cuts below 1 ms. */
export function formatPrometheusDuration(ns: number): string {
  let rest = Math.trunc(Math.abs(ns) / MS) * MS;
  if (rest === 0) return '0s';
  let out = ns < 0 ? '-' : '';
  for (const [name, unit] of UNITS) {
    if ((name === 'y' || name === 'w') && rest % unit !== 0) continue;
    const count = Math.floor(rest / unit);
    if (count === 0) continue;
    out += `${count}${name}`;
    rest -= count * unit;
  }
  return out;
}

function invalid(text: string): UnitError {
  return new UnitError(`not a valid duration string: ${quoteGo(text)}`);
}
