import { quoteGo } from '../../units/index.ts';
import { FunctionError } from '../function-error.ts';
import { parseInt64 } from '../number-literal.ts';
import { GoTime } from '../time.ts';
import { formatTime } from '../time-format.ts';
import { parseTime } from '../time-parse.ts';
import { loadZone, UTC } from '../time-zone.ts';
import { Integer, type Value } from '../value.ts';
import { define, type FunctionTable, ofStrings } from './signature.ts';

const NS_PER_MS = 1_000_000n;

/** Decimal digits of int64. */
const int64Text = (value: bigint) => BigInt.asIntN(64, value).toString();

export const timeFunctions: FunctionTable = {
  now: define([], now),
  date: define(['string', 'interface {}'], ([layout, value]) => formatTime(timeOf(value), layout as string)),
  toDate: ofStrings(2, (layout, text) => parseTime(layout, text, UTC) ?? GoTime.zero),
  toDateInZone: {
    ...ofStrings(3, (layout, zone, text) => parseTime(layout, text, loadZone(zone) ?? UTC) ?? GoTime.zero),
    cost: 50, // Intl answers slowly
  },
  unixEpoch: define(['time.Time'], ([time]) => int64Text((time as GoTime).unixSeconds)),
  unixEpochMillis: define(['time.Time'], ([time]) => int64Text(unixMillis(time as GoTime))),
  unixEpochNanos: define(['time.Time'], ([time]) => int64Text((time as GoTime).unixNs)),
  unixToTime: ofStrings(1, unixToTime),
};

function now(): GoTime {
  return new GoTime(BigInt(Date.now()) * NS_PER_MS);
}

/** Integers are seconds since 1970; anything else that is no time means now. */
function timeOf(value: Value): GoTime {
  if (value instanceof GoTime) return value.in(UTC);
  const isSeconds = value instanceof Integer && /^int(?:32|64)?$/.test(value.type);
  return isSeconds ? GoTime.fromSeconds(value.value) : now();
}

export function unixMillis(time: GoTime): bigint {
  return BigInt.asIntN(64, (time.unixNs - (((time.unixNs % NS_PER_MS) + NS_PER_MS) % NS_PER_MS)) / NS_PER_MS);
}

/** Nanoseconds of one unit, by the number of digits. */
const UNITS: ReadonlyMap<number, bigint> = new Map([
  [5, 86_400_000_000_000n],
  [10, 1_000_000_000n],
  [13, NS_PER_MS],
  [16, 1000n],
  [19, 1n],
]);

function unixToTime(text: string): GoTime {
  const isDecimal = /^[+-]?[0-9]+$/.test(text);
  const value = isDecimal ? parseDecimal(text) : null;
  if (value === null) {
    const reason = isDecimal ? 'value out of range' : 'invalid syntax';
    throw new FunctionError(`unable to parse time '${text}': strconv.ParseInt: parsing ${quoteGo(text)}: ${reason}`);
  }
  const unit = UNITS.get(text.length);
  if (unit === undefined) throw new FunctionError(`unable to parse time '${text}': %!w(<nil>)`);
  const ns = value * unit;
  return new GoTime(text.length === 13 || text.length === 16 ? BigInt.asIntN(64, ns) : ns);
}

/** Leading zeros mean nothing in base ten. */
function parseDecimal(text: string): bigint | null {
  return parseInt64(text.replace(/^([+-]?)0+(?=[0-9])/, '$1'));
}
