import { type CodePoints, clip, complement, hasCodePoint, isSingle, MAX_CODE_POINT } from './code-points.ts';
import type { RegexNode } from './syntax-tree.ts';

/**
 * Writes a tree as the source of a JavaScript RegExp without flags that V8's linear engine can execute too: no
 * lookaround, and no counted repeat whose unrolled size is above 16.
 */
export interface WriteOptions {
  /** `ascii`: the text has no code unit above 0x7f. `full`: any well-formed UTF-16. */
  readonly alphabet: 'ascii' | 'full';
  /** Whether groups capture. */
  readonly captures: boolean;
}

/** Longer sources are left to the automaton of re2js: V8 would compile them for long. */
export const MAX_SOURCE_LENGTH = 60_000;
const MAX_COUNT = 16;

/**
 * V8's compiler takes exponential time and memory over `\b` next to `\b` (it ends the process for some hundred of
 * them), so patterns with more, counted with their repeats, are left to re2js too.
 */
const MAX_WORD_EDGES = 8;

/** The source, or null when V8 should not compile this pattern. */
export function writeJavaScript(root: RegexNode, options: WriteOptions): string | null {
  if (wordEdges(root) > MAX_WORD_EDGES) return null;
  const source = write(root, options);
  return source.length > MAX_SOURCE_LENGTH ? null : source;
}

function write(node: RegexNode, options: WriteOptions): string {
  switch (node.kind) {
    case 'set':
      return options.alphabet === 'ascii' ? writeAsciiSet(node.points) : writeFullSet(node.points);
    case 'assertion':
      if (node.at === 'word edge') return '\\b';
      if (node.at === 'no word edge') return '\\B';
      // Line anchors: the caller uses the source only on texts of one line, where they are text anchors.
      return node.at === 'text start' || node.at === 'line start' ? '^' : '$';
    case 'sequence':
      return bounded(
        node.items.map((item) => (item.kind === 'choice' ? group(item, options) : write(item, options))),
        '',
      );
    case 'choice':
      return bounded(
        node.items.map((item) => write(item, options)),
        '|',
      );
    case 'capture':
      return `${options.captures ? '(' : '(?:'}${write(node.item, options)})`;
    case 'repeat':
      return writeRepeat(node, options);
    default:
      return node satisfies never;
  }
}

function writeRepeat(node: RegexNode & { kind: 'repeat' }, options: WriteOptions): string {
  const { item, min, max } = node;
  const body = item.kind === 'set' ? write(item, options) : group(item, options);
  const unit = item.kind === 'set' && /^(?:\[.*\]|\\?.|\\x..|\\u....)$/s.test(body) ? body : `(?:${body})`;
  const lazy = node.greedy ? '' : '?';
  if (max === Number.POSITIVE_INFINITY) {
    if (min === 0) return `${unit}*${lazy}`;
    if (min === 1) return `${unit}+${lazy}`;
    return `${times(unit, weight(item), min)}${unit}*${lazy}`;
  }
  if (min === 0 && max === 1) return `${unit}?${lazy}`;
  if (max === 0) return `${unit}{0}`; // never matches, but its captures have their numbers
  return `${times(unit, weight(item), min)}${optionalTimes(unit, weight(item), max - min, lazy)}`;
}

/** `a{40}` as `a{16}a{16}a{8}`; heavier units as copies. */
function times(unit: string, unitWeight: number, count: number): string {
  return repeatInSteps(unitWeight, count, (n) => (n === 1 ? unit : `${unit}{${n}}`));
}

/** `a{0,20}` as `a{0,16}a{0,4}`: the same choices in the same order of preference, as far as the match tells. */
function optionalTimes(unit: string, unitWeight: number, count: number, lazy: string): string {
  return repeatInSteps(unitWeight, count, (n) => (n === 1 ? `${unit}?${lazy}` : `${unit}{0,${n}}${lazy}`));
}

function repeatInSteps(unitWeight: number, count: number, piece: (n: number) => string): string {
  const step = Math.max(1, Math.floor(MAX_COUNT / unitWeight));
  const whole = Math.floor(count / step);
  const rest = count % step;
  const wholePiece = whole > 0 ? piece(step) : '';
  if (wholePiece.length * whole > MAX_SOURCE_LENGTH) return ' '.repeat(MAX_SOURCE_LENGTH + 1);
  return wholePiece.repeat(whole) + (rest > 0 ? piece(rest) : '');
}

/** How many characters the linear engine would unroll the node to. */
function weight(node: RegexNode): number {
  switch (node.kind) {
    case 'set':
    case 'assertion':
      return 1;
    case 'sequence':
    case 'choice':
      return Math.max(
        1,
        node.items.reduce((sum, item) => sum + weight(item), 0),
      );
    case 'capture':
      return weight(node.item);
    case 'repeat':
      return weight(node.item) * Math.max(1, node.max === Number.POSITIVE_INFINITY ? node.min : node.max);
    default:
      return node satisfies never;
  }
}

function wordEdges(node: RegexNode): number {
  switch (node.kind) {
    case 'set':
      return 0;
    case 'assertion':
      return node.at === 'word edge' || node.at === 'no word edge' ? 1 : 0;
    case 'sequence':
    case 'choice':
      return node.items.reduce((sum, item) => sum + wordEdges(item), 0);
    case 'capture':
      return wordEdges(node.item);
    case 'repeat':
      return wordEdges(node.item) * Math.max(1, node.max === Number.POSITIVE_INFINITY ? node.min : node.max);
    default:
      return node satisfies never;
  }
}

function group(node: RegexNode, options: WriteOptions): string {
  const source = write(node, options);
  return node.kind === 'capture' ? source : `(?:${source})`;
}

function bounded(parts: readonly string[], separator: string): string {
  let length = 0;
  for (const part of parts) length += part.length;
  // Cut short what is refused anyway, so that nested counts cannot multiply.
  return length > MAX_SOURCE_LENGTH ? ' '.repeat(MAX_SOURCE_LENGTH + 1) : parts.join(separator);
}

function writeAsciiSet(points: CodePoints): string {
  const ascii = clip(points, 0, 0x7f);
  if (isSingle(ascii)) return escapeUnit(ascii[0]!);
  if (hasCodePoint(points, 0x7f) && hasCodePoint(points, MAX_CODE_POINT)) {
    return `[^${writeRanges(clip(complement(points), 0, 0x7f))}]`;
  }
  return `[${writeRanges(ascii)}]`;
}

function writeFullSet(points: CodePoints): string {
  const basic = [...clip(points, 0, 0xd7ff), ...clip(points, 0xe000, 0xffff)];
  const astral = clip(points, 0x10000, MAX_CODE_POINT);
  if (astral.length === 0 && isSingle(basic)) return escapeUnit(basic[0]!);
  const choices: string[] = [];
  if (basic.length > 0 || astral.length === 0) {
    const outside = complement([...clip(points, 0, 0xd7ff), ...clip(points, 0xe000, MAX_CODE_POINT)]);
    // The complement of a set always has the surrogates, which stand for astral code points here.
    const negated = clip(outside, 0, 0xffff);
    choices.push(negated.length < basic.length ? `[^${writeRanges(negated)}]` : `[${writeRanges(basic)}]`);
  }
  for (let i = 0; i < astral.length; i += 2) choices.push(...writePairs(astral[i]!, astral[i + 1]!));
  return choices.length === 1 && choices[0]!.indexOf('][') < 0 ? choices[0]! : `(?:${choices.join('|')})`;
}

/** Surrogate pairs for `[first, last]`, both above 0xffff. */
function writePairs(first: number, last: number): string[] {
  const result: string[] = [];
  while (first <= last) {
    const high = highSurrogate(first);
    let end = Math.min(last, first | 0x3ff);
    if ((first & 0x3ff) === 0 && last - first >= 0x3ff) end = ((last + 1) & ~0x3ff) - 1;
    result.push(
      `[${writeRanges([high, highSurrogate(end)])}][${writeRanges([0xdc00 | (first & 0x3ff), 0xdc00 | (end & 0x3ff)])}]`,
    );
    first = end + 1;
  }
  return result;
}

function highSurrogate(point: number): number {
  return 0xd800 + ((point - 0x10000) >> 10);
}

function writeRanges(points: CodePoints): string {
  let result = '';
  for (let i = 0; i < points.length; i += 2) {
    const first = points[i]!;
    const last = points[i + 1]!;
    result += escapeUnit(first);
    if (last > first) result += `${last > first + 1 ? '-' : ''}${escapeUnit(last)}`;
  }
  return result;
}

function escapeUnit(unit: number): string {
  const isWord = (unit >= 0x30 && unit <= 0x39) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a);
  if (isWord || unit === 0x20 || unit === 0x5f) return String.fromCharCode(unit);
  return unit < 0x100 ? `\\x${unit.toString(16).padStart(2, '0')}` : `\\u${unit.toString(16).padStart(4, '0')}`;
}
