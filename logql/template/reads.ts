import type { Node, ParsedTemplate } from './tree.ts';

/** What a template may look at. */
export interface Reads {
  /** Labels that it names. */
  readonly labels: ReadonlySet<string>;
  /** It passes the whole map on (`.`, `$`), so that any label may count. */
  readonly usesAllLabels: boolean;
  readonly usesLine: boolean;
}

export function readsOf(parsed: ParsedTemplate): Reads {
  const labels = new Set<string>();
  let usesAllLabels = false;
  let usesLine = false;
  const visit = (node: Node | null): void => {
    switch (node?.kind) {
      case undefined:
      case 'text':
      case 'break':
      case 'continue':
      case 'nil':
      case 'bool':
      case 'string':
      case 'number':
        return;
      case 'action':
        visit(node.pipe);
        return;
      case 'if':
      case 'with':
      case 'range':
        visit(node.pipe);
        visit(node.list);
        visit(node.otherwise);
        return;
      case 'template':
        visit(node.pipe);
        return;
      case 'list':
        for (const child of node.nodes) visit(child);
        return;
      case 'pipe':
        for (const child of node.commands) visit(child);
        return;
      case 'command':
        for (const child of node.args) visit(child);
        return;
      case 'field':
        labels.add(node.path[0]!);
        return;
      case 'variable':
        // A variable of another name holds what some other node has read.
        if (node.path.length > 1) labels.add(node.path[1]!);
        else if (node.path[0] === '$') usesAllLabels = true;
        return;
      case 'chain':
        labels.add(node.path[0]!);
        visit(node.operand);
        return;
      case 'identifier':
        if (node.name === '__line__') usesLine = true;
        return;
      case 'dot':
        usesAllLabels = true;
        return;
      default:
        node satisfies never;
    }
  };
  visit(parsed.root);
  for (const list of parsed.named.values()) visit(list);
  return { labels, usesAllLabels, usesLine };
}
