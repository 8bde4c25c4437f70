import type { CodePoints } from './code-points.ts';

/** A parsed RE2 pattern. Flags are resolved: sets are folded, anchors say which they are, greediness is final. */
export type RegexNode =
  | { readonly kind: 'set'; readonly points: CodePoints }
  | { readonly kind: 'assertion'; readonly at: Assertion }
  | { readonly kind: 'sequence'; readonly items: readonly RegexNode[] }
  | { readonly kind: 'choice'; readonly items: readonly RegexNode[] }
  | {
      readonly kind: 'repeat';
      readonly item: RegexNode;
      readonly min: number;
      readonly max: number;
      readonly greedy: boolean;
    }
  | { readonly kind: 'capture'; readonly index: number; readonly name: string; readonly item: RegexNode };

export type Assertion = 'text start' | 'text end' | 'line start' | 'line end' | 'word edge' | 'no word edge';

export interface RegexTree {
  readonly root: RegexNode;
  /** Name by group number, '' for groups without a name and for group 0. */
  readonly names: readonly string[];
}

/** Whether the node can match the empty string. */
export function isNullable(node: RegexNode): boolean {
  switch (node.kind) {
    case 'set':
      return false;
    case 'assertion':
      return true;
    case 'sequence':
      return node.items.every(isNullable);
    case 'choice':
      return node.items.some(isNullable);
    case 'repeat':
      return node.min === 0 || isNullable(node.item);
    case 'capture':
      return isNullable(node.item);
    default:
      return node satisfies never;
  }
}

export function someNode(node: RegexNode, test: (node: RegexNode) => boolean): boolean {
  if (test(node)) return true;
  switch (node.kind) {
    case 'sequence':
    case 'choice':
      return node.items.some((item) => someNode(item, test));
    case 'repeat':
    case 'capture':
      return someNode(node.item, test);
    default:
      return false;
  }
}
