import { UTC, type Zone } from './time-zone.ts';

export const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const;

export const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;

const NS_PER_SECOND = 1_000_000_000n;
const SECONDS_PER_DAY = 86_400;

/** Seconds from 0001-01-01, Go's zero time, to 1970-01-01. */
const ZERO_SECONDS = -62_135_596_800n;

/** Go's `time.Time`: an instant, any year, in nanoseconds, seen in a zone. Immutable. */
export class GoTime {
  /** Nanoseconds since 1970 UTC; may lie outside of int64. */
  readonly unixNs: bigint;
  readonly zone: Zone;
  #civil: Civil | null = null;

  constructor(unixNs: bigint, zone: Zone = UTC) {
    this.unixNs = unixNs;
    this.zone = zone;
  }

  static readonly zero = new GoTime(ZERO_SECONDS * NS_PER_SECOND);

  static fromSeconds(seconds: bigint): GoTime {
    return new GoTime(seconds * NS_PER_SECOND);
  }

  /** A wall clock reading in a zone, as Go's `time.Date`: parts may overflow; at a change of offset it takes one. */
  static fromWallClock(parts: WallClock, zone: Zone): GoTime {
    const days = BigInt(daysFromCivil(parts.year, parts.month, parts.day));
    const seconds =
      days * BigInt(SECONDS_PER_DAY) + BigInt(parts.hour * 3600) + BigInt(parts.minute * 60) + BigInt(parts.second);
    const first = zone.at(Number(seconds)).offset;
    const offset = first === 0 ? 0 : zone.at(Number(seconds) - first).offset;
    return new GoTime((seconds - BigInt(offset)) * NS_PER_SECOND + BigInt(parts.nanosecond), zone);
  }

  in(zone: Zone): GoTime {
    return new GoTime(this.unixNs, zone);
  }

  get unixSeconds(): bigint {
    return floorDiv(this.unixNs, NS_PER_SECOND);
  }

  get isZero(): boolean {
    return this.unixNs === ZERO_SECONDS * NS_PER_SECOND;
  }

  /** Calendar and clock in the zone. */
  get civil(): Civil {
    return (this.#civil ??= toCivil(this.unixNs, this.zone));
  }
}

export interface WallClock {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly nanosecond: number;
}

export interface Civil extends WallClock {
  /** 0 is Sunday. */
  readonly weekday: number;
  /** From 1. */
  readonly yearDay: number;
  /** Seconds east of UTC. */
  readonly offset: number;
  readonly abbreviation: string;
}

function toCivil(unixNs: bigint, zone: Zone): Civil {
  const unixSeconds = floorDiv(unixNs, NS_PER_SECOND);
  const { offset, abbreviation } = zone.at(Number(unixSeconds));
  const local = Number(unixSeconds) + offset;
  const day = Math.floor(local / SECONDS_PER_DAY);
  const clock = local - day * SECONDS_PER_DAY;
  const date = civilFromDays(day);
  return {
    ...date,
    hour: Math.floor(clock / 3600),
    minute: Math.floor(clock / 60) % 60,
    second: clock % 60,
    nanosecond: Number(unixNs - unixSeconds * NS_PER_SECOND),
    weekday: (((day + 4) % 7) + 7) % 7,
    yearDay: day - daysFromCivil(date.year, 1, 1) + 1,
    offset,
    abbreviation,
  };
}

export function floorDiv(a: bigint, b: bigint): bigint {
  const q = a / b;
  return a % b < 0n ? q - 1n : q;
}

const CUMULATIVE = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

export function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

export function daysInMonth(month: number, year: number): number {
  if (month === 2 && isLeapYear(year)) return 29;
  return CUMULATIVE[month]! - CUMULATIVE[month - 1]!;
}

/** Days from 1970-01-01 in the proleptic Gregorian calendar; month and day may overflow. */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = year + Math.floor((month - 1) / 12);
  const m = (((month - 1) % 12) + 12) % 12;
  const before = y - 1;
  const leaps = Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  const leapDay = m > 1 && isLeapYear(y) ? 1 : 0;
  return before * 365 + leaps - 719_162 + CUMULATIVE[m]! + leapDay + day - 1;
}

function civilFromDays(days: number): { year: number; month: number; day: number } {
  let year = 1970 + Math.floor(days / 365.2425);
  while (daysFromCivil(year, 1, 1) > days) year--;
  while (daysFromCivil(year + 1, 1, 1) <= days) year++;
  let month = 12;
  while (daysFromCivil(year, month, 1) > days) month--;
  return { year, month, day: days - daysFromCivil(year, month, 1) + 1 };
}
