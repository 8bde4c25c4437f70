import { quoteGo } from '../units/index.ts';
import { MAX_STEPS, MAX_TEXT_LENGTH } from './limits.ts';
import type { TemplateData } from './template-data.ts';
import { TemplateError } from './template-error.ts';
import { type Node, printNode } from './tree.ts';
import type { Value } from './value.ts';

/** State of one execution. Errors name the node that was visited last, as Go does. */
export class Execution {
  readonly data: TemplateData;
  readonly #source: string;
  /** Name of the main template, which stands before positions. */
  readonly #sourceName: string;
  /** Name of the template that runs. */
  template: string;
  node: Node | null = null;
  /** Of `{{template}}` calls. */
  depth = 0;
  /** Of blocks in all of them. */
  nesting = 0;
  /** Innermost last; a `{{template}}` call begins anew. */
  variables: Variable[] = [];
  #out = '';
  #steps = 0;

  /** Texts of nodes in errors, kept by the template: often every row fails at the same one. */
  readonly #places: WeakMap<Node, string>;

  constructor(data: TemplateData, source: string, name: string, places: WeakMap<Node, string>) {
    this.#places = places;
    this.data = data;
    this.#source = source;
    this.#sourceName = name;
    this.template = name;
  }

  get output(): string {
    return this.#out;
  }

  write(text: string): void {
    if (this.#out.length + text.length > MAX_TEXT_LENGTH) {
      this.fail(`result is longer than ${MAX_TEXT_LENGTH} characters`);
    }
    this.#out += text;
  }

  /** Counts work. A budget, not a clock: the same template over the same row always fails or never. */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) this.fail(`template takes more than ${MAX_STEPS} steps`);
  }

  variable(name: string): Variable {
    for (let i = this.variables.length - 1; i >= 0; i--) {
      const variable = this.variables[i]!;
      if (variable.name === name) return variable;
    }
    return this.fail(`undefined variable: ${name}`);
  }

  fail(message: string): never {
    throw new TemplateError(`template: ${this.#where()}: ${message}`);
  }

  #where(): string {
    const { node } = this;
    if (node === null) return this.template;
    const known = this.#places.get(node);
    if (known !== undefined) return known;
    const before = this.#source.slice(0, node.at);
    const lineFrom = before.lastIndexOf('\n') + 1;
    const line = before.split('\n').length;
    const column = Buffer.byteLength(before.slice(lineFrom));
    const place = `${this.#sourceName}:${line}:${column}: executing ${quoteGo(this.template)} at <${printNode(node)}>`;
    this.#places.set(node, place);
    return place;
  }
}

export interface Variable {
  readonly name: string;
  value: Value;
}
