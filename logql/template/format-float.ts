import { formatGoFloat } from '../units/index.ts';

/** Digits d1d2…dn and a point: the value is 0.d1d2…dn · 10^point. No trailing zeros; none at all for 0. */
interface Decimal {
  readonly digits: string;
  readonly point: number;
}

/**
 * Go's `strconv.FormatFloat` for the verbs e, f and g (as `%e`, `%f`, `%g`); `precision` -1 is the shortest form. Rounds
 * the exact binary value, ties to even, where `toFixed` rounds ties up.
 */
export function formatFloat(value: number, verb: 'e' | 'f' | 'g', precision: number): string {
  if (!Number.isFinite(value)) return formatGoFloat(value);
  if (verb === 'g' && precision < 0) return formatGoFloat(value);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const size = Math.abs(value);
  if (verb === 'e') {
    if (precision < 0) return sign + exponential(shortest(size), -1);
    return sign + exponential(roundTo(exact(size), precision + 1), precision);
  }
  if (verb === 'f') {
    if (precision < 0) return sign + fixed(shortest(size), -1);
    const decimal = exact(size);
    return sign + fixed(roundTo(decimal, decimal.point + precision), precision);
  }
  const wanted = precision === 0 ? 1 : precision;
  const decimal = roundTo(exact(size), wanted);
  const { digits, point } = decimal;
  const limit = wanted > digits.length && digits.length >= point ? digits.length : wanted;
  const exponent = digits === '' ? 0 : point - 1;
  if (exponent < -4 || exponent >= Math.max(limit, digits === '' ? 1 : limit)) {
    return sign + exponential(decimal, Math.max(Math.min(wanted, digits.length) - 1, 0));
  }
  return sign + fixed(decimal, Math.max(digits.length - point, 0));
}

/** Go's `%x` of a float: `0x1.8p+01`. Without precision all bits. */
export function formatHexFloat(value: number, precision: number): string {
  if (!Number.isFinite(value)) return formatGoFloat(value);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  if (value === 0) return `${sign}0x0${precision > 0 ? `.${'0'.repeat(precision)}` : ''}p+00`;
  let { mantissa, exponent } = binary(Math.abs(value));
  exponent += 52;
  while (mantissa < 2n ** 52n) {
    mantissa <<= 1n;
    exponent--;
  }
  if (precision >= 0 && precision < 13) {
    const drop = BigInt((13 - precision) * 4);
    mantissa = roundBinary(mantissa, drop) << drop;
    if (mantissa >= 2n ** 53n) {
      mantissa >>= 1n;
      exponent++;
    }
  }
  const all = (mantissa & (2n ** 52n - 1n)).toString(16).padStart(13, '0');
  const digits = precision < 0 ? all.replace(/0+$/, '') : all.padEnd(precision, '0').slice(0, precision);
  const power = String(Math.abs(exponent)).padStart(2, '0');
  return `${sign}0x1${digits === '' ? '' : `.${digits}`}p${exponent < 0 ? '-' : '+'}${power}`;
}

function roundBinary(value: bigint, drop: bigint): bigint {
  const kept = value >> drop;
  const rest = value - (kept << drop);
  const half = 1n << (drop - 1n);
  return rest > half || (rest === half && (kept & 1n) === 1n) ? kept + 1n : kept;
}

const bits = new DataView(new ArrayBuffer(8));

/** A positive finite double as mantissa · 2^exponent. */
function binary(value: number): { mantissa: bigint; exponent: number } {
  bits.setFloat64(0, value);
  const raw = bits.getBigUint64(0);
  const biased = Number((raw >> 52n) & 0x7ffn);
  const fraction = raw & (2n ** 52n - 1n);
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction + 2n ** 52n, exponent: biased - 1075 };
}

function exact(value: number): Decimal {
  if (value === 0) return { digits: '', point: 0 };
  const { mantissa, exponent } = binary(value);
  if (exponent >= 0) return trimmed((mantissa << BigInt(exponent)).toString(), 0);
  // m / 2^k is m · 5^k / 10^k.
  return trimmed((mantissa * 5n ** BigInt(-exponent)).toString(), exponent);
}

function shortest(value: number): Decimal {
  if (value === 0) return { digits: '', point: 0 };
  const [mantissa = '', exponent = ''] = value.toExponential().split('e');
  const digits = mantissa.replace('.', '');
  return trimmed(digits, Number(exponent) - digits.length + 1);
}

/** `text` is an integer, times 10^exponent. */
function trimmed(text: string, exponent: number): Decimal {
  return { digits: text.replace(/0+$/, ''), point: text.length + exponent };
}

/** Keeps `count` digits; ties go to the even digit. */
function roundTo({ digits, point }: Decimal, count: number): Decimal {
  if (count >= digits.length) return { digits, point };
  if (count < 0) return { digits: '', point: 0 };
  const next = digits.charCodeAt(count) - 0x30;
  const isTie = next === 5 && digits.length === count + 1;
  const lastIsOdd = count > 0 && (digits.charCodeAt(count - 1) & 1) === 1;
  const up = isTie ? lastIsOdd : next >= 5;
  const kept = digits.slice(0, count);
  if (!up) return { digits: kept.replace(/0+$/, ''), point: /[1-9]/.test(kept) ? point : 0 };
  const raised = (BigInt(kept || '0') + 1n).toString().padStart(count, '0');
  return { digits: raised.replace(/0+$/, ''), point: point + raised.length - count };
}

function exponential({ digits, point }: Decimal, precision: number): string {
  const fraction = precision < 0 ? digits.slice(1) : digits.slice(1).padEnd(precision, '0');
  const exponent = digits === '' ? 0 : point - 1;
  const size = String(Math.abs(exponent)).padStart(2, '0');
  return `${digits[0] ?? '0'}${fraction === '' ? '' : `.${fraction}`}e${exponent < 0 ? '-' : '+'}${size}`;
}

function fixed({ digits, point }: Decimal, precision: number): string {
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0';
  const rest = point > 0 ? digits.slice(point) : digits === '' ? '' : '0'.repeat(-point) + digits;
  const fraction = precision < 0 ? rest : rest.padEnd(precision, '0');
  return fraction === '' ? whole : `${whole}.${fraction}`;
}
