import { quoteGo } from '../units/index.ts';

/** The syntax tree of a template, as Go's `text/template/parse` builds it: error texts print its nodes. */

/** `at`: offset of the node in the source, in UTF-16 units. */
interface At {
  readonly at: number;
}

export interface TextNode extends At {
  readonly kind: 'text';
  readonly text: string;
}
export interface ActionNode extends At {
  readonly kind: 'action';
  readonly pipe: PipeNode;
}
export interface BranchNode extends At {
  readonly kind: 'if' | 'with' | 'range';
  readonly pipe: PipeNode;
  readonly list: ListNode;
  readonly otherwise: ListNode | null;
}
export interface TemplateNode extends At {
  readonly kind: 'template';
  readonly name: string;
  readonly pipe: PipeNode | null;
}
export interface JumpNode extends At {
  readonly kind: 'break' | 'continue';
}
export interface ListNode extends At {
  readonly kind: 'list';
  readonly nodes: Statement[];
}
export interface PipeNode extends At {
  readonly kind: 'pipe';
  readonly isAssign: boolean;
  readonly declared: readonly VariableNode[];
  readonly commands: readonly CommandNode[];
}
export interface CommandNode extends At {
  readonly kind: 'command';
  readonly args: readonly Operand[];
}
export interface FieldNode extends At {
  readonly kind: 'field';
  readonly path: readonly string[];
}
export interface VariableNode extends At {
  readonly kind: 'variable';
  /** The name with its `$`, then fields. */
  readonly path: readonly string[];
}
export interface ChainNode extends At {
  readonly kind: 'chain';
  readonly operand: Operand;
  readonly path: readonly string[];
}
export interface IdentifierNode extends At {
  readonly kind: 'identifier';
  readonly name: string;
}
export interface DotNode extends At {
  readonly kind: 'dot';
}
export interface NilNode extends At {
  readonly kind: 'nil';
}
export interface BoolNode extends At {
  readonly kind: 'bool';
  readonly value: boolean;
}
export interface StringNode extends At {
  readonly kind: 'string';
  readonly quoted: string;
  readonly value: string;
}
export interface NumberNode extends At {
  readonly kind: 'number';
  readonly text: string;
  /** Set for what Go can read as int64. */
  readonly int: bigint | null;
  /** Set for what Go can read as float64; every int is one. */
  readonly float: number | null;
  /** Set for `2i` and `1+2i`. */
  readonly complex: { readonly re: number; readonly im: number } | null;
}

export type Statement = TextNode | ActionNode | BranchNode | TemplateNode | JumpNode;
export type Operand =
  | PipeNode
  | FieldNode
  | VariableNode
  | ChainNode
  | IdentifierNode
  | DotNode
  | NilNode
  | BoolNode
  | StringNode
  | NumberNode;
export type Node = Statement | ListNode | CommandNode | Operand;

/** A template and its `define`d ones. */
export interface ParsedTemplate {
  readonly root: ListNode;
  /** By name, the main template included. */
  readonly named: ReadonlyMap<string, ListNode>;
}

/** A node as Go's `String` prints it. */
export function printNode(node: Node): string {
  switch (node.kind) {
    case 'text':
      return node.text;
    case 'action':
      return `{{${printNode(node.pipe)}}}`;
    case 'if':
    case 'with':
    case 'range': {
      const otherwise = node.otherwise === null ? '' : `{{else}}${printNode(node.otherwise)}`;
      return `{{${node.kind} ${printNode(node.pipe)}}}${printNode(node.list)}${otherwise}{{end}}`;
    }
    case 'template':
      return `{{template ${quoteGo(node.name)}${node.pipe === null ? '' : ` ${printNode(node.pipe)}`}}}`;
    case 'break':
    case 'continue':
      return `{{${node.kind}}}`;
    case 'list':
      return node.nodes.map(printNode).join('');
    case 'pipe': {
      const commands = node.commands.map(printNode).join(' | ');
      if (node.declared.length === 0) return commands;
      return `${node.declared.map(printNode).join(', ')} ${node.isAssign ? '=' : ':='} ${commands}`;
    }
    case 'command':
      return node.args.map((arg) => (arg.kind === 'pipe' ? `(${printNode(arg)})` : printNode(arg))).join(' ');
    case 'field':
      return node.path.map((name) => `.${name}`).join('');
    case 'variable':
      return node.path.join('.');
    case 'chain': {
      const operand = printNode(node.operand);
      return `${node.operand.kind === 'pipe' ? `(${operand})` : operand}${node.path.map((name) => `.${name}`).join('')}`;
    }
    case 'identifier':
      return node.name;
    case 'dot':
      return '.';
    case 'nil':
      return 'nil';
    case 'bool':
      return String(node.value);
    case 'string':
      return node.quoted;
    case 'number':
      return node.text;
    default:
      return node satisfies never;
  }
}
