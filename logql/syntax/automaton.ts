import { expandRules, PRECEDENCE, type Rule, TERMINAL_COUNT } from './automaton-grammar.ts';
import { TERMINALS } from './tokens.ts';

/**
 * The LALR(1) automaton of the grammar with the tables that goyacc would make: DeRemer's LR(0) states with propagated
 * lookaheads, conflicts settled by precedence or in favour of shifting, and in each state the most frequent reduction
 * made the default, which is taken without looking at the next token.
 */
export interface Automaton {
  readonly rules: readonly Rule[];
  readonly states: readonly AutomatonState[];
}

export interface AutomatonState {
  /** Next state by symbol, terminals and others. */
  readonly moves: ReadonlyMap<number, number>;
  /** Terminals that can be shifted, ascending. */
  readonly shifts: readonly number[];
  /** Rule by terminal where it is not the default; `ACCEPT` at the end of the query. */
  readonly exceptions: ReadonlyMap<number, number>;
  /** Rule that is reduced when nothing else fits; `FAIL` for none. */
  readonly fallback: number;
}

export const ACCEPT = -1;
export const FAIL = 0;

const END = TERMINALS.indexOf('$end');
const ERROR = TERMINALS.indexOf('error');

/** A place in a rule: rule number and dot, as one number. No rule is longer than that. */
const DOTS = 16;
const ruleOf = (item: number): number => Math.floor(item / DOTS);
const dotOf = (item: number): number => item % DOTS;

/** A set of terminals. */
type Lookahead = Uint32Array;
const LOOKAHEAD_WORDS = Math.ceil(TERMINAL_COUNT / 32);

function addAll(target: Lookahead, source: Lookahead): boolean {
  let changed = false;
  for (let i = 0; i < LOOKAHEAD_WORDS; i++) {
    const merged = (target[i]! | source[i]!) >>> 0;
    if (merged !== target[i]) {
      target[i] = merged;
      changed = true;
    }
  }
  return changed;
}

function add(target: Lookahead, terminal: number): void {
  target[terminal >>> 5]! |= 1 << (terminal & 31);
}

function has(set: Lookahead, terminal: number): boolean {
  return ((set[terminal >>> 5]! >>> (terminal & 31)) & 1) === 1;
}

interface Draft {
  readonly kernel: readonly number[];
  readonly lookaheads: Lookahead[];
  readonly moves: Map<number, number>;
}

export function buildAutomaton(): Automaton {
  return new AutomatonBuilder().build();
}

class AutomatonBuilder {
  readonly #rules: readonly Rule[];
  readonly #rulesOf: (readonly number[])[];
  readonly #first: Lookahead[];
  readonly #nullable: boolean[];
  readonly #drafts: Draft[] = [];

  constructor() {
    const { rules, symbolCount } = expandRules();
    this.#rules = rules;
    this.#rulesOf = Array.from({ length: symbolCount }, (_, symbol) =>
      rules.flatMap((rule, i) => (rule.left === symbol ? [i] : [])),
    );
    this.#nullable = Array.from({ length: symbolCount }, () => false);
    this.#first = Array.from({ length: symbolCount }, () => new Uint32Array(LOOKAHEAD_WORDS));
    for (let terminal = 0; terminal < TERMINAL_COUNT; terminal++) add(this.#first[terminal]!, terminal);
    this.#findFirsts();
  }

  build(): Automaton {
    this.#makeStates();
    this.#propagate();
    return { rules: this.#rules, states: this.#drafts.map((draft) => this.#finish(draft)) };
  }

  #findFirsts(): void {
    for (let changed = true; changed; ) {
      changed = false;
      for (const { left, right } of this.#rules) {
        const end = right.findIndex((symbol) => !this.#nullable[symbol]);
        for (const symbol of end < 0 ? right : right.slice(0, end + 1)) {
          if (addAll(this.#first[left]!, this.#first[symbol]!)) changed = true;
        }
        if (end < 0 && !this.#nullable[left]) changed = this.#nullable[left] = true;
      }
    }
  }

  /** Nonterminals that can stand at the dot of some item. */
  #expected(kernel: readonly number[]): Set<number> {
    const found = new Set<number>();
    const visit = (symbol: number | undefined): void => {
      if (symbol === undefined || symbol < TERMINAL_COUNT || found.has(symbol)) return;
      found.add(symbol);
      for (const rule of this.#rulesOf[symbol]!) visit(this.#rules[rule]!.right[0]);
    };
    for (const item of kernel) visit(this.#rules[ruleOf(item)]!.right[dotOf(item)]);
    return found;
  }

  #closure(kernel: readonly number[]): number[] {
    return [
      ...kernel,
      ...[...this.#expected(kernel)].flatMap((symbol) => this.#rulesOf[symbol]!.map((rule) => rule * DOTS)),
    ];
  }

  #makeStates(): void {
    const known = new Map<string, number>();
    const stateOf = (kernel: number[]): number => {
      const key = kernel.sort((a, b) => a - b).join();
      const found = known.get(key);
      if (found !== undefined) return found;
      known.set(key, this.#drafts.length);
      const lookaheads = kernel.map(() => new Uint32Array(LOOKAHEAD_WORDS));
      return this.#drafts.push({ kernel, lookaheads, moves: new Map() }) - 1;
    };
    stateOf([0]);
    for (let i = 0; i < this.#drafts.length; i++) {
      const { kernel, moves } = this.#drafts[i]!;
      const targets = new Map<number, number[]>();
      for (const item of this.#closure(kernel)) {
        const symbol = this.#rules[ruleOf(item)]!.right[dotOf(item)];
        if (symbol === undefined || symbol === END) continue;
        const target = targets.get(symbol);
        if (target === undefined) targets.set(symbol, [item + 1]);
        else target.push(item + 1);
      }
      for (const [symbol, target] of targets) moves.set(symbol, stateOf(target));
    }
  }

  #propagate(): void {
    const waiting = new Set(this.#drafts.keys());
    for (const state of waiting) {
      waiting.delete(state);
      const draft = this.#drafts[state]!;
      const after = this.#lookaheadsAfter(draft);
      const pass = (item: number, lookahead: Lookahead): void => {
        const symbol = this.#rules[ruleOf(item)]!.right[dotOf(item)];
        const target = symbol === undefined ? undefined : draft.moves.get(symbol);
        if (target === undefined) return;
        const { kernel, lookaheads } = this.#drafts[target]!;
        if (addAll(lookaheads[kernel.indexOf(item + 1)]!, lookahead)) waiting.add(target);
      };
      for (const [i, item] of draft.kernel.entries()) pass(item, draft.lookaheads[i]!);
      for (const [symbol, lookahead] of after) {
        for (const rule of this.#rulesOf[symbol]!) pass(rule * DOTS, lookahead);
      }
    }
  }

  /** What can follow each nonterminal that the state expects. */
  #lookaheadsAfter(draft: Draft): Map<number, Lookahead> {
    const after = new Map<number, Lookahead>();
    for (const symbol of this.#expected(draft.kernel)) after.set(symbol, new Uint32Array(LOOKAHEAD_WORDS));
    for (let changed = true; changed; ) {
      changed = false;
      const spread = (rule: number, dot: number, lookahead: Lookahead): void => {
        const { right } = this.#rules[rule]!;
        const target = after.get(right[dot] ?? -1);
        if (target === undefined) return;
        for (let i = dot + 1; i < right.length; i++) {
          if (addAll(target, this.#first[right[i]!]!)) changed = true;
          if (!this.#nullable[right[i]!]) return;
        }
        if (addAll(target, lookahead)) changed = true;
      };
      for (const [i, item] of draft.kernel.entries()) spread(ruleOf(item), dotOf(item), draft.lookaheads[i]!);
      for (const [symbol, lookahead] of after) {
        for (const rule of this.#rulesOf[symbol]!) spread(rule, 0, lookahead);
      }
    }
    return after;
  }

  #finish(draft: Draft): AutomatonState {
    const reductions = this.#reductions(draft);
    const accepts = draft.kernel.includes(1);
    const shifts = [...draft.moves.keys()].filter((symbol) => symbol < TERMINAL_COUNT).sort((a, b) => a - b);
    const kept = shifts.filter((terminal) => !reductions.has(terminal));
    // A state that waits for a mistake must notice it, so it has no default.
    const fallback = kept.includes(ERROR) ? FAIL : mostFrequent(reductions);
    const exceptions = new Map([...reductions].filter(([, rule]) => rule !== fallback));
    if (accepts) exceptions.set(END, ACCEPT);
    return { moves: draft.moves, shifts: kept, exceptions, fallback };
  }

  /** Rule by terminal, ascending, after conflicts with shifts are settled. */
  #reductions(draft: Draft): Map<number, number> {
    const complete: [rule: number, lookahead: Lookahead][] = [];
    for (const [i, item] of draft.kernel.entries()) {
      if (dotOf(item) === this.#rules[ruleOf(item)]!.right.length) complete.push([ruleOf(item), draft.lookaheads[i]!]);
    }
    for (const [symbol, lookahead] of this.#lookaheadsAfter(draft)) {
      for (const rule of this.#rulesOf[symbol]!) {
        if (this.#rules[rule]!.right.length === 0) complete.push([rule, lookahead]);
      }
    }
    const reductions = new Map<number, number>();
    for (let terminal = 0; terminal < TERMINAL_COUNT; terminal++) {
      const rules = complete.filter(([, lookahead]) => has(lookahead, terminal)).map(([rule]) => rule);
      if (rules.length === 0) continue;
      const rule = Math.min(...rules);
      if (!draft.moves.has(terminal) || this.#reducesBefore(rule, terminal)) reductions.set(terminal, rule);
    }
    return reductions;
  }

  #reducesBefore(rule: number, terminal: number): boolean {
    const terminals = this.#rules[rule]!.right.filter((symbol) => symbol < TERMINAL_COUNT);
    const ruleLevel = levelOf(terminals.at(-1));
    const level = levelOf(terminal);
    if (ruleLevel === 0 || level === 0) return false;
    return ruleLevel > level || (ruleLevel === level && level < PRECEDENCE.length);
  }
}

/** 1 for what binds loosest, 0 for terminals without precedence. */
function levelOf(terminal: number | undefined): number {
  const name = TERMINALS[terminal ?? 0]!;
  return PRECEDENCE.findIndex((level) => level.includes(name)) + 1;
}

/** The first of those that are named most. */
function mostFrequent(reductions: ReadonlyMap<number, number>): number {
  const counts = new Map<number, number>();
  for (const rule of reductions.values()) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  let best = FAIL;
  for (const [rule, count] of counts) if (best === FAIL || count > counts.get(best)!) best = rule;
  return best;
}
