import { quoteGo } from '../units/index.ts';
import { compilePipeline, type Evaluate } from './compile-pipeline.ts';
import type { Execution } from './execution.ts';
import { showValue } from './format.ts';
import { FunctionError } from './function-error.ts';
import { MAX_NESTING, MAX_TEMPLATE_DEPTH } from './limits.ts';
import type { BranchNode, ListNode, ParsedTemplate, Statement, TemplateNode } from './tree.ts';
import { Integer, isList, isMap, isTrue, mapEntries, type Value } from './value.ts';

/** How a statement ends: normally, with `break`, or with `continue`. */
type Flow = 0 | 1 | 2;
const NEXT = 0;
const BREAK = 1;
const CONTINUE = 2;

export type Run = (x: Execution, dot: Value) => Flow;

/** Closures of a template and of those that it defines. */
export function compileTree(parsed: ParsedTemplate): Run {
  const named = new Map<string, Run>();
  for (const [name, list] of parsed.named) named.set(name, compileList(list, named));
  return compileList(parsed.root, named);
}

function compileList(list: ListNode, named: ReadonlyMap<string, Run>): Run {
  const statements = list.nodes.map((node) => compileStatement(node, named));
  return (x, dot) => {
    x.node = list;
    if (++x.nesting > MAX_NESTING) x.fail(`exceeded maximum nesting (${MAX_NESTING})`);
    let flow: Flow = NEXT;
    // By index: `for of` would catch and rethrow each error to close its iterator.
    for (let i = 0; i < statements.length; i++) {
      flow = statements[i]!(x, dot);
      if (flow !== NEXT) break;
    }
    x.nesting--;
    return flow;
  };
}

function compileStatement(node: Statement, named: ReadonlyMap<string, Run>): Run {
  switch (node.kind) {
    case 'text':
      return (x) => {
        x.node = node;
        x.spend(1);
        x.write(node.text);
        return NEXT;
      };
    case 'action': {
      const evaluate = compilePipeline(node.pipe);
      const isSilent = node.pipe.declared.length > 0;
      return (x, dot) => {
        x.node = node;
        const value = evaluate(x, dot);
        if (isSilent) return NEXT;
        x.node = node;
        x.write(value === undefined ? '<no value>' : show(x, value));
        return NEXT;
      };
    }
    case 'if':
    case 'with':
      return compileBranch(node, named);
    case 'range':
      return compileRange(node, named);
    case 'template':
      return compileCall(node, named);
    case 'break':
      return () => BREAK;
    case 'continue':
      return () => CONTINUE;
    default:
      return node satisfies never;
  }
}

function show(x: Execution, value: Value): string {
  try {
    return showValue(value);
  } catch (error: unknown) {
    if (error instanceof FunctionError) x.fail(error.message);
    throw error;
  }
}

function compileBranch(node: BranchNode, named: ReadonlyMap<string, Run>): Run {
  const evaluate = compilePipeline(node.pipe);
  const list = compileList(node.list, named);
  const otherwise = node.otherwise === null ? null : compileList(node.otherwise, named);
  const isWith = node.kind === 'with';
  return (x, dot) => {
    x.node = node;
    const scope = x.variables.length;
    const value = evaluate(x, dot);
    let flow: Flow = NEXT;
    if (isTrue(value)) flow = list(x, isWith ? value : dot);
    else if (otherwise !== null) flow = otherwise(x, dot);
    x.variables.length = scope;
    return flow;
  };
}

function compileRange(node: BranchNode, named: ReadonlyMap<string, Run>): Run {
  const evaluate: Evaluate = compilePipeline(node.pipe);
  const list = compileList(node.list, named);
  const otherwise = node.otherwise === null ? null : compileList(node.otherwise, named);
  const { declared, isAssign } = node.pipe;
  const names = declared.map(({ path }) => path[0]!);

  /** False: `break`. */
  const iterate = (x: Execution, index: Value, element: Value, scope: number): boolean => {
    x.node = node;
    x.spend(1);
    if (isAssign) {
      if (names.length === 1) x.variable(names[0]!).value = element;
      if (names.length === 2) {
        x.variable(names[0]!).value = index;
        x.variable(names[1]!).value = element;
      }
    } else if (names.length > 0) {
      x.variables[scope - 1]!.value = element;
      if (names.length > 1) x.variables[scope - 2]!.value = index;
    }
    const flow = list(x, element);
    x.variables.length = scope;
    return flow !== BREAK;
  };

  /** False: there was nothing to go over. */
  const iterateAll = (x: Execution, value: Value): boolean => {
    const scope = x.variables.length;
    if (value === undefined || value === null) return false;
    if (isList(value)) {
      for (const [i, element] of value.entries()) {
        if (!iterate(x, new Integer('int', BigInt(i)), element, scope)) break;
      }
      return value.length > 0;
    }
    if (isMap(value)) {
      const entries = mapEntries(value);
      x.spend(entries.length);
      for (const [key, element] of entries) if (!iterate(x, key, element, scope)) break;
      return entries.length > 0;
    }
    if (!(value instanceof Integer)) x.fail(`range can't iterate over ${show(x, value)}`);
    if (names.length > 1) x.fail(`can't use ${show(x, value)} to iterate over more than one variable`);
    for (let i = 0n; i < value.value; i++) {
      if (!iterate(x, undefined, new Integer(value.type, i), scope)) break;
    }
    return value.value > 0n;
  };

  return (x, dot) => {
    x.node = node;
    const scope = x.variables.length;
    const value = evaluate(x, dot);
    const flow = iterateAll(x, value) || otherwise === null ? NEXT : otherwise(x, dot);
    x.variables.length = scope;
    return flow;
  };
}

function compileCall(node: TemplateNode, named: ReadonlyMap<string, Run>): Run {
  const evaluate = node.pipe === null ? null : compilePipeline(node.pipe);
  return (x, dot) => {
    x.node = node;
    x.spend(1);
    const run = named.get(node.name);
    if (run === undefined) return x.fail(`template ${quoteGo(node.name)} not defined`);
    if (x.depth === MAX_TEMPLATE_DEPTH) x.fail(`exceeded maximum template depth (${MAX_TEMPLATE_DEPTH})`);
    const value = evaluate === null ? undefined : evaluate(x, dot);
    const { template, variables } = x;
    x.template = node.name;
    x.depth++;
    x.variables = [{ name: '$', value }];
    run(x, value);
    x.template = template;
    x.depth--;
    x.variables = variables;
    return NEXT;
  };
}
