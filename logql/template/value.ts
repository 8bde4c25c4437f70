import { formatGoDuration } from '../units/index.ts';
import { GoTime, MONTHS, WEEKDAYS } from './time.ts';

/**
 * What a template computes with. `undefined` is Go's invalid value (an untyped nil), `null` the nil inside an
 * `interface {}` (a JSON null, a missing key of a JSON object); a JS number is a float64, an array an
 * `[]interface {}`, a plain object what `fromJson` made of a JSON object.
 */
export type Value =
  | undefined
  | null
  | string
  | boolean
  | number
  | Integer
  | Complex
  | GoTime
  | LabelMap
  | readonly Value[]
  | JsonObject;

export interface JsonObject {
  readonly [key: string]: Value;
}

export type IntegerType = 'int' | 'int64' | 'uint8' | 'int32' | 'time.Month' | 'time.Weekday' | 'time.Duration';

/** Any of Go's integer types that a template can meet. */
export class Integer {
  readonly type: IntegerType;
  readonly value: bigint;

  constructor(type: IntegerType, value: bigint) {
    this.type = type;
    this.value = value;
  }

  /** Go's `String` method, null for types without. */
  describe(): string | null {
    switch (this.type) {
      case 'time.Month':
        return MONTHS[Number(this.value) - 1] ?? `%!Month(${BigInt.asUintN(64, this.value)})`;
      case 'time.Weekday':
        return WEEKDAYS[Number(this.value)] ?? `%!Weekday(${BigInt.asUintN(64, this.value)})`;
      case 'time.Duration':
        return formatGoDuration(Number(this.value));
      default:
        return null;
    }
  }
}

export class Complex {
  readonly re: number;
  readonly im: number;

  constructor(re: number, im: number) {
    this.re = re;
    this.im = im;
  }
}

/** The labels of a row, `map[string]string`. */
export class LabelMap {
  readonly #data: { get(name: string): string | undefined; entries(): Iterable<readonly [string, string]> };
  #entries: readonly (readonly [string, string])[] | null = null;

  constructor(data: { get(name: string): string | undefined; entries(): Iterable<readonly [string, string]> }) {
    this.#data = data;
  }

  get(name: string): string {
    return this.#data.get(name) ?? '';
  }

  /** By name. */
  entries(): readonly (readonly [string, string])[] {
    return (this.#entries ??= sortByKey([...this.#data.entries()]));
  }
}

export const int = (value: bigint | number): Integer => new Integer('int', BigInt.asIntN(64, BigInt(value)));
export const int64 = (value: bigint): Integer => new Integer('int64', BigInt.asIntN(64, value));

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isJsonObject(value: Value): value is JsonObject {
  return (
    typeof value === 'object' &&
    value !== null &&
    !isList(value) &&
    !(value instanceof Integer) &&
    !(value instanceof GoTime) &&
    !(value instanceof LabelMap) &&
    !(value instanceof Complex)
  );
}

export function isMap(value: Value): value is LabelMap | JsonObject {
  return value instanceof LabelMap || isJsonObject(value);
}

/** Keys and values of a map in the order in which Go prints and ranges over it. */
export function mapEntries(map: LabelMap | JsonObject): readonly (readonly [string, Value])[] {
  return map instanceof LabelMap ? map.entries() : sortByKey(Object.entries(map));
}

export function mapGet(map: LabelMap | JsonObject, key: string): Value {
  if (map instanceof LabelMap) return map.get(key);
  return Object.hasOwn(map, key) ? map[key] : null;
}

function sortByKey<T>(entries: (readonly [string, T])[]): (readonly [string, T])[] {
  return entries.sort((a, b) => compareStrings(a[0], b[0]));
}

/** By code point, which is the order of the UTF-8 forms. */
export function compareStrings(a: string, b: string): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const isSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdfff;
    if (isSurrogate(x) !== isSurrogate(y)) return isSurrogate(x) ? 1 : -1;
    return x < y ? -1 : 1;
  }
  return a.length - b.length;
}

/** The Go type, as error texts and `%T` name it. The caller has excluded `undefined`. */
export function typeName(value: Value): string {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'number':
      return 'float64';
    case 'undefined':
      return '<nil>';
    default:
  }
  if (value === null) return 'interface {}';
  if (value instanceof Integer) return value.type;
  if (value instanceof Complex) return 'complex128';
  if (value instanceof GoTime) return 'time.Time';
  if (value instanceof LabelMap) return 'map[string]string';
  return isList(value) ? '[]interface {}' : 'map[string]interface {}';
}

/** What `if`, `and`, `or`, `not` and `with` see: zero values and empty collections are false. */
export function isTrue(value: Value): boolean {
  if (value === undefined || value === null) return false;
  switch (typeof value) {
    case 'string':
      return value !== '';
    case 'boolean':
      return value;
    case 'number':
      return value !== 0;
    default:
  }
  if (value instanceof Integer) return value.value !== 0n;
  if (value instanceof Complex) return value.re !== 0 || value.im !== 0;
  if (value instanceof GoTime) return true;
  if (value instanceof LabelMap) return value.entries().length > 0;
  if (isList(value)) return value.length > 0;
  for (const _ in value) return true;
  return false;
}
