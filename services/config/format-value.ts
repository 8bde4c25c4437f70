import type { Field } from './field.ts';

const DURATION_UNITS: readonly (readonly [suffix: string, ms: number])[] = [
  ['y', 31_536_000_000],
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];

/** The shortest exact text that reads back as `ms`: `30d1h`, `1m30s`, `-1ns`. */
export function formatDurationMs(ms: number): string {
  if (ms === 0) return '0s';
  if (!Number.isInteger(ms)) return `${Math.round(ms * 1e6)}ns`;
  let rest = Math.abs(ms);
  let out = ms < 0 ? '-' : '';
  for (const [suffix, unitMs] of DURATION_UNITS) {
    const count = Math.floor(rest / unitMs);
    // Years and weeks as Prometheus writes them: only where nothing is left.
    if (count === 0 || (unitMs > 86_400_000 && rest % unitMs !== 0)) continue;
    // Days may not follow a sign: Go's durations know no such unit.
    if (ms < 0 && unitMs > 3_600_000) continue;
    out += `${count}${suffix}`;
    rest -= count * unitMs;
  }
  return out;
}

/** `262144` → `256KB`; what is no whole number of a unit stays in the next smaller one. */
export function formatSizeBytes(bytes: number): string {
  let value = bytes;
  let power = 0;
  while (value !== 0 && value % 1024 === 0 && power < 6) {
    value /= 1024;
    power++;
  }
  return `${value}${['B', 'KB', 'MB', 'GB', 'TB', 'PB', 'EB'][power]}`;
}

export function formatTimeMs(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

/** A value as it stands in YAML and JSON: durations and sizes as text, the rest as it is. */
export function presentValue(field: Field<unknown>, value: unknown): unknown {
  if (field.rules.secret && value !== '') return '********';
  switch (field.kind) {
    case 'duration':
      return formatDurationMs(value as number);
    case 'size':
      return formatSizeBytes(value as number);
    case 'time':
      return value === 0 ? 0 : formatTimeMs(value as number);
    case 'structured':
      return field.rules.present === undefined ? value : field.rules.present(value as never);
    default:
      return value;
  }
}
