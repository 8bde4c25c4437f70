import { parsePattern, type RegexNode } from '../regex/index.ts';

/**
 * Whether Loki replaces a label filter's pattern by plain comparisons: literals, `.*` around them, and alternatives
 * of those. It prints the patterns that it could not replace raw, the others quoted. The decision falls on the tree
 * that Go's parser leaves behind, which joins characters to literals and takes common prefixes out of alternatives.
 */
export function isRewrittenByLoki(pattern: string): boolean {
  return isSimple(shapeOf(parsePattern(pattern).root));
}

/** What the decision depends on. A literal is its characters, each as the text of its set. */
type Shape =
  | { readonly kind: 'literal'; readonly characters: readonly string[]; readonly folds: boolean }
  | { readonly kind: 'any run'; readonly min: 0 | 1 }
  | { readonly kind: 'empty' }
  | { readonly kind: 'sequence'; readonly items: readonly Shape[] }
  | { readonly kind: 'choice'; readonly items: readonly Shape[] }
  | { readonly kind: 'capture'; readonly item: Shape }
  | { readonly kind: 'set' }
  | { readonly kind: 'other' };

const EMPTY: Shape = { kind: 'empty' };
const SET: Shape = { kind: 'set' };
const OTHER: Shape = { kind: 'other' };

/** Every character but the line feed. */
const DOT = [0, 9, 11, 0x10ffff].join();

function shapeOf(node: RegexNode): Shape {
  switch (node.kind) {
    case 'set':
      return setShape(node.points);
    case 'assertion':
      return OTHER;
    case 'sequence':
      return sequence(node.items.map(shapeOf));
    case 'choice':
      return choice(node.items.map(shapeOf));
    case 'capture':
      return { kind: 'capture', item: shapeOf(node.item) };
    case 'repeat': {
      if (node.max === 0) return EMPTY;
      if (node.min === 1 && node.max === 1) return shapeOf(node.item);
      const isRun = node.max === Number.POSITIVE_INFINITY && (node.min === 0 || node.min === 1);
      const isDot = node.item.kind === 'set' && node.item.points.join() === DOT;
      return isRun && isDot ? { kind: 'any run', min: node.min as 0 | 1 } : OTHER;
    }
    default:
      return node satisfies never;
  }
}

/** One character, or one letter in all its cases, is a literal. */
function setShape(points: readonly number[]): Shape {
  const first = points[0] ?? 0;
  const folded = String.fromCodePoint(first).toLowerCase();
  let count = 0;
  for (let i = 0; i < points.length; i += 2) {
    for (let point = points[i]!; point <= points[i + 1]!; point++) {
      if (++count > 4 || String.fromCodePoint(point).toLowerCase() !== folded) return SET;
    }
  }
  return count === 0 ? OTHER : { kind: 'literal', characters: [points.join()], folds: count > 1 };
}

function sequence(items: readonly Shape[]): Shape {
  const joined: Shape[] = [];
  for (const item of items.flatMap((inner) => (inner.kind === 'sequence' ? inner.items : [inner]))) {
    const last = joined.at(-1);
    if (item.kind === 'literal' && last?.kind === 'literal' && item.folds === last.folds) {
      joined[joined.length - 1] = { ...last, characters: [...last.characters, ...item.characters] };
    } else {
      joined.push(item);
    }
  }
  if (joined.length === 0) return EMPTY;
  return joined.length === 1 ? joined[0]! : { kind: 'sequence', items: joined };
}

/** Go's factoring: neighbours with a common literal prefix share it, neighbours of one character become a set. */
function choice(legs: readonly Shape[]): Shape {
  const factored: Shape[] = [];
  for (let i = 0; i < legs.length; ) {
    let prefix = leadingCharacters(legs[i]!);
    let end = i + 1;
    for (; end < legs.length; end++) {
      const common = commonPrefix(prefix, leadingCharacters(legs[end]!));
      if (common.length === 0) break;
      prefix = common;
    }
    const run = legs.slice(i, end);
    factored.push(run.length === 1 ? run[0]! : withPrefix(prefix, run));
    i = end;
  }
  const merged: Shape[] = [];
  for (const leg of factored) {
    const last = merged.at(-1);
    if (last !== undefined && isOneCharacter(last) && isOneCharacter(leg)) merged[merged.length - 1] = SET;
    else merged.push(leg);
  }
  return merged.length === 1 ? merged[0]! : { kind: 'choice', items: merged };
}

function leadingCharacters(leg: Shape): readonly string[] {
  const first = leg.kind === 'sequence' ? leg.items[0]! : leg;
  return first.kind === 'literal' ? first.characters : [];
}

function commonPrefix(a: readonly string[], b: readonly string[]): readonly string[] {
  const end = a.findIndex((character, i) => b[i] !== character);
  return end < 0 ? a : a.slice(0, end);
}

function withPrefix(prefix: readonly string[], legs: readonly Shape[]): Shape {
  const folds = legs.some(
    (leg) => (leg.kind === 'sequence' ? leg.items[0] : leg)?.kind === 'literal' && foldsFirst(leg),
  );
  const rests = legs.map((leg) => withoutPrefix(leg, prefix.length));
  return sequence([{ kind: 'literal', characters: prefix, folds }, choice(rests)]);
}

function foldsFirst(leg: Shape): boolean {
  const first = leg.kind === 'sequence' ? leg.items[0]! : leg;
  return first.kind === 'literal' && first.folds;
}

function withoutPrefix(leg: Shape, length: number): Shape {
  const [first, ...rest] = leg.kind === 'sequence' ? leg.items : [leg];
  if (first?.kind !== 'literal') return leg;
  const characters = first.characters.slice(length);
  return sequence(characters.length === 0 ? rest : [{ ...first, characters }, ...rest]);
}

function isOneCharacter(shape: Shape): boolean {
  return shape.kind === 'set' || (shape.kind === 'literal' && shape.characters.length === 1);
}

function uncaptured(shape: Shape): Shape {
  return shape.kind === 'capture' ? shape.item : shape;
}

function isSimple(shape: Shape): boolean {
  switch (shape.kind) {
    case 'literal':
    case 'any run':
    case 'empty':
      return true;
    case 'capture':
      return isSimple(shape.item);
    case 'choice':
      return shape.items.map(uncaptured).every(isSimple);
    case 'sequence':
      return isSimpleSequence(shape.items, null);
    case 'set':
    case 'other':
      return false;
    default:
      return shape satisfies never;
  }
}

/** At most three parts: one literal, `.*`, and alternatives after a literal. `base` is the literal before it all. */
function isSimpleSequence(items: readonly Shape[], base: { readonly folds: boolean } | null): boolean {
  const parts = items.map(uncaptured).filter((item) => item.kind !== 'empty');
  if (parts.length > 3) return false;
  let literal = base;
  let literals = 0;
  for (const part of parts) {
    if (part.kind === 'literal') {
      if (literals++ > 0) return false;
      literal = part;
    } else if (part.kind === 'choice' && literal !== null) {
      const { folds } = literal;
      if (!part.items.every((leg) => isSimpleLeg(leg, folds))) return false;
    } else if (part.kind !== 'any run' || part.min !== 0) {
      return false;
    }
  }
  return literal !== null;
}

function isSimpleLeg(leg: Shape, folds: boolean): boolean {
  if (leg.kind === 'empty') return true;
  if (leg.kind === 'literal') return folds || !leg.folds;
  if (leg.kind === 'any run') return leg.min === 0;
  return leg.kind === 'sequence' && isSimpleSequence(leg.items, { folds });
}
