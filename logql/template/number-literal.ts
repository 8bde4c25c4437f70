import { parseGoFloat, quoteGo, UnitError, unquoteGo } from '../units/index.ts';
import type { NumberNode } from './tree.ts';

const MAX_INT64 = 2n ** 63n - 1n;
const MAX_UINT64 = 2n ** 64n - 1n;
const INTEGER = /^([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)$/;

/** Go's `strconv.ParseInt(text, 0, 64)` without its bounds; null when it is no integer. */
export function parseInteger(text: string): bigint | null {
  const match = INTEGER.exec(text);
  if (match === null) return null;
  const digits = match[2]!.replaceAll('_', '');
  const value = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return match[1] === '-' ? -value : value;
}

/** As `parseInteger`, null also when an int64 cannot hold it. */
export function parseInt64(text: string): bigint | null {
  const value = parseInteger(text);
  return value === null || value > MAX_INT64 || value < -MAX_INT64 - 1n ? null : value;
}

/** Reads a constant; a string is the message of why it is none. */
export function parseNumber(
  at: number,
  text: string,
  kind: 'charConstant' | 'complex' | 'number',
): NumberNode | string {
  const none = { kind: 'number', at, text, int: null, float: null, complex: null } as const;
  if (kind === 'charConstant') {
    const char = unquoteOrNull(text);
    if (char === null) return `malformed character constant: ${text}`;
    const code = char.codePointAt(0)!;
    return { ...none, int: BigInt(code), float: code };
  }
  if (kind === 'complex' || text.endsWith('i')) {
    const complex = parseComplex(text);
    return complex === null ? `illegal number syntax: ${quoteGo(text)}` : { ...none, complex };
  }
  const integer = parseInteger(text);
  if (integer !== null) {
    if (integer > MAX_UINT64 || integer < -MAX_INT64 - 1n) return `integer overflow: ${quoteGo(text)}`;
    return { ...none, int: integer > MAX_INT64 ? null : integer, float: Number(integer) };
  }
  const float = floatOrNull(text);
  if (float === null) return `illegal number syntax: ${quoteGo(text)}`;
  if (!/[.eEpP]/.test(text)) return `integer overflow: ${quoteGo(text)}`;
  const isWhole = Number.isInteger(float) && Math.abs(float) < 2 ** 63;
  return { ...none, float, int: isWhole ? BigInt(float) : null };
}

const COMPLEX = /^(.*?[^eEpP+-])?([+-]?[^+-]*(?:[eEpP][+-][^+-]*)?)i$/;

function parseComplex(text: string): { re: number; im: number } | null {
  const match = COMPLEX.exec(text);
  if (match === null) return null;
  const isPlain = match[1] === undefined || !/^[+-]/.test(match[2]!);
  const im = floatOrNull(isPlain ? text.slice(0, -1) : match[2]!);
  const re = isPlain ? 0 : floatOrNull(match[1]!);
  return im === null || re === null ? null : { re, im };
}

/** Template constants may have underscores, which `ParseFloat` alone takes only after `0x`. */
function floatOrNull(text: string): number | null {
  try {
    return parseGoFloat(text);
  } catch (error: unknown) {
    if (error instanceof UnitError) return null;
    throw error;
  }
}

function unquoteOrNull(text: string): string | null {
  try {
    return unquoteGo(text);
  } catch (error: unknown) {
    if (error instanceof UnitError) return null;
    throw error;
  }
}
