import { foldCase } from './case-folding.ts';
import { hasCodePoint, isSingle } from './code-points.ts';
import type { RegexNode } from './syntax-tree.ts';

/**
 * Loki turns simple patterns into comparisons instead of running them, and what these do differs in places from what
 * the pattern says: a label filter `ip=~"10.*"` accepts any value that contains `10`, and case folding looks at ASCII
 * letters of the line only. A pattern is simple when it is one or more of these forms, any of which may hold.
 */
export interface SimpleForm {
  /** `literal`: nothing but the text. `around`: the text with `.*` beside it, or a common prefix taken out. */
  readonly kind: 'literal' | 'around';
  readonly text: string;
  readonly foldsCase: boolean;
}

/** The forms of a pattern, or null when it is not that simple. */
export function simpleForms(root: RegexNode): readonly SimpleForm[] | null {
  return formsOf(flatten(root));
}

/** A sequence of characters, `.*` and choices; null stands for anything else. */
type Element =
  | { readonly kind: 'char'; readonly text: string; readonly folding: 'yes' | 'no' | 'any' }
  | { readonly kind: 'everything' }
  | { readonly kind: 'choice'; readonly items: readonly (readonly (Element | null)[])[] };

type Elements = readonly (Element | null)[];

function flatten(node: RegexNode): Elements {
  switch (node.kind) {
    case 'sequence':
      return node.items.flatMap((item) => flatten(item));
    case 'capture':
      return flatten(node.item);
    case 'choice':
      return [{ kind: 'choice', items: factor(node.items.map(flatten)) }];
    case 'set':
      return [charOf(node)];
    case 'repeat': {
      const isEverything = node.min === 0 && node.max === Number.POSITIVE_INFINITY && isDot(node.item);
      return [isEverything ? { kind: 'everything' } : null];
    }
    case 'assertion':
      return [null];
    default:
      return node satisfies never;
  }
}

function charOf(node: RegexNode & { kind: 'set' }): Element | null {
  const first = node.points[0];
  if (first === undefined) return null;
  const orbit = foldCase([first, first]);
  if (isSingle(node.points)) {
    return { kind: 'char', text: String.fromCodePoint(first), folding: isSingle(orbit) ? 'any' : 'no' };
  }
  const isOrbit = orbit.length === node.points.length && orbit.every((point, i) => point === node.points[i]);
  // An orbit is named by its smallest member, and compared in lower case.
  return isOrbit ? { kind: 'char', text: lower(String.fromCodePoint(first)), folding: 'yes' } : null;
}

/** Go's `unicode.ToLower`, one code point for one. */
function lower(char: string): string {
  return char === '\u0130' ? 'i' : char.toLowerCase();
}

function isDot(node: RegexNode): boolean {
  return node.kind === 'set' && node.points.length === 4 && hasCodePoint(node.points, 0x10ffff) && node.points[1] === 9;
}

/** Takes out literal prefixes that neighbouring alternatives share, as Go's parser does. */
function factor(items: readonly Elements[]): readonly Elements[] {
  const result: Elements[] = [];
  for (let i = 0; i < items.length; ) {
    let common = literalLength(items[i]!);
    let end = i + 1;
    while (end < items.length) {
      const shared = sharedPrefix(items[i]!, items[end]!, common);
      if (shared === 0) break;
      common = shared;
      end++;
    }
    if (end === i + 1) result.push(items[i]!);
    else {
      const suffixes = items.slice(i, end).map((item) => item.slice(common));
      result.push([...items[i]!.slice(0, common), { kind: 'choice', items: factor(suffixes) }]);
    }
    i = end;
  }
  return result;
}

function literalLength(elements: Elements): number {
  const end = elements.findIndex((element) => element?.kind !== 'char');
  return end < 0 ? elements.length : end;
}

function sharedPrefix(a: Elements, b: Elements, limit: number): number {
  let length = 0;
  while (length < limit) {
    const x = a[length];
    const y = b[length];
    if (x?.kind !== 'char' || y?.kind !== 'char' || x.text !== y.text || x.folding !== y.folding) break;
    length++;
  }
  return length;
}

function formsOf(elements: Elements): readonly SimpleForm[] | null {
  if (elements.length === 1 && elements[0]?.kind === 'choice') {
    const forms: SimpleForm[] = [];
    for (const item of elements[0].items) {
      const inner = formsOf(item);
      if (inner === null) return null;
      forms.push(...inner);
    }
    return forms;
  }
  return formsAfter('', false, elements, true);
}

/** Forms of `elements` behind the literal `base`. */
function formsAfter(
  base: string,
  baseFolds: boolean,
  elements: Elements,
  isRoot: boolean,
): readonly SimpleForm[] | null {
  let text = base;
  let foldsCase = baseFolds;
  let literals = 0;
  let parts = 0;
  let alternatives: SimpleForm[] | null = null;
  for (let i = 0; i < elements.length; ) {
    const element = elements[i]!;
    if (element === null || ++parts > 3) return null;
    if (element.kind === 'char') {
      const end = i + literalLength(elements.slice(i));
      const run = elements.slice(i, end) as (Element & { kind: 'char' })[];
      const folds = run.some((char) => char.folding === 'yes');
      if (++literals > 1 || (folds && run.some((char) => char.folding === 'no'))) return null;
      foldsCase ||= folds;
      for (const char of run) text += folds ? lower(char.text) : char.text;
      i = end;
      continue;
    }
    if (element.kind === 'choice') {
      if (text === '') return null;
      alternatives = [];
      for (const item of element.items) {
        const inner = formsAfter(text, foldsCase, item, false);
        if (inner === null) return null;
        alternatives.push(...inner);
      }
    }
    i++;
  }
  if (alternatives !== null) return alternatives;
  if (text === '') return null;
  return [{ kind: isRoot && parts === 1 ? 'literal' : 'around', text, foldsCase }];
}
