import { parseBytes, parseGoDuration, UnitError } from '../../units/index.ts';
import { FunctionError } from '../function-error.ts';
import { type Integer, int, int64, type Value } from '../value.ts';
import { toFloat64, toInt64 } from './cast.ts';
import { add, type Decimal, decimalOf, divide, multiply, subtract, toNumber } from './decimal.ts';
import { define, type FunctionTable, ofStrings, type TemplateFunction } from './signature.ts';

const any = 'interface {}';

export const numberFunctions: FunctionTable = {
  int: define([any], ([value]) => int(toInt64(value))),
  float64: define([any], ([value]) => toFloat64(value)),
  add: define([], (args) => int64(args.reduce<bigint>((sum, arg) => BigInt.asIntN(64, sum + toInt64(arg)), 0n)), any),
  sub: define([any, any], ([a, b]) => int64(toInt64(a) - toInt64(b))),
  mul: ofIntegers((a, b) => BigInt.asIntN(64, a * b)),
  div: define([any, any], ([a, b]) => int64(toInt64(a) / divisor(b))),
  mod: define([any, any], ([a, b]) => int64(toInt64(a) % divisor(b))),
  max: ofIntegers((a, b) => (b > a ? b : a)),
  min: ofIntegers((a, b) => (b < a ? b : a)),
  addf: define([], (args) => toNumber(args.reduce((sum: Decimal, arg) => add(sum, decimal(arg)), decimalOf(0))), any),
  subf: ofDecimals(subtract),
  mulf: ofDecimals(multiply),
  divf: ofDecimals(divide),
  maxf: ofFloats((a, b) => (a === Infinity || b === Infinity ? Infinity : Math.max(a, b))),
  minf: ofFloats((a, b) => (a === -Infinity || b === -Infinity ? -Infinity : Math.min(a, b))),
  ceil: define([any], ([value]) => Math.ceil(toFloat64(value))),
  floor: define([any], ([value]) => Math.floor(toFloat64(value))),
  round: define(
    [any, 'int'],
    ([value, places, on]) => round(toFloat64(value), places!, on as number | undefined),
    'float64',
  ),
  bytes: ofStrings(1, (text) => withUnits(() => parseBytes(text))),
  duration: ofStrings(1, (text) => withUnits(() => durationSeconds(text))),
  duration_seconds: ofStrings(1, (text) => withUnits(() => durationSeconds(text))),
};

function ofIntegers(combine: (a: bigint, b: bigint) => bigint): TemplateFunction {
  return define(
    [any],
    ([first, ...rest]) => int64(rest.reduce<bigint>((a, b) => combine(a, toInt64(b)), toInt64(first))),
    any,
  );
}

/** In Go an infinity wins over NaN. */
function ofFloats(combine: (a: number, b: number) => number): TemplateFunction {
  return define(
    [any],
    ([first, ...rest]) => rest.reduce<number>((a, b) => combine(a, toFloat64(b)), toFloat64(first)),
    any,
  );
}

function ofDecimals(combine: (a: Decimal, b: Decimal) => Decimal): TemplateFunction {
  return define(
    [any],
    ([first, ...rest]) => toNumber(rest.reduce((a: Decimal, b) => combine(a, decimal(b)), decimal(first))),
    any,
  );
}

function decimal(value: Value): Decimal {
  return decimalOf(toFloat64(value));
}

function divisor(value: Value): bigint {
  const by = toInt64(value);
  if (by === 0n) throw new FunctionError('runtime error: integer divide by zero');
  return by;
}

/** Sprig's: the fraction decides upwards from `on` (0.5) on, so negative numbers go down. */
function round(value: number, places: Value, on = 0.5): number {
  const power = 10 ** Number((places as Integer).value);
  const shifted = power * value;
  const fraction = shifted - Math.trunc(shifted);
  return (fraction >= on ? Math.ceil(shifted) : Math.floor(shifted)) / power;
}

/** As Go's `Duration.Seconds`: whole seconds and the rest apart. */
export function durationSeconds(text: string): number {
  const ns = parseGoDuration(text);
  return Math.trunc(ns / 1e9) + (ns % 1e9) / 1e9;
}

function withUnits(read: () => number): number {
  try {
    return read();
  } catch (error: unknown) {
    if (error instanceof UnitError) throw new FunctionError(error.message, { cause: error });
    throw error;
  }
}
