import { isSingle } from './code-points.ts';
import type { RegexNode } from './syntax-tree.ts';

/**
 * Substrings that every match contains, longest first; no promise that these are all. A match is searched in text
 * that contains them all, so blocks and lines without one can be skipped.
 */
export function requiredLiterals(root: RegexNode): readonly string[] {
  const found = new Set<string>();
  const run = { text: '' };
  const flush = (): void => {
    if (run.text !== '') found.add(run.text);
    run.text = '';
  };
  visit(root);
  flush();
  return [...found].sort((a, b) => b.length - a.length);

  function visit(node: RegexNode): void {
    switch (node.kind) {
      case 'set':
        if (isSingle(node.points)) run.text += String.fromCodePoint(node.points[0]!);
        else flush();
        return;
      case 'assertion':
        return;
      case 'sequence':
        for (const item of node.items) visit(item);
        return;
      case 'capture':
        visit(node.item);
        return;
      case 'choice':
        flush();
        return;
      case 'repeat':
        if (node.min === 1 && node.max === 1) {
          visit(node.item);
          return;
        }
        if (node.min > 0) {
          visit(node.item);
        }
        flush();
        return;
      default:
        node satisfies never;
    }
  }
}

/** The text that is the only match of the pattern, or null when there is not exactly one. */
export function onlyMatch(node: RegexNode): string | null {
  switch (node.kind) {
    case 'set':
      return isSingle(node.points) ? String.fromCodePoint(node.points[0]!) : null;
    case 'sequence': {
      let text = '';
      for (const item of node.items) {
        const part = onlyMatch(item);
        if (part === null) return null;
        text += part;
      }
      return text;
    }
    case 'capture':
      return onlyMatch(node.item);
    case 'choice':
    case 'repeat':
    case 'assertion':
      return null;
    default:
      return node satisfies never;
  }
}

/** The longest match in code points, `Infinity` when there is no bound. */
export function longestMatch(node: RegexNode): number {
  switch (node.kind) {
    case 'set':
      return 1;
    case 'assertion':
      return 0;
    case 'sequence':
      return node.items.reduce((sum, item) => sum + longestMatch(item), 0);
    case 'choice':
      return Math.max(...node.items.map(longestMatch));
    case 'capture':
      return longestMatch(node.item);
    case 'repeat': {
      const one = longestMatch(node.item);
      return one === 0 || node.max === 0 ? 0 : one * node.max;
    }
    default:
      return node satisfies never;
  }
}
