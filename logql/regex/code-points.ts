/**
 * Sets of code points as ascending, disjoint, non-adjacent pairs `[first, last, first, last, …]`.
 */
export type CodePoints = readonly number[];

export const MAX_CODE_POINT = 0x10ffff;
export const NO_CODE_POINTS: CodePoints = [];

export function normalize(pairs: readonly number[]): CodePoints {
  const ranges: [number, number][] = [];
  for (let i = 0; i < pairs.length; i += 2) ranges.push([pairs[i]!, pairs[i + 1]!]);
  ranges.sort((a, b) => a[0] - b[0]);
  const result: number[] = [];
  for (const [first, last] of ranges) {
    const end = result.length - 1;
    if (end > 0 && first <= result[end]! + 1) result[end] = Math.max(result[end]!, last);
    else result.push(first, last);
  }
  return result;
}

export function complement(set: CodePoints): CodePoints {
  const result: number[] = [];
  let next = 0;
  for (let i = 0; i < set.length; i += 2) {
    if (set[i]! > next) result.push(next, set[i]! - 1);
    next = set[i + 1]! + 1;
  }
  if (next <= MAX_CODE_POINT) result.push(next, MAX_CODE_POINT);
  return result;
}

/** The part of `set` within `[first, last]`. */
export function clip(set: CodePoints, first: number, last: number): CodePoints {
  const result: number[] = [];
  for (let i = 0; i < set.length; i += 2) {
    const a = Math.max(set[i]!, first);
    const b = Math.min(set[i + 1]!, last);
    if (a <= b) result.push(a, b);
  }
  return result;
}

export function isSingle(set: CodePoints): boolean {
  return set.length === 2 && set[0] === set[1];
}

export function hasCodePoint(set: CodePoints, point: number): boolean {
  for (let i = 0; i < set.length; i += 2) if (point >= set[i]! && point <= set[i + 1]!) return true;
  return false;
}

/** All code points that a JavaScript pattern with the flag `u` matches, e.g. `\p{Lu}`. */
export function codePointsOf(source: string): CodePoints {
  const all = new RegExp(`(?:${source})+`, 'gu');
  const result: number[] = [];
  for (const [first, last] of planes) {
    for (const match of planeText(first, last).matchAll(all)) {
      const text = match[0];
      result.push(text.codePointAt(0)!, lastCodePoint(text));
    }
  }
  return normalize(result);
}

/** Without the surrogates, which never stand alone in well-formed text. */
const planes: readonly (readonly [number, number])[] = [
  [0, 0xd7ff],
  [0xe000, 0xffff],
  ...Array.from({ length: 16 }, (_, i) => [0x10000 * (i + 1), 0x10000 * (i + 1) + 0xffff] as const),
];

function planeText(first: number, last: number): string {
  const parts: string[] = [];
  for (let point = first; point <= last; point += 0x1000) {
    const units: number[] = [];
    for (let i = point; i <= Math.min(last, point + 0xfff); i++) units.push(i);
    parts.push(String.fromCodePoint(...units));
  }
  return parts.join('');
}

function lastCodePoint(text: string): number {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xdc00 && last <= 0xdfff ? text.codePointAt(text.length - 2)! : last;
}
