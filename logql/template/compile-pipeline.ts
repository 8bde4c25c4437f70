import type { Execution } from './execution.ts';
import { FunctionError } from './function-error.ts';
import { functions, methodOf, type ParameterType, type TemplateFunction, TIME_FIELDS } from './functions/index.ts';
import { GoTime } from './time.ts';
import { type CommandNode, type Node, type NumberNode, type Operand, type PipeNode, printNode } from './tree.ts';
import { Complex, Integer, int, isList, isMap, isTrue, LabelMap, mapGet, typeName, type Value } from './value.ts';

/** No value comes from a command before. */
export const NOTHING: unique symbol = Symbol('no final value');
export type Final = Value | typeof NOTHING;

export type Evaluate = (x: Execution, dot: Value) => Value;
type EvaluateCommand = (x: Execution, dot: Value, final: Final) => Value;
type EvaluateArgument = (x: Execution, dot: Value) => Value;

/** A pipeline as a closure; it declares or sets its variables and returns the value. */
export function compilePipeline(pipe: PipeNode): Evaluate {
  const commands = pipe.commands.map(compileCommand);
  const { declared, isAssign } = pipe;
  return (x, dot) => {
    x.node = pipe;
    x.spend(1);
    let value: Final = NOTHING;
    // By index: `for of` would catch and rethrow each error to close its iterator.
    for (let i = 0; i < commands.length; i++) value = commands[i]!(x, dot, value) ?? undefined;
    for (const { path } of declared) {
      const name = path[0]!;
      if (isAssign) x.variable(name).value = value as Value;
      else x.variables.push({ name, value: value as Value });
    }
    return value as Value;
  };
}

function compileCommand(command: CommandNode): EvaluateCommand {
  const [first, ...rest] = command.args as [Operand, ...Operand[]];
  switch (first.kind) {
    case 'field':
      return compilePath(first, rest, first.path, (_x, dot) => dot);
    case 'chain':
      return compilePath(first, rest, first.path, compileArgument(null, first.operand));
    case 'variable': {
      const [name, ...path] = first.path as [string, ...string[]];
      if (path.length > 0) return compilePath(first, rest, path, (x) => x.variable(name).value);
      return notCallable(first, rest, true, (x) => x.variable(name).value);
    }
    case 'identifier':
      return compileFunction(first.name, first, command, rest);
    case 'pipe':
      return notCallable(first, rest, false, compilePipeline(first));
    case 'nil':
      return notCallable(first, rest, true, (x) => x.fail('nil is not a command'));
    default:
      return notCallable(first, rest, true, compileLiteral(first));
  }
}

/** What is neither function nor method takes no arguments. Go has visited all but a parenthesis when it says so. */
function notCallable(node: Operand, rest: readonly Operand[], visits: boolean, evaluate: Evaluate): EvaluateCommand {
  return (x, dot, final) => {
    if (visits) x.node = node;
    if (rest.length > 0 || final !== NOTHING) x.fail(`can't give argument to non-function ${printNode(node)}`);
    return evaluate(x, dot);
  };
}

function compileLiteral(node: Operand): Evaluate {
  switch (node.kind) {
    case 'dot':
      return (_x, dot) => dot;
    case 'bool':
    case 'string':
      return () => node.value;
    case 'number':
      return compileConstant(node);
    default:
      return (x) => x.fail(`can't evaluate command ${printNode(node)}`);
  }
}

/** A constant where no type is asked for: its form decides. */
function compileConstant(node: NumberNode): Evaluate {
  const value = constantValue(node);
  if (value === null) return (x) => x.fail(`${node.text} overflows int`);
  return (x) => {
    x.node = node;
    return value;
  };
}

function constantValue(node: NumberNode): Value | null {
  if (node.complex !== null) return new Complex(node.complex.re, node.complex.im);
  const isFloat = /[.eEpP]/.test(node.text) && !node.text.startsWith("'") && !/^0[xX][^pP]*$/.test(node.text);
  if (node.float !== null && isFloat) return node.float;
  return node.int === null ? null : int(node.int);
}

/** `.a.b`, `$x.a`, `(…).a`: fields and methods, of which the last gets the arguments. */
function compilePath(
  node: Node,
  rest: readonly Operand[],
  path: readonly string[],
  receiver: Evaluate,
): EvaluateCommand {
  const last = path.length - 1;
  return (x, dot, final) => {
    x.node = node;
    let value = receiver(x, dot);
    for (let i = 0; i < last; i++) value = evaluateField(x, dot, path[i]!, node, NO_ARGUMENTS, NOTHING, value);
    return evaluateField(x, dot, path[last]!, node, rest, final, value);
  };
}

const NO_ARGUMENTS: readonly Operand[] = [];

function evaluateField(
  x: Execution,
  dot: Value,
  name: string,
  node: Node,
  rest: readonly Operand[],
  final: Final,
  receiver: Value,
): Value {
  if (receiver === undefined) return undefined;
  if (receiver === null) x.fail(`nil pointer evaluating interface {}.${name}`);
  const hasArguments = rest.length > 0 || final !== NOTHING;
  if (receiver instanceof LabelMap && !hasArguments) return receiver.get(name);
  const method = methodOf(receiver, name);
  if (method !== null)
    return callFunction(x, dot, name, method, node, compiledArguments(method, rest), rest, final, receiver);
  if (isMap(receiver)) {
    if (hasArguments) x.fail(`${name} is not a method but has arguments`);
    return mapGet(receiver, name);
  }
  if (receiver instanceof GoTime && TIME_FIELDS.has(name)) {
    x.fail(`${name} is an unexported field of struct type time.Time`);
  }
  return x.fail(`can't evaluate field ${name} in type ${typeName(receiver)}`);
}

/** Which method it is shows only at run time, so its arguments compile then, once. */
const methodArguments = new WeakMap<readonly Operand[], Map<TemplateFunction, readonly EvaluateArgument[]>>();

function compiledArguments(method: TemplateFunction, rest: readonly Operand[]): readonly EvaluateArgument[] {
  if (rest.length === 0) return [];
  let ofMethod = methodArguments.get(rest);
  if (ofMethod === undefined) methodArguments.set(rest, (ofMethod = new Map()));
  let compiled = ofMethod.get(method);
  if (compiled === undefined) ofMethod.set(method, (compiled = compileArguments(method, rest)));
  return compiled;
}

function compileArguments(called: TemplateFunction, rest: readonly Operand[]): EvaluateArgument[] {
  return rest.map((node, i) => compileArgument(called.parameters[i] ?? called.variadic ?? 'interface {}', node));
}

function compileFunction(name: string, node: Operand, context: Node, rest: readonly Operand[]): EvaluateCommand {
  const called = functions.get(name)!;
  const args = compileArguments(called, rest);
  return (x, dot, final) => {
    x.node = node;
    return callFunction(x, dot, name, called, context, args, rest, final, NOTHING);
  };
}

function callFunction(
  x: Execution,
  dot: Value,
  name: string,
  called: TemplateFunction,
  context: Node,
  args: readonly EvaluateArgument[],
  nodes: readonly Operand[],
  final: Final,
  receiver: Final,
): Value {
  const { parameters, variadic, special } = called;
  const count = args.length + (final === NOTHING ? 0 : 1);
  if (called.refusedResults !== undefined) {
    if (count > 0) x.fail(`wrong number of args for ${name}: want 0 got ${count}`);
    x.fail(`can't call method/function "${name}" with ${called.refusedResults} results`);
  }
  if (variadic !== null ? count < parameters.length : count !== parameters.length) {
    if (variadic === null) x.fail(`wrong number of args for ${name}: want ${parameters.length} got ${count}`);
    x.fail(`wrong number of args for ${name}: want at least ${parameters.length} got ${args.length}`);
  }
  if (special === 'and' || special === 'or') return evaluateLogic(x, dot, special === 'or', args, final);
  const values: Value[] = receiver === NOTHING ? [] : [receiver];
  for (let i = 0; i < args.length; i++) values.push(args[i]!(x, dot));
  if (final !== NOTHING) values.push(checkType(x, final, parameters[count - 1] ?? variadic!));
  if (special === 'call') values.unshift(nodes.length === 0 ? calleeName(final) : printNode(nodes[0]!));
  x.spend(1 + (called.cost ?? 0) + sizeCost(values));
  let result: Value;
  try {
    result = called.call(values, x.data);
  } catch (error: unknown) {
    if (!(error instanceof FunctionError)) throw error;
    x.node = context;
    return x.fail(`error calling ${name}: ${error.message}`);
  }
  if (typeof result === 'string') x.spend(result.length >> 6);
  return result;
}

/** Go prints the piped value where the name of the function should be. */
function calleeName(final: Final): Value {
  return typeof final === 'string' ? final : `<${final === NOTHING ? 'invalid' : typeName(final)} Value>`;
}

/** `and` and `or` stop at the first argument that decides, and give it back. */
function evaluateLogic(
  x: Execution,
  dot: Value,
  stopAt: boolean,
  args: readonly EvaluateArgument[],
  final: Final,
): Value {
  let value: Value;
  for (const arg of args) {
    value = arg(x, dot);
    if (isTrue(value) === stopAt) return value;
  }
  return final === NOTHING ? value : checkType(x, final, 'reflect.Value');
}

/** Work that grows with the texts and lists that are passed. */
function sizeCost(values: readonly Value[]): number {
  let length = 0;
  for (const value of values) if (typeof value === 'string' || isList(value)) length += value.length;
  return length >> 6;
}

/** An argument for a parameter of a type; null asks for nothing, as before a field access. */
function compileArgument(type: ParameterType | null, node: Operand): EvaluateArgument {
  const evaluate = compileOperand(type, node);
  return (x, dot) => {
    x.node = node;
    return evaluate(x, dot);
  };
}

function compileOperand(type: ParameterType | null, node: Operand): EvaluateArgument {
  switch (node.kind) {
    case 'dot':
      return (x, dot) => checkType(x, dot, type);
    case 'nil':
      if (type === 'interface {}') return () => null;
      if (type === 'reflect.Value' || type === '*time.Location') return () => undefined;
      return (x) => x.fail(`cannot assign nil to ${type}`);
    case 'pipe': {
      const evaluate = compilePipeline(node);
      return (x, dot) => checkType(x, evaluate(x, dot), type);
    }
    case 'field':
    case 'variable':
    case 'chain':
    case 'identifier': {
      const evaluate =
        node.kind === 'identifier'
          ? compileFunction(node.name, node, node, NO_ARGUMENTS)
          : compileCommand({ kind: 'command', at: node.at, args: [node] });
      return (x, dot) => checkType(x, evaluate(x, dot, NOTHING), type);
    }
    default:
      return compileTyped(type, node);
  }
}

/** A literal must be of the type. */
function compileTyped(
  type: ParameterType | null,
  node: Extract<Operand, { kind: 'bool' | 'string' | 'number' }>,
): EvaluateArgument {
  const expected = (what: string): EvaluateArgument => {
    return (x) => x.fail(`expected ${what}; found ${printNode(node)}`);
  };
  switch (type) {
    case 'interface {}':
    case 'reflect.Value':
    case null:
      return compileLiteral(node);
    case 'string':
      return node.kind === 'string' ? () => node.value : expected('string');
    case 'bool':
      return node.kind === 'bool' ? () => node.value : expected('bool');
    case 'float64':
      return node.kind === 'number' && node.float !== null ? () => node.float : expected('float');
    case 'int':
    case 'time.Duration': {
      if (node.kind !== 'number' || node.int === null) return expected('integer');
      const value = new Integer(type, node.int);
      return () => value;
    }
    default:
      return (x) => x.fail(`can't handle ${printNode(node)} for arg of type ${type}`);
  }
}

function checkType(x: Execution, value: Value, type: ParameterType | null): Value {
  if (type === null) return value;
  if (type === 'reflect.Value') return value;
  if (type === 'interface {}') return value ?? null;
  if (value === undefined) {
    return type === '*time.Location' ? undefined : x.fail(`invalid value; expected ${type}`);
  }
  if (value === null || typeName(value) !== type) {
    x.fail(`wrong type for value; expected ${type}; got ${typeName(value)}`);
  }
  return value;
}
