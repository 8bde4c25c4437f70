import { ACCEPT, type Automaton, type AutomatonState, buildAutomaton, FAIL } from './automaton.ts';
import { ParseError } from './parse-error.ts';
import { checkPatternStage } from './pattern-check.ts';
import { QueryScanner } from './query-scanner.ts';
import { checkMatcherRegex, checkRegexpStage } from './regex-check.ts';
import { TERMINAL_LABELS, TERMINALS, type Terminal } from './tokens.ts';

const NUMBERS: ReadonlyMap<Terminal, number> = new Map(TERMINALS.map((terminal, i) => [terminal, i]));
const END = NUMBERS.get('$end')!;
const ERROR = NUMBERS.get('error')!;

/** Tokens before this one are yacc's own and are never suggested. */
const FIRST_SUGGESTED = 3;
const MAX_SUGGESTIONS = 4;

/** Tokens that must be read after a mistake before another one may be new. */
const RECOVERY_LENGTH = 3;

type Check = (text: string) => void;

interface Explainer {
  readonly automaton: Automaton;
  /** What Loki verifies at once when it has read such a rule, by rule. The rules end in a string. */
  readonly checks: ReadonlyMap<number, Check>;
}

let explainer: Explainer | undefined;

/**
 * The error that Loki gives for a query; null if the query is grammatical. Runs goyacc's machine over the query,
 * including its recovery: Loki reports the first mistake, unless a pattern that is read later is no pattern.
 */
export function explain(text: string): ParseError | null {
  explainer ??= makeExplainer();
  const scanner = new QueryScanner(text);
  try {
    new Machine(explainer, scanner).run();
  } catch (error: unknown) {
    if (error instanceof ParseError) return error;
    throw error;
  }
  return scanner.errors[0] ?? null;
}

function makeExplainer(): Explainer {
  const automaton = buildAutomaton();
  const byRule: readonly (readonly [readonly Terminal[], Check])[] = [
    [['IDENTIFIER', 'RE', 'STRING'], checkMatcherRegex],
    [['IDENTIFIER', 'NRE', 'STRING'], checkMatcherRegex],
    [['REGEXP', 'STRING'], checkRegexpStage],
    [['PATTERN', 'STRING'], checkPatternStage],
  ];
  const checks = new Map<number, Check>();
  for (const [right, check] of byRule) {
    const key = right.map((terminal) => NUMBERS.get(terminal)).join();
    for (const [i, rule] of automaton.rules.entries()) if (rule.right.join() === key) checks.set(i, check);
  }
  return { automaton, checks };
}

class Machine {
  readonly #explainer: Explainer;
  readonly #scanner: QueryScanner;
  readonly #stack: number[] = [0];
  /** Number of the next token; undefined when it is not read yet. */
  #next: number | undefined;
  #nextText = '';
  #lastText = '';
  #recovering = 0;

  constructor(explainer: Explainer, scanner: QueryScanner) {
    this.#explainer = explainer;
    this.#scanner = scanner;
  }

  run(): void {
    for (;;) {
      const state = this.#state();
      if (state.shifts.length > 0 && state.shifts.includes(this.#peek())) {
        this.#shift(state);
        continue;
      }
      const rule = state.exceptions.size > 0 ? (state.exceptions.get(this.#peek()) ?? state.fallback) : state.fallback;
      if (rule === ACCEPT) return;
      if (rule === FAIL) {
        if (!this.#recover(state)) return;
      } else {
        this.#reduce(rule);
      }
    }
  }

  #state(): AutomatonState {
    return this.#explainer.automaton.states[this.#stack.at(-1)!]!;
  }

  #peek(): number {
    if (this.#next === undefined) {
      const token = this.#scanner.next();
      this.#next = token === null ? END : NUMBERS.get(token.terminal)!;
      this.#nextText = token === null ? '' : String(token.value);
    }
    return this.#next;
  }

  #shift(state: AutomatonState): void {
    this.#stack.push(state.moves.get(this.#peek())!);
    this.#lastText = this.#nextText;
    this.#next = undefined;
    if (this.#recovering > 0) this.#recovering--;
  }

  #reduce(rule: number): void {
    const { left, right } = this.#explainer.automaton.rules[rule]!;
    // Such a rule is reduced as soon as its string is read, so that is the last token.
    this.#explainer.checks.get(rule)?.(this.#lastText);
    this.#stack.length -= right.length;
    this.#stack.push(this.#state().moves.get(left)!);
  }

  /** Finds a state that can go on after a mistake, or drops a token; false when neither is left. */
  #recover(state: AutomatonState): boolean {
    if (this.#recovering === RECOVERY_LENGTH) {
      if (this.#peek() === END) return false;
      this.#next = undefined;
      return true;
    }
    if (this.#recovering === 0) this.#scanner.reportError(describeMistake(state, this.#peek()));
    this.#recovering = RECOVERY_LENGTH;
    for (; this.#stack.length > 0; this.#stack.pop()) {
      const target = this.#state().moves.get(ERROR);
      if (target !== undefined) {
        this.#stack.push(target);
        return true;
      }
    }
    return false;
  }
}

/** yacc's verbose message: suggestions only where they are few and nothing else could be meant. */
function describeMistake(state: AutomatonState, unexpected: number): string {
  const message = `syntax error: unexpected ${labelOf(unexpected)}`;
  if (state.exceptions.size > 0 && state.fallback !== FAIL) return message;
  const reduced = [...state.exceptions].filter(([, rule]) => rule !== FAIL).map(([terminal]) => terminal);
  const expected = [...state.shifts, ...reduced].filter((terminal) => terminal >= FIRST_SUGGESTED);
  if (expected.length === 0 || expected.length > MAX_SUGGESTIONS) return message;
  return `${message}, expecting ${expected.map(labelOf).join(' or ')}`;
}

function labelOf(terminal: number): string {
  return TERMINAL_LABELS.get(TERMINALS[terminal]!)!;
}
