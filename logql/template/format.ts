import { isPrintable, quoteGo, quoteGoAscii, quoteGoRune } from '../units/index.ts';
import { formatFloat, formatHexFloat } from './format-float.ts';
import { checkLength } from './limits.ts';
import { GoTime } from './time.ts';
import { showTime } from './time-format.ts';
import { Complex, Integer, isList, isMap, mapEntries, typeName, type Value } from './value.ts';

/** Flags, width and precision of one verb. */
export interface Spec {
  plus: boolean;
  minus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  width: number | null;
  precision: number | null;
  /** `%#v`. */
  goSyntax: boolean;
}

export function plainSpec(): Spec {
  return {
    plus: false,
    minus: false,
    sharp: false,
    space: false,
    zero: false,
    width: null,
    precision: null,
    goSyntax: false,
  };
}

const PLAIN = plainSpec();

/** Go's `%v`, as `{{ }}` and `print` write a value. Go's fmt knows no invalid value: nil is `<nil>`. */
export function showValue(value: Value): string {
  if (typeof value === 'string') return value;
  return formatValue(value, 'v', PLAIN);
}

/** One operand of `printf`, with Go's complaint if the verb does not fit. */
export function formatValue(value: Value, verb: string, spec: Spec): string {
  if (value === undefined || value === null) {
    return verb === 'v' || verb === 'T' ? pad('<nil>', spec) : `%!${verb}(<nil>)`;
  }
  if (verb === 'T') return formatString(typeName(value), 's', spec)!;
  return formatKnown(value, verb, spec) ?? badVerb(value, verb, spec);
}

function badVerb(value: Value, verb: string, spec: Spec): string {
  return `%!${verb}(${typeName(value)}=${formatKnown(value, 'v', spec)})`;
}

/** Null when the verb does not fit the type. */
function formatKnown(value: Value, verb: string, spec: Spec): string | null {
  switch (typeof value) {
    case 'string':
      return formatString(value, verb, spec);
    case 'boolean':
      return verb === 't' || verb === 'v' ? pad(String(value), spec) : null;
    case 'number':
      return formatNumber(value, verb, spec);
    default:
  }
  if (value instanceof Integer) return formatInteger(value, verb, spec);
  if (value instanceof GoTime) return 'vsxXq'.includes(verb) ? formatString(showTime(value), verb, spec) : null;
  if (value instanceof Complex) return formatComplex(value, verb, spec);
  if (isList(value)) {
    const parts = value.map((item) => formatElement(item, verb, spec));
    const text = spec.goSyntax ? `[]interface {}{${parts.join(', ')}}` : `[${parts.join(' ')}]`;
    checkLength(text.length);
    return text;
  }
  if (!isMap(value)) return null;
  const parts = mapEntries(value).map(
    ([key, item]) => `${formatValue(key, verb, spec)}:${formatElement(item, verb, spec)}`,
  );
  const text = spec.goSyntax ? `${typeName(value)}{${parts.join(', ')}}` : `map[${parts.join(' ')}]`;
  checkLength(text.length);
  return text;
}

/** Inside of a list or map a nil prints the same for every verb. */
function formatElement(value: Value, verb: string, spec: Spec): string {
  if (value !== undefined && value !== null) return formatValue(value, verb, spec);
  return spec.goSyntax ? 'interface {}(nil)' : '<nil>';
}

function formatString(text: string, verb: string, spec: Spec): string | null {
  switch (verb) {
    case 'v':
      if (spec.goSyntax) return formatString(text, 'q', spec);
      return pad(cut(text, spec), spec);
    case 's':
      return pad(cut(text, spec), spec);
    case 'q': {
      const kept = cut(text, spec);
      if (spec.sharp && !/[`\x00-\x08\x0a-\x1f\x7f\ufeff\ufffd]/.test(kept)) return pad(`\`${kept}\``, spec);
      return pad(spec.plus ? quoteGoAscii(kept) : quoteGo(kept), spec);
    }
    case 'x':
    case 'X':
      return pad(hexOf(text, verb, spec), spec);
    default:
      return null;
  }
}

function hexOf(text: string, verb: 'x' | 'X', spec: Spec): string {
  let bytes = Buffer.from(text, 'utf8');
  if (spec.precision !== null) bytes = bytes.subarray(0, spec.precision);
  if (bytes.length === 0) return '';
  const prefix = spec.sharp ? '0x' : '';
  const digits = bytes.toString('hex');
  const hex = prefix + (spec.space ? digits.match(/../g)!.join(` ${prefix}`) : digits);
  return verb === 'x' ? hex : hex.toUpperCase();
}

/** Precision counts characters. */
function cut(text: string, spec: Spec): string {
  if (spec.precision === null || text.length <= spec.precision) return text;
  let end = 0;
  for (let i = 0; i < spec.precision && end < text.length; i++) end += text.codePointAt(end)! > 0xffff ? 2 : 1;
  return text.slice(0, end);
}

export function pad(text: string, spec: Spec): string {
  if (spec.width === null) return text;
  const missing = spec.width - characterCount(text);
  if (missing <= 0) return text;
  if (spec.minus) return text + ' '.repeat(missing);
  return (spec.zero ? '0' : ' ').repeat(missing) + text;
}

export function characterCount(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0xd800 || unit > 0xdbff) continue;
    const next = text.charCodeAt(i + 1);
    if (next >= 0xdc00 && next <= 0xdfff) count--;
  }
  return count;
}

function formatInteger(integer: Integer, verb: string, spec: Spec): string | null {
  const name = integer.describe();
  if (name !== null && !spec.goSyntax && 'vsxXq'.includes(verb)) return formatString(name, verb, spec);
  const { value } = integer;
  switch (verb) {
    case 'v':
    case 'd':
      if (verb === 'v' && spec.goSyntax && integer.type === 'uint8') return digits(value, 16, '0x', spec);
      return digits(value, 10, '', spec);
    case 'b':
      return digits(value, 2, spec.sharp ? '0b' : '', spec);
    case 'o':
      return digits(value, 8, spec.sharp ? '0' : '', spec);
    case 'O':
      return digits(value, 8, '0o', spec);
    case 'x':
      return digits(value, 16, spec.sharp ? '0x' : '', spec);
    case 'X':
      return digits(value, 16, spec.sharp ? '0x' : '', spec).toUpperCase();
    case 'c':
      return pad(character(value), spec);
    case 'q':
      return pad(quoteGoRune(codeOf(value), spec.plus), spec);
    case 'U':
      return unicode(value, spec);
    default:
      return null;
  }
}

function codeOf(value: bigint): number {
  return value < 0n || value > 0x10ffffn ? 0xfffd : Number(value);
}

function character(value: bigint): string {
  const code = codeOf(value);
  return code >= 0xd800 && code <= 0xdfff ? '\ufffd' : String.fromCodePoint(code);
}

function unicode(value: bigint, spec: Spec): string {
  const code = BigInt.asUintN(64, value).toString(16).toUpperCase();
  const text = `U+${code.padStart(Math.max(4, spec.precision ?? 0), '0')}`;
  const char = character(value);
  const isCharacter = value >= 0n && value <= 0x10ffffn && isPrintable(char);
  return pad(spec.sharp && isCharacter ? `${text} '${char}'` : text, { ...spec, zero: false });
}

/** Sign, prefix and at least `precision` digits; with `0` the width is filled by zeros after the sign. */
function digits(value: bigint, base: number, prefix: string, spec: Spec): string {
  const spaces = { ...spec, zero: false };
  if (spec.precision === 0 && value === 0n) return pad('', spaces);
  const sign = value < 0n ? '-' : spec.plus ? '+' : spec.space ? ' ' : '';
  let least = spec.precision ?? 0;
  if (spec.precision === null && spec.zero && !spec.minus && spec.width !== null) least = spec.width - sign.length;
  let text = (value < 0n ? -value : value).toString(base).padStart(least, '0');
  if (prefix === '0' && text[0] === '0') prefix = '';
  text = prefix + text;
  return pad(sign + text, spaces);
}

function formatNumber(value: number, verb: string, spec: Spec): string | null {
  const text = floatText(value, verb, spec);
  return text === null ? null : padNumber(text, spec);
}

function floatText(value: number, verb: string, spec: Spec): string | null {
  switch (verb) {
    case 'v':
      return withPoint(formatFloat(value, 'g', spec.precision ?? -1), 'g', spec);
    case 'g':
    case 'G':
      return upperIf(verb, withPoint(formatFloat(value, 'g', spec.precision ?? -1), 'g', spec));
    case 'e':
    case 'E':
      return upperIf(verb, withPoint(formatFloat(value, 'e', spec.precision ?? 6), 'e', spec));
    case 'f':
    case 'F':
      return withPoint(formatFloat(value, 'f', spec.precision ?? 6), 'f', spec);
    case 'x':
    case 'X':
      return upperIf(verb, formatHexFloat(value, spec.precision ?? -1));
    case 'b':
      return binaryText(value);
    default:
      return null;
  }
}

function upperIf(verb: string, text: string): string {
  return verb >= 'a' ? text : /Inf|NaN/.test(text) ? text : text.toUpperCase();
}

/** `#`: always a point, and for `g` the trailing zeros up to the precision. */
function withPoint(text: string, verb: 'e' | 'f' | 'g', spec: Spec): string {
  if (!spec.sharp || /[IN]/.test(text)) return text;
  const e = text.indexOf('e');
  let mantissa = e < 0 ? text : text.slice(0, e);
  const tail = e < 0 ? '' : text.slice(e);
  if (!mantissa.includes('.')) mantissa += '.';
  if (verb === 'g') {
    const significant = mantissa.replace(/^-?0*\.?0*|\./g, '').length;
    mantissa += '0'.repeat(Math.max(0, (spec.precision ?? 6) - significant));
  }
  return mantissa + tail;
}

/** Go's `%b`: the integer mantissa and the power of two. */
function binaryText(value: number): string {
  if (!Number.isFinite(value)) return formatFloat(value, 'g', -1);
  const hex = formatHexFloat(Math.abs(value), 13);
  const match = /^0x([01])\.([0-9a-f]{13})p([+-][0-9]+)$/.exec(hex)!;
  const mantissa = BigInt(`0x${match[1]}${match[2]}`);
  const exponent = value === 0 ? -1074 : Number(match[3]) - 52;
  return `${value < 0 || Object.is(value, -0) ? '-' : ''}${mantissa}p${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`;
}

function padNumber(text: string, spec: Spec): string {
  const isNegative = text[0] === '-';
  const unsigned = isNegative || text[0] === '+' ? text.slice(1) : text;
  const isSpecial = /^[IN]/.test(unsigned);
  let sign = isNegative ? '-' : spec.plus ? '+' : spec.space ? ' ' : '';
  if (text === '+Inf' && sign === '') sign = '+';
  if (isSpecial) return pad(sign + unsigned, { ...spec, zero: false });
  const missing = (spec.width ?? 0) - sign.length - unsigned.length;
  if (spec.zero && !spec.minus && missing > 0) return sign + '0'.repeat(missing) + unsigned;
  return pad(sign + unsigned, spec);
}

function formatComplex(value: Complex, verb: string, spec: Spec): string | null {
  const re = floatText(value.re, verb, spec);
  const im = floatText(value.im, verb, spec);
  if (re === null || im === null) return null;
  return `(${padNumber(re, spec)}${padNumber(im, { ...spec, plus: true })}i)`;
}

/** Go's `Sprint`: a space between two operands that are both no strings. */
export function sprint(values: readonly Value[]): string {
  let out = '';
  for (const [i, value] of values.entries()) {
    if (i > 0 && typeof value !== 'string' && typeof values[i - 1] !== 'string') out += ' ';
    out += showValue(value);
    checkLength(out.length);
  }
  return out;
}

export function sprintln(values: readonly Value[]): string {
  const text = `${values.map(showValue).join(' ')}\n`;
  checkLength(text.length);
  return text;
}
