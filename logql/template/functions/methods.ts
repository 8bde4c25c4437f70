import { GoTime } from '../time.ts';
import { formatTime, showTime } from '../time-format.ts';
import { UTC } from '../time-zone.ts';
import { Integer, int, int64, type Value } from '../value.ts';
import { define, type FunctionTable, type TemplateFunction } from './signature.ts';
import { unixMillis } from './times.ts';

/** A method of a value by name, bound to nothing: the receiver is the first argument of `call`. */
export function methodOf(receiver: Value, name: string): TemplateFunction | null {
  const table =
    receiver instanceof GoTime ? timeMethods : receiver instanceof Integer ? integerMethods(receiver) : null;
  return table !== null && Object.hasOwn(table, name) ? table[name]! : null;
}

/** Fields of Go's `time.Time` that templates must not see. */
export const TIME_FIELDS: ReadonlySet<string> = new Set(['wall', 'ext', 'loc']);

function integerMethods(receiver: Integer): FunctionTable | null {
  if (receiver.type === 'time.Duration') return durationMethods;
  return receiver.describe() === null ? null : { String: define([], ([value]) => (value as Integer).describe()!) };
}

/** Parameters do not count the receiver. */
function ofTime(call: (time: GoTime) => Value): TemplateFunction {
  return define([], ([time]) => call(time as GoTime));
}

function withTime(call: (time: GoTime, other: GoTime) => Value): TemplateFunction {
  return define(['time.Time'], ([time, other]) => call(time as GoTime, other as GoTime));
}

function refused(results: number): TemplateFunction {
  return { ...define([], () => undefined), refusedResults: results };
}

function duration(ns: bigint): Integer {
  return new Integer('time.Duration', BigInt.asIntN(64, ns));
}

const nanoseconds = (value: Value | undefined): bigint => (value as Integer).value;

const timeMethods: FunctionTable = {
  Unix: ofTime((t) => int64(t.unixSeconds)),
  UnixMilli: ofTime((t) => int64(unixMillis(t))),
  UnixMicro: ofTime((t) => int64((t.unixNs - (((t.unixNs % 1000n) + 1000n) % 1000n)) / 1000n)),
  UnixNano: ofTime((t) => int64(t.unixNs)),
  Format: define(['string'], ([t, layout]) => formatTime(t as GoTime, layout as string)),
  String: ofTime(showTime),
  Year: ofTime((t) => int(t.civil.year)),
  Month: ofTime((t) => new Integer('time.Month', BigInt(t.civil.month))),
  Day: ofTime((t) => int(t.civil.day)),
  Hour: ofTime((t) => int(t.civil.hour)),
  Minute: ofTime((t) => int(t.civil.minute)),
  Second: ofTime((t) => int(t.civil.second)),
  Nanosecond: ofTime((t) => int(t.civil.nanosecond)),
  Weekday: ofTime((t) => new Integer('time.Weekday', BigInt(t.civil.weekday))),
  YearDay: ofTime((t) => int(t.civil.yearDay)),
  UTC: ofTime((t) => t.in(UTC)),
  Local: ofTime((t) => t.in(UTC)),
  IsZero: ofTime((t) => t.isZero),
  IsDST: ofTime(isSummerTime),
  Before: withTime((t, other) => t.unixNs < other.unixNs),
  After: withTime((t, other) => t.unixNs > other.unixNs),
  Equal: withTime((t, other) => t.unixNs === other.unixNs),
  Compare: withTime((t, other) => int(t.unixNs < other.unixNs ? -1 : t.unixNs > other.unixNs ? 1 : 0)),
  Sub: withTime((t, other) => duration(clampInt64(t.unixNs - other.unixNs))),
  Add: define(['time.Duration'], ([t, by]) => new GoTime((t as GoTime).unixNs + nanoseconds(by), (t as GoTime).zone)),
  AddDate: define(['int', 'int', 'int'], addDate),
  Truncate: define(['time.Duration'], ([t, by]) => truncateTime(t as GoTime, nanoseconds(by))),
  Round: define(['time.Duration'], ([t, by]) => roundTime(t as GoTime, nanoseconds(by))),
  Date: refused(3),
  Clock: refused(3),
  ISOWeek: refused(2),
  Zone: refused(2),
  ZoneBounds: refused(2),
};

function isSummerTime(time: GoTime): boolean {
  const { year, offset } = time.civil;
  const winter = Math.min(
    time.zone.at(Date.UTC(year, 0, 1) / 1000).offset,
    time.zone.at(Date.UTC(year, 6, 1) / 1000).offset,
  );
  return offset > winter;
}

function clampInt64(ns: bigint): bigint {
  const max = 2n ** 63n - 1n;
  return ns > max ? max : ns < -max - 1n ? -max - 1n : ns;
}

/** Go's own bound is the range of its years; further away nothing is left to print. */
const MAX_YEARS = 1_000_000;

function addDate([receiver, years, months, days]: readonly Value[]): GoTime {
  const time = receiver as GoTime;
  const bounded = (value: Value | undefined, limit: number) =>
    Math.max(-limit, Math.min(limit, Number((value as Integer).value)));
  const { civil } = time;
  const clock = {
    ...civil,
    year: civil.year + bounded(years, MAX_YEARS),
    month: civil.month + bounded(months, MAX_YEARS * 12),
    day: civil.day + bounded(days, MAX_YEARS * 366),
  };
  return GoTime.fromWallClock(clock, time.zone);
}

/** Counted from Go's zero time, not from 1970. */
function sinceZero(time: GoTime, by: bigint): bigint {
  return (((time.unixNs - GoTime.zero.unixNs) % by) + by) % by;
}

function truncateTime(time: GoTime, by: bigint): GoTime {
  return by <= 0n ? time : new GoTime(time.unixNs - sinceZero(time, by), time.zone);
}

function roundTime(time: GoTime, by: bigint): GoTime {
  if (by <= 0n) return time;
  const rest = sinceZero(time, by);
  return new GoTime(rest * 2n < by ? time.unixNs - rest : time.unixNs + by - rest, time.zone);
}

const durationMethods: FunctionTable = {
  String: define([], ([d]) => (d as Integer).describe()!),
  Nanoseconds: define([], ([d]) => int64(nanoseconds(d))),
  Microseconds: define([], ([d]) => int64(nanoseconds(d) / 1000n)),
  Milliseconds: define([], ([d]) => int64(nanoseconds(d) / 1_000_000n)),
  Seconds: define([], ([d]) => inUnits(nanoseconds(d), 1_000_000_000n)),
  Minutes: define([], ([d]) => inUnits(nanoseconds(d), 60_000_000_000n)),
  Hours: define([], ([d]) => inUnits(nanoseconds(d), 3_600_000_000_000n)),
  Abs: define([], ([d]) => duration(nanoseconds(d) < 0n ? -nanoseconds(d) : nanoseconds(d))),
  Truncate: define(['time.Duration'], ([d, by]) =>
    nanoseconds(by) <= 0n ? d : duration(nanoseconds(d) - (nanoseconds(d) % nanoseconds(by))),
  ),
  Round: define(['time.Duration'], ([d, by]) => roundDuration(nanoseconds(d), nanoseconds(by))),
};

/** Whole units and the rest apart, as Go adds them. */
function inUnits(ns: bigint, unit: bigint): number {
  return Number(ns / unit) + Number(ns % unit) / Number(unit);
}

/** To the nearest multiple, halves away from zero. */
function roundDuration(ns: bigint, by: bigint): Integer {
  if (by <= 0n) return duration(ns);
  const size = ns < 0n ? -ns : ns;
  const rest = size % by;
  const rounded = rest * 2n < by ? size - rest : size + by - rest;
  return duration(ns < 0n ? -rounded : rounded);
}
