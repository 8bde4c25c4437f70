import { isIPv4, isIPv6 } from 'node:net';
import { StageError } from './stage-error.ts';

/** Addresses of one family between two, both included. */
export interface IpPattern {
  /** Whether the part `[start, end)` of a text or byte string holds an address of the range. */
  foundIn(text: string, start?: number, end?: number): boolean;
}

interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** Compiles an address, a CIDR block or a range `first-last`. Throws `StageError` with Loki's text. */
export function compileIp(pattern: string): IpPattern {
  const range = parseRange(pattern);
  if (range === null) throw new StageError(`ip: invalid pattern: ${JSON.stringify(pattern)}`);
  const [first, last] = range;
  return {
    foundIn: (text, start = 0, end = text.length) =>
      someAddress(text, start, end, (address) => {
        return address.bits === first.bits && address.value >= first.value && address.value <= last.value;
      }),
  };
}

function parseRange(pattern: string): [Address, Address] | null {
  const single = parseAddress(pattern);
  if (single) return [single, single];
  const dash = pattern.indexOf('-');
  if (dash >= 0) {
    const first = parseAddress(pattern.slice(0, dash));
    const last = parseAddress(pattern.slice(dash + 1));
    return first && last && first.bits === last.bits && first.value <= last.value ? [first, last] : null;
  }
  const block = /^(.+)\/(0|[1-9]\d{0,2})$/.exec(pattern);
  const base = block && parseAddress(block[1]!);
  if (!base || Number(block[2]) > base.bits) return null;
  const host = (1n << BigInt(base.bits - Number(block[2]))) - 1n;
  return [
    { bits: base.bits, value: base.value & ~host },
    { bits: base.bits, value: base.value | host },
  ];
}

function parseAddress(text: string): Address | null {
  if (isIPv4(text)) return { bits: 32, value: parseV4(text) };
  return isIPv6(text) ? { bits: 128, value: parseV6(text.replace(/%.*$/, '')) } : null;
}

function parseV4(text: string): bigint {
  return text.split('.').reduce((value, part) => value * 256n + BigInt(part), 0n);
}

function parseV6(text: string): bigint {
  const [head, tail] = text.split('::');
  const left = groupsOf(head!);
  const right = tail === undefined ? [] : groupsOf(tail);
  const zeros = new Array<bigint>(8 - left.length - right.length).fill(0n);
  return [...left, ...zeros, ...right].reduce((value, group) => value * 65536n + group, 0n);
}

function groupsOf(text: string): bigint[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [BigInt(`0x${part}`)];
    const v4 = parseV4(part);
    return [v4 >> 16n, v4 & 0xffffn];
  });
}

/**
 * Looks at each run that starts like an address, as Loki does: a digit with a dot in the next three characters, one to
 * four hexadecimal digits and a colon, or two colons and a digit. A run goes as far as its characters do.
 */
function someAddress(text: string, start: number, end: number, accept: (address: Address) => boolean): boolean {
  for (let at = start; at < end; at++) {
    const isV4 = at + 3 < end && startsV4(text, at);
    if (!isV4 && !(at + 4 < end && startsV6(text, at))) continue;
    let after = at;
    while (after < end && (isV4 ? isV4Char : isV6Char)(text.charCodeAt(after))) after++;
    const address = parseAddress(text.slice(at, after));
    if (address !== null && accept(address)) return true;
    at = after;
  }
  return false;
}

const DOT = 0x2e;
const COLON = 0x3a;

function startsV4(text: string, at: number): boolean {
  if (!isDigit(text.charCodeAt(at))) return false;
  return text.charCodeAt(at + 1) === DOT || text.charCodeAt(at + 2) === DOT || text.charCodeAt(at + 3) === DOT;
}

function startsV6(text: string, at: number): boolean {
  if (text.charCodeAt(at) === COLON) return text.charCodeAt(at + 1) === COLON && isHex(text.charCodeAt(at + 2));
  for (let i = 0; i < 5; i++) {
    const c = text.charCodeAt(at + i);
    if (c === COLON) return true;
    if (!isHex(c)) return false;
  }
  return false;
}

function isDigit(c: number): boolean {
  return c >= 0x30 && c <= 0x39;
}

function isHex(c: number): boolean {
  return isDigit(c) || (c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66);
}

function isV4Char(c: number): boolean {
  return isDigit(c) || c === DOT;
}

function isV6Char(c: number): boolean {
  return isHex(c) || c === COLON || c === DOT;
}
