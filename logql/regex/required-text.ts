import { isSingle } from './code-points.ts';
import type { RegexNode } from './syntax-tree.ts';

/**
 * What a text contains if a pattern matches somewhere in it. `bytes` is a byte string (UTF-8, one character a byte);
 * ASCII letters of the text may be in the other case.
 */
export type TextCondition =
  | { readonly kind: 'text'; readonly bytes: string }
  | { readonly kind: 'all'; readonly items: readonly TextCondition[] }
  | { readonly kind: 'any'; readonly items: readonly TextCondition[] };

/** Null when nothing is known. */
export function requiredText(root: RegexNode): TextCondition | null {
  const items: TextCondition[] = [];
  let run = '';
  const flush = (): void => {
    if (run !== '') items.push({ kind: 'text', bytes: run });
    run = '';
  };
  const visit = (node: RegexNode): void => {
    switch (node.kind) {
      case 'set': {
        const bytes = bytesOf(node.points);
        if (bytes === null) flush();
        else run += bytes;
        return;
      }
      case 'assertion':
        return; // takes no room: what stands around it touches
      case 'sequence':
        for (const item of node.items) visit(item);
        return;
      case 'capture':
        visit(node.item);
        return;
      case 'choice': {
        flush();
        const choices = node.items.map(requiredText);
        if (choices.length > 0 && choices.every((choice) => choice !== null))
          items.push({ kind: 'any', items: choices });
        return;
      }
      case 'repeat':
        // The first turn touches what stands before it; behind the last one nothing is known to.
        if (node.min > 0) visit(node.item);
        if (node.min !== 1 || node.max !== 1) flush();
        return;
      default:
        node satisfies never;
    }
  };
  visit(root);
  flush();
  return items.length === 0 ? null : items.length === 1 ? items[0]! : { kind: 'all', items };
}

/** The bytes of a set that is one character, or one ASCII letter in both cases; null for others. */
function bytesOf(points: readonly number[]): string | null {
  const first = points[0];
  if (first === undefined) return null;
  if (isSingle(points)) {
    // U+FFFD in a text may come from any bytes that are not UTF-8.
    const isText = first !== 0xfffd && (first < 0xd800 || first > 0xdfff);
    return isText ? Buffer.from(String.fromCodePoint(first), 'utf8').toString('latin1') : null;
  }
  const isLetter = points.length === 4 && first >= 0x41 && first <= 0x5a && points[1] === first;
  return isLetter && points[2] === first + 32 && points[3] === first + 32 ? String.fromCharCode(first + 32) : null;
}
