import { quoteGo, UnitError, unquoteGo } from '../units/index.ts';
import { Lexer, showToken, type Token, type TokenKind } from './lexer.ts';
import { MAX_OPERANDS } from './limits.ts';
import { parseNumber } from './number-literal.ts';
import { TemplateError } from './template-error.ts';
import type {
  BranchNode,
  ChainNode,
  CommandNode,
  ListNode,
  Node,
  Operand,
  ParsedTemplate,
  PipeNode,
  Statement,
  VariableNode,
} from './tree.ts';

/** Bound of nesting, of blocks and parentheses together; execution recurses as deep. Go allows more. */
const MAX_DEPTH = 200;

/** Templates come in queries, which are at most this long. Bytes in Loki, UTF-16 units here. */
const MAX_SOURCE_LENGTH = 131_072;

type EndMark = { readonly mark: 'end' } | { readonly mark: 'else'; readonly at: number };

/**
 * Parses a template. `isFunction` says which identifiers are functions. Throws `TemplateError` with Go's text, which
 * has the line of the token that was read last.
 */
export function parseTemplate(name: string, source: string, isFunction: (name: string) => boolean): ParsedTemplate {
  return new Parser(name, source, isFunction).parse();
}

class Parser {
  readonly #name: string;
  readonly #isFunction: (name: string) => boolean;
  readonly #lexer: Lexer;
  readonly #named = new Map<string, ListNode>();
  /** Tokens that were given back, the next one last. */
  readonly #pending: Token[] = [];
  /** Of the token that the lexer gave last, which may be ahead of the one at hand, as in Go. */
  #line = 1;
  #actionLine = 0;
  #depth = 0;
  /** Of the template or `define` that is being read. */
  #variables: string[] = ['$'];
  #rangeDepth = 0;

  constructor(name: string, source: string, isFunction: (name: string) => boolean) {
    this.#name = name;
    this.#isFunction = isFunction;
    if (source.length > MAX_SOURCE_LENGTH) throw new TemplateError(`template: ${name}:1: template is too long`);
    this.#lexer = new Lexer(source);
  }

  parse(): ParsedTemplate {
    const root: ListNode = { kind: 'list', at: this.#peek().at, nodes: [] };
    while (this.#peek().kind !== 'eof') {
      if (this.#peek().kind === 'leftDelim') {
        const delim = this.#next();
        const token = this.#nextNonSpace();
        if (token.kind === 'define') {
          this.#definition();
          continue;
        }
        this.#backup(token);
        this.#backup(delim);
      }
      const node = this.#textOrAction();
      if ('mark' in node) this.#fail(`unexpected {{${node.mark}}}`);
      root.nodes.push(node);
    }
    this.#define(this.#name, root);
    return { root, named: this.#named };
  }

  #next(): Token {
    const pending = this.#pending.pop();
    if (pending !== undefined) return pending;
    const token = this.#lexer.next();
    this.#line = token.line;
    return token;
  }

  #backup(token: Token): void {
    this.#pending.push(token);
  }

  #peek(): Token {
    const token = this.#next();
    this.#backup(token);
    return token;
  }

  #nextNonSpace(): Token {
    for (;;) {
      const token = this.#next();
      if (token.kind !== 'space') return token;
    }
  }

  #peekNonSpace(): Token {
    const token = this.#nextNonSpace();
    this.#backup(token);
    return token;
  }

  #fail(message: string): never {
    throw new TemplateError(`template: ${this.#name}:${this.#line}: ${message}`);
  }

  #unexpected(token: Token, context: string): never {
    if (token.kind !== 'error') this.#fail(`unexpected ${showToken(token)} in ${context}`);
    let extra = '';
    if (this.#actionLine !== 0 && this.#actionLine !== token.line) {
      const started = ` started at ${this.#name}:${this.#actionLine}`;
      extra = token.text.endsWith(' action') ? started : ` in action${started}`;
    }
    this.#fail(token.text + extra);
  }

  #expect(kind: TokenKind, context: string): Token {
    const token = this.#nextNonSpace();
    if (token.kind !== kind) this.#unexpected(token, context);
    return token;
  }

  #enter(): void {
    if (++this.#depth > MAX_DEPTH) this.#fail('max expression depth exceeded');
  }

  #define(name: string, list: ListNode): void {
    const known = this.#named.get(name);
    if (known === undefined || isEmpty(known)) this.#named.set(name, list);
    else if (!isEmpty(list)) this.#fail(`template: multiple definition of template ${quoteGo(name)}`);
  }

  #unquote(token: Token): string {
    try {
      return unquoteGo(token.text);
    } catch (error: unknown) {
      if (error instanceof UnitError) this.#fail(error.message);
      throw error;
    }
  }

  #templateName(context: string): { name: string; at: number } {
    const token = this.#nextNonSpace();
    if (token.kind !== 'string' && token.kind !== 'rawString') this.#unexpected(token, context);
    return { name: this.#unquote(token), at: token.at };
  }

  /** Body of a `define` or `block`, which sees none of the variables around it. */
  #body(name: string, context: string): void {
    const variables = this.#variables;
    const rangeDepth = this.#rangeDepth;
    this.#variables = ['$'];
    this.#rangeDepth = 0;
    const [list, end] = this.#itemList();
    if (end.mark !== 'end') this.#fail(`unexpected {{else}} in ${context}`);
    this.#define(name, list);
    this.#variables = variables;
    this.#rangeDepth = rangeDepth;
  }

  #definition(): void {
    const { name } = this.#templateName('define clause');
    this.#expect('rightDelim', 'define clause');
    this.#body(name, 'define clause');
  }

  #itemList(): [ListNode, EndMark] {
    this.#enter();
    const list: ListNode = { kind: 'list', at: this.#peekNonSpace().at, nodes: [] };
    while (this.#peekNonSpace().kind !== 'eof') {
      const node = this.#textOrAction();
      if ('mark' in node) {
        this.#depth--;
        return [list, node];
      }
      list.nodes.push(node);
    }
    this.#fail('unexpected EOF');
  }

  #textOrAction(): Statement | EndMark {
    const token = this.#nextNonSpace();
    if (token.kind === 'text') return { kind: 'text', at: token.at, text: token.text };
    if (token.kind !== 'leftDelim') this.#unexpected(token, 'input');
    this.#actionLine = token.line;
    const node = this.#action();
    this.#actionLine = 0;
    return node;
  }

  #action(): Statement | EndMark {
    const token = this.#nextNonSpace();
    switch (token.kind) {
      case 'block': {
        const { name, at } = this.#templateName('block clause');
        const pipe = this.#pipeline('block clause', 'rightDelim');
        this.#body(name, 'block clause');
        return { kind: 'template', at, name, pipe };
      }
      case 'break':
      case 'continue': {
        const after = this.#nextNonSpace();
        if (after.kind !== 'rightDelim') this.#unexpected(after, `{{${token.kind}}}`);
        if (this.#rangeDepth === 0) this.#fail(`{{${token.kind}}} outside {{range}}`);
        return { kind: token.kind, at: token.at };
      }
      case 'else': {
        const after = this.#peekNonSpace();
        if (after.kind === 'if' || after.kind === 'with') return { mark: 'else', at: after.at };
        return { mark: 'else', at: this.#expect('rightDelim', 'else').at };
      }
      case 'end':
        this.#expect('rightDelim', 'end');
        return { mark: 'end' };
      case 'if':
      case 'range':
      case 'with':
        return this.#branch(token.kind);
      case 'template': {
        const { name, at } = this.#templateName('template clause');
        const after = this.#nextNonSpace();
        if (after.kind === 'rightDelim') return { kind: 'template', at, name, pipe: null };
        this.#backup(after);
        return { kind: 'template', at, name, pipe: this.#pipeline('template clause', 'rightDelim') };
      }
      default:
    }
    this.#backup(token);
    return { kind: 'action', at: token.at, pipe: this.#pipeline('command', 'rightDelim') };
  }

  #branch(kind: 'if' | 'with' | 'range'): BranchNode {
    const scope = this.#variables.length;
    const pipe = this.#pipeline(kind, 'rightDelim');
    if (kind === 'range') this.#rangeDepth++;
    let [list, end] = this.#itemList();
    if (kind === 'range') this.#rangeDepth--;
    let otherwise: ListNode | null = null;
    if (end.mark === 'else') {
      const token = this.#peek();
      if (token.kind === kind && kind !== 'range') {
        // `{{else if}}` is an `{{else}}` with an `{{if}}` in it that shares the `{{end}}`.
        this.#next();
        this.#enter();
        otherwise = { kind: 'list', at: end.at, nodes: [this.#branch(kind)] };
        this.#depth--;
      } else {
        [otherwise, end] = this.#itemList();
        if (end.mark !== 'end') this.#fail(`expected end; found {{${end.mark}}}`);
      }
    }
    this.#variables.length = scope;
    return { kind, at: pipe.at, pipe, list, otherwise };
  }

  #pipeline(context: string, end: 'rightDelim' | 'rightParen'): PipeNode {
    this.#enter();
    const { at } = this.#peekNonSpace();
    const { declared, isAssign } = this.#declarations(context);
    const commands: CommandNode[] = [];
    for (;;) {
      const token = this.#nextNonSpace();
      if (token.kind === end) break;
      if (!OPERANDS.has(token.kind)) this.#unexpected(token, context);
      this.#backup(token);
      commands.push(this.#command());
    }
    if (commands.length === 0) this.#fail(`missing value for ${context}`);
    // Only the first command may be something that cannot be called.
    for (let i = 1; i < commands.length; i++) {
      if (LITERALS.has(commands[i]!.args[0]!.kind)) this.#fail(`non executable command in pipeline stage ${i + 1}`);
    }
    this.#depth--;
    return { kind: 'pipe', at, isAssign, declared, commands };
  }

  /** `$x :=`, `$x =`, in a range also `$i, $x :=`; or nothing. */
  #declarations(context: string): { declared: VariableNode[]; isAssign: boolean } {
    const declared: VariableNode[] = [];
    for (;;) {
      const variable = this.#nextNonSpace();
      if (variable.kind !== 'variable') {
        this.#backup(variable);
        return { declared, isAssign: false };
      }
      const after = this.#next();
      const token = after.kind === 'space' ? this.#nextNonSpace() : after;
      const node: VariableNode = { kind: 'variable', at: variable.at, path: variable.text.split('.') };
      if (token.kind === 'assign' || token.kind === 'declare') {
        declared.push(node);
        this.#variables.push(variable.text);
        return { declared, isAssign: token.kind === 'assign' };
      }
      if (token.kind === 'char' && token.text === ',') {
        declared.push(node);
        this.#variables.push(variable.text);
        if (context !== 'range' || declared.length > 1) this.#fail(`too many declarations in ${context}`);
        const { kind } = this.#peekNonSpace();
        if (kind !== 'variable' && kind !== 'rightDelim' && kind !== 'rightParen') {
          this.#fail('range can only initialize variables');
        }
        continue;
      }
      this.#backup(token);
      if (token !== after) this.#backup(after);
      this.#backup(variable);
      return { declared, isAssign: false };
    }
  }

  #command(): CommandNode {
    const { at } = this.#peekNonSpace();
    const args: Operand[] = [];
    for (;;) {
      this.#peekNonSpace();
      const operand = this.#operand();
      if (operand !== null && args.push(operand) > MAX_OPERANDS) this.#fail('too many operands');
      const token = this.#next();
      if (token.kind === 'space') continue;
      if (token.kind === 'rightDelim' || token.kind === 'rightParen') this.#backup(token);
      else if (token.kind !== 'pipe') this.#unexpected(token, 'operand');
      break;
    }
    if (args.length === 0) this.#fail('empty command');
    return { kind: 'command', at, args };
  }

  #operand(): Operand | null {
    const node = this.#term();
    if (node === null) return null;
    const first = this.#peek();
    if (first.kind !== 'field') return node;
    const path: string[] = [];
    while (this.#peek().kind === 'field') path.push(this.#next().text.slice(1));
    switch (node.kind) {
      case 'field':
      case 'variable':
        return { ...node, at: first.at, path: [...node.path, ...path] };
      case 'bool':
      case 'string':
      case 'number':
      case 'nil':
      case 'dot':
        return this.#fail(`unexpected . after term ${quoteGo(literalText(node))}`);
      default:
        return { kind: 'chain', at: first.at, operand: node, path } satisfies ChainNode;
    }
  }

  #term(): Operand | null {
    const token = this.#nextNonSpace();
    const { at, text } = token;
    switch (token.kind) {
      case 'identifier':
        if (!this.#isFunction(text)) this.#fail(`function ${quoteGo(text)} not defined`);
        return { kind: 'identifier', at, name: text };
      case 'dot':
        return { kind: 'dot', at };
      case 'nil':
        return { kind: 'nil', at };
      case 'variable':
        if (!this.#variables.includes(text)) this.#fail(`undefined variable ${quoteGo(text)}`);
        return { kind: 'variable', at, path: [text] };
      case 'field':
        return { kind: 'field', at, path: [text.slice(1)] };
      case 'bool':
        return { kind: 'bool', at, value: text === 'true' };
      case 'charConstant':
      case 'complex':
      case 'number': {
        const number = parseNumber(at, text, token.kind);
        return typeof number === 'string' ? this.#fail(number) : number;
      }
      case 'leftParen':
        return this.#pipeline('parenthesized pipeline', 'rightParen');
      case 'string':
      case 'rawString':
        return { kind: 'string', at, quoted: text, value: this.#unquote(token) };
      default:
        this.#backup(token);
        return null;
    }
  }
}

const OPERANDS: ReadonlySet<TokenKind> = new Set<TokenKind>([
  'bool',
  'charConstant',
  'complex',
  'dot',
  'field',
  'identifier',
  'number',
  'nil',
  'rawString',
  'string',
  'variable',
  'leftParen',
]);

const LITERALS: ReadonlySet<Node['kind']> = new Set<Node['kind']>(['bool', 'dot', 'nil', 'number', 'string']);

function literalText(node: Extract<Operand, { kind: 'bool' | 'string' | 'number' | 'nil' | 'dot' }>): string {
  switch (node.kind) {
    case 'bool':
      return String(node.value);
    case 'string':
      return node.quoted;
    case 'number':
      return node.text;
    case 'nil':
      return 'nil';
    default:
      return '.';
  }
}

/** Nothing but space, so that a later definition may replace it. */
function isEmpty(list: ListNode): boolean {
  return list.nodes.every((node) => node.kind === 'text' && /^[\p{White_Space}]*$/u.test(node.text));
}
