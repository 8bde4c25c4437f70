import { compileTree, type Run } from './compile.ts';
import { Execution } from './execution.ts';
import { functions } from './functions/index.ts';
import { MAX_TEXT_LENGTH } from './limits.ts';
import { parseTemplate } from './parser.ts';
import { readsOf } from './reads.ts';
import type { TemplateData } from './template-data.ts';
import { TemplateError } from './template-error.ts';
import type { ListNode, Node, Statement } from './tree.ts';
import { LabelMap } from './value.ts';

/** A compiled template. It keeps nothing of a row, so one serves a whole query. */
export class Template {
  /** Names that it may read, when `usesAllLabels` is false all of them. Fields of nested values are among them. */
  readonly labels: ReadonlySet<string>;
  /** It sees the labels as a map: any may count. */
  readonly usesAllLabels: boolean;
  /** It reads `__line__`. */
  readonly usesLine: boolean;
  readonly #name: string;
  readonly #source: string;
  readonly #run: Run;
  readonly #places = new WeakMap<Node, string>();
  readonly #parts: readonly Part[] | null;

  constructor(source: string, name: string) {
    const parsed = parseTemplate(name, source, (word) => functions.has(word));
    const reads = readsOf(parsed);
    this.labels = reads.labels;
    this.usesAllLabels = reads.usesAllLabels;
    this.usesLine = reads.usesLine;
    this.#name = name;
    this.#source = source;
    this.#run = compileTree(parsed);
    this.#parts = plainParts(parsed.root);
  }

  /** The text for a row. Throws `TemplateError`. */
  execute(data: TemplateData): string {
    if (this.#parts !== null) return this.#join(this.#parts, data);
    const execution = new Execution(data, this.#source, this.#name, this.#places);
    const labels = new LabelMap(data);
    execution.variables.push({ name: '$', value: labels });
    this.#run(execution, labels);
    return execution.output;
  }

  #join(parts: readonly Part[], data: TemplateData): string {
    let out = '';
    for (const part of parts) {
      switch (part.kind) {
        case 'text':
          out += part.text;
          break;
        case 'label':
          out += data.get(part.name) ?? '';
          break;
        default:
          out += data.line();
      }
      if (out.length > MAX_TEXT_LENGTH) {
        throw new TemplateError(`template: ${this.#name}: result is longer than ${MAX_TEXT_LENGTH} characters`);
      }
    }
    return out;
  }
}

type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'label'; readonly name: string }
  | { readonly kind: 'line' };

/** Most templates are text, labels and the line: these join without an execution. Null for any other. */
function plainParts(root: ListNode): Part[] | null {
  const parts: Part[] = [];
  for (const node of root.nodes) {
    const part = plainPart(node);
    if (part === null) return null;
    parts.push(part);
  }
  return parts;
}

function plainPart(node: Statement): Part | null {
  if (node.kind === 'text') return { kind: 'text', text: node.text };
  if (node.kind !== 'action' || node.pipe.declared.length > 0 || node.pipe.commands.length !== 1) return null;
  const { args } = node.pipe.commands[0]!;
  const only = args[0]!;
  if (args.length !== 1) return null;
  if (only.kind === 'field' && only.path.length === 1) return { kind: 'label', name: only.path[0]! };
  return only.kind === 'identifier' && only.name === '__line__' ? { kind: 'line' } : null;
}

/** Compiles a template once a query. Throws `TemplateError` with Go's text. */
export function compileTemplate(source: string, name: string): Template {
  return new Template(source, name);
}
