import { type CodePoints, codePointsOf, hasCodePoint, normalize } from './code-points.ts';

/**
 * Simple case folding, as Go's `unicode.SimpleFold` and as JavaScript's flags `iu` define it: K, k and U+212A KELVIN
 * SIGN are one orbit, ß and ẞ another, "ss" is none.
 */
let orbits: ReadonlyMap<number, readonly number[]> | null = null;

/** `set` and everything that equals one of its members but for case. */
export function foldCase(set: CodePoints): CodePoints {
  const last = set.at(-1);
  if (last === undefined || last < 0x80) return foldAscii(set);
  orbits ??= computeOrbits();
  const result = [...set];
  for (const [point, orbit] of orbits) {
    if (!hasCodePoint(set, point)) continue;
    for (const other of orbit) result.push(other, other);
  }
  return normalize(result);
}

const KELVIN_SIGN = 0x212a;
const LONG_S = 0x17f;

/** What nearly all patterns need, without the table of all of Unicode, which takes a tenth of a second to make. */
function foldAscii(set: CodePoints): CodePoints {
  const result = [...set];
  for (let upper = 0x41; upper <= 0x5a; upper++) {
    const lower = upper | 0x20;
    if (!hasCodePoint(set, upper) && !hasCodePoint(set, lower)) continue;
    result.push(upper, upper, lower, lower);
    if (lower === 0x6b) result.push(KELVIN_SIGN, KELVIN_SIGN);
    if (lower === 0x73) result.push(LONG_S, LONG_S);
  }
  return normalize(result);
}

function computeOrbits(): Map<number, number[]> {
  const candidates: number[] = [];
  const ranges = codePointsOf('[\\p{Lowercase}\\p{Uppercase}\\p{Changes_When_Casemapped}\\p{Lt}\\u0345]');
  for (let i = 0; i < ranges.length; i += 2) {
    for (let point = ranges[i]!; point <= ranges[i + 1]!; point++) candidates.push(point);
  }
  // Case mappings lead from each member of an orbit to all others within two steps.
  const neighbours = new Map<number, Set<number>>();
  const known = new Set(candidates);
  for (const point of candidates) {
    const text = String.fromCodePoint(point);
    for (const mapped of [text.toLowerCase(), text.toUpperCase(), text.toUpperCase().toLowerCase()]) {
      const other = mapped.codePointAt(0)!;
      if (mapped.length !== String.fromCodePoint(other).length || other === point || !known.has(other)) continue;
      if (!isSameButForCase(point, other)) continue;
      link(neighbours, point, other);
      link(neighbours, other, point);
    }
  }
  const result = new Map<number, number[]>();
  for (const point of neighbours.keys()) {
    const orbit = new Set([point]);
    for (const member of orbit) for (const next of neighbours.get(member)!) orbit.add(next);
    orbit.delete(point);
    result.set(point, [...orbit]);
  }
  return result;
}

function isSameButForCase(a: number, b: number): boolean {
  return new RegExp(`^\\u{${a.toString(16)}}$`, 'iu').test(String.fromCodePoint(b));
}

function link(neighbours: Map<number, Set<number>>, from: number, to: number): void {
  const known = neighbours.get(from);
  if (known) known.add(to);
  else neighbours.set(from, new Set([to]));
}
