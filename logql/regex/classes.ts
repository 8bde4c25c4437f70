import { type CodePoints, codePointsOf, MAX_CODE_POINT, normalize } from './code-points.ts';

/** `\d`, `\s` and `\w`: ASCII only in RE2, and `\s` has no vertical tab. */
export function perlClass(letter: string): CodePoints {
  if (letter === 'd') return [0x30, 0x39];
  if (letter === 's') return [9, 10, 12, 13, 32, 32];
  return [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
}

/** The inside of `[:alpha:]`. */
export function namedClass(name: string): CodePoints {
  const source = NAMED[name];
  if (source === undefined) throw new Error(`no such character class: ${name}`);
  const pairs: number[] = [];
  for (let i = 0; i < source.length; i += 2) pairs.push(source.charCodeAt(i), source.charCodeAt(i + 1));
  return normalize(pairs);
}

/** Pairs of first and last character. */
const NAMED: Readonly<Record<string, string>> = {
  alnum: '09AZaz',
  alpha: 'AZaz',
  ascii: '\x00\x7f',
  blank: '\t\t  ',
  cntrl: '\x00\x1f\x7f\x7f',
  digit: '09',
  graph: '!~',
  lower: 'az',
  print: ' ~',
  punct: '!/:@[`{~',
  space: '\t\r  ',
  upper: 'AZ',
  word: '09AZaz__',
  xdigit: '09AFaf',
};

const unicodeClasses = new Map<string, CodePoints>();

/** The inside of `\p{Name}`: a general category (`L`, `Lu`) or a script (`Greek`). */
export function unicodeClass(name: string): CodePoints {
  if (name === 'Any') return [0, MAX_CODE_POINT];
  let points = unicodeClasses.get(name);
  if (!points) {
    points = codePointsOf(name.length <= 2 ? `\\p{${name}}` : `\\p{Script=${name}}`);
    unicodeClasses.set(name, points);
  }
  return points;
}
