import { utf8At, utf8Length } from '../../units/index.ts';
import { formatValue, plainSpec, showValue, sprint, sprintln } from '../format.ts';
import { FunctionError } from '../function-error.ts';
import { sprintf } from '../printf.ts';
import { GoTime } from '../time.ts';
import {
  Complex,
  compareStrings,
  Integer,
  int,
  isList,
  isMap,
  isTrue,
  LabelMap,
  mapGet,
  typeName,
  type Value,
} from '../value.ts';
import { define, type FunctionTable } from './signature.ts';
import { cutBytes } from './strings.ts';
import { queryEscape } from './url.ts';
import { escapeHtml, escapeJs } from './values.ts';

const value = 'reflect.Value';
const any = 'interface {}';

/** The functions that Go's templates have by themselves. */
export const builtinFunctions: FunctionTable = {
  and: { ...define([value], () => undefined, value), special: 'and' },
  or: { ...define([value], () => undefined, value), special: 'or' },
  call: { ...define([value], call, value), special: 'call' },
  not: define([value], ([arg]) => !isTrue(arg)),
  len: define([value], ([item]) => int(length(item))),
  index: define([value], ([item, ...keys]) => index(item, keys), value),
  slice: define([value], ([item, ...bounds]) => slice(item, bounds), value),
  eq: define([value], ([first, ...rest]) => equalsAny(first, rest), value),
  ne: define([value, value], ([a, b]) => !equals(a, b)),
  lt: define([value, value], ([a, b]) => isLess(a, b)),
  le: define([value, value], ([a, b]) => isLess(a, b) || equals(a, b)),
  gt: define([value, value], ([a, b]) => !(isLess(a, b) || equals(a, b))),
  ge: define([value, value], ([a, b]) => !isLess(a, b)),
  print: define([], sprint, any),
  printf: define(['string'], ([format, ...args]) => sprintf(format as string, args), any),
  println: define([], sprintln, any),
  html: define([], (args) => escapeHtml(textOf(args)), any),
  js: define([], (args) => escapeJs(textOf(args)), any),
  urlquery: define([], (args) => queryEscape(textOf(args)), any),
};

/** As `{{ }}` would print them: nil is `<no value>`. */
function textOf(args: readonly Value[]): string {
  return sprint(args.map((arg) => (arg === null || arg === undefined ? '<no value>' : arg)));
}

/** There are no values that are functions; `args` begins with the name, see `special`. */
function call([name, callee]: readonly Value[]): never {
  if (callee === undefined || callee === null) throw new FunctionError('call of nil');
  throw new FunctionError(`non-function ${name} of type ${typeName(callee)}`);
}

function length(item: Value): number {
  if (typeof item === 'string') return utf8Length(item);
  if (item === null) throw new FunctionError('len of nil pointer');
  if (item === undefined) throw new FunctionError('reflect: call of reflect.Value.Type on zero Value');
  if (isList(item)) return item.length;
  if (item instanceof LabelMap) return item.entries().length;
  if (isMap(item)) return Object.keys(item).length;
  throw new FunctionError(`len of type ${typeName(item)}`);
}

function index(item: Value, keys: readonly Value[]): Value {
  if (isNil(item)) throw new FunctionError('index of untyped nil');
  return keys.reduce(indexOnce, item);
}

function indexOnce(item: Value, key: Value): Value {
  if (isNil(item)) throw new FunctionError('index of nil pointer');
  if (isMap(item)) {
    if (isNil(key)) throw new FunctionError('value is nil; should be of type string');
    if (typeof key !== 'string') throw new FunctionError(`value has type ${typeName(key)}; should be string`);
    return mapGet(item, key);
  }
  if (typeof item !== 'string' && !isList(item)) throw new FunctionError(`can't index item of type ${typeName(item)}`);
  const size = typeof item === 'string' ? utf8Length(item) : item.length;
  const at = indexArgument(key, size);
  if (at === size) {
    throw new FunctionError(`reflect: ${typeof item === 'string' ? 'string' : 'slice'} index out of range`);
  }
  return typeof item === 'string' ? new Integer('uint8', BigInt(utf8At(item, at))) : item[at];
}

/** Go lets the length itself pass here. */
function indexArgument(key: Value, length: number): number {
  if (isNil(key)) throw new FunctionError('cannot index slice/array with nil');
  if (!(key instanceof Integer)) throw new FunctionError(`cannot index slice/array with type ${typeName(key)}`);
  if (key.value < 0n || key.value > BigInt(length)) throw new FunctionError(`index out of range: ${key.value}`);
  return Number(key.value);
}

function slice(item: Value, bounds: readonly Value[]): Value {
  if (item === undefined || item === null) throw new FunctionError('slice of untyped nil');
  if (bounds.length > 3) throw new FunctionError(`too many slice indexes: ${bounds.length}`);
  if (typeof item === 'string') {
    if (bounds.length === 3) throw new FunctionError('cannot 3-index slice a string');
  } else if (!isList(item)) throw new FunctionError(`can't slice item of type ${typeName(item)}`);
  const size = typeof item === 'string' ? utf8Length(item) : item.length;
  const places = bounds.map((bound) => indexArgument(bound, size));
  const start = places[0] ?? 0;
  const end = places[1] ?? size;
  if (start > end) throw new FunctionError(`invalid slice index: ${start} > ${end}`);
  if (places.length === 3 && end > places[2]!) throw new FunctionError(`invalid slice index: ${end} > ${places[2]}`);
  return typeof item === 'string' ? cutBytes(item, size, start, end) : item.slice(start, end);
}

type Basic = 'bool' | 'complex' | 'int' | 'uint' | 'float' | 'string';

/** Null for all that Go's templates cannot order. */
function basicKind(arg: Value): Basic | null {
  switch (typeof arg) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'number':
      return 'float';
    default:
  }
  if (arg instanceof Integer) return arg.type === 'uint8' ? 'uint' : 'int';
  return arg instanceof Complex ? 'complex' : null;
}

function isInteger(kind: Basic | null): boolean {
  return kind === 'int' || kind === 'uint';
}

function isNil(arg: Value): arg is undefined | null {
  return arg === undefined || arg === null;
}

function incompatible(a: Value, b: Value): FunctionError {
  return new FunctionError(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`);
}

function equalsAny(first: Value, rest: readonly Value[]): boolean {
  if (rest.length === 0) throw new FunctionError('missing argument for comparison');
  return rest.some((other) => equals(first, other));
}

function equals(a: Value, b: Value): boolean {
  const kindA = basicKind(a);
  const kindB = basicKind(b);
  if (kindA !== kindB) {
    if (isInteger(kindA) && isInteger(kindB)) return (a as Integer).value === (b as Integer).value;
    if (isNil(a) || isNil(b)) return false;
    throw incompatible(a, b);
  }
  if (a instanceof Integer) return a.value === (b as Integer).value;
  if (a instanceof Complex) return a.re === (b as Complex).re && a.im === (b as Complex).im;
  if (kindA !== null) return a === b;
  if (isNil(a) || isNil(b)) return isNil(a) && isNil(b);
  if (a instanceof GoTime && b instanceof GoTime) return a.unixNs === b.unixNs && a.zone === b.zone;
  if (kindName(a) !== kindName(b)) {
    const shown = `${formatValue(a, 's', plainSpec())}: ${typeName(a)}, ${typeName(b)}: ${showValue(b)}`;
    throw new FunctionError(`non-comparable types ${shown}`);
  }
  throw new FunctionError(`non-comparable type ${formatValue(b, 's', plainSpec())}: ${typeName(b)}`);
}

function kindName(arg: Value): 'list' | 'map' | 'struct' {
  return isList(arg) ? 'list' : isMap(arg) ? 'map' : 'struct';
}

function isLess(a: Value, b: Value): boolean {
  const kindA = basicKind(a);
  const kindB = basicKind(b);
  if (kindA === null || kindB === null) throw new FunctionError('invalid type for comparison');
  if (kindA !== kindB) {
    if (!isInteger(kindA) || !isInteger(kindB)) throw incompatible(a, b);
    return (a as Integer).value < (b as Integer).value;
  }
  switch (kindA) {
    case 'bool':
    case 'complex':
      throw new FunctionError('invalid type for comparison');
    case 'string':
      return compareStrings(a as string, b as string) < 0;
    case 'float':
      return (a as number) < (b as number);
    default:
      return (a as Integer).value < (b as Integer).value;
  }
}
