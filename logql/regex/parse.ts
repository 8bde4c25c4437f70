import { foldCase } from './case-folding.ts';
import { namedClass, perlClass, unicodeClass } from './classes.ts';
import { type CodePoints, complement, MAX_CODE_POINT, normalize } from './code-points.ts';
import type { RegexNode, RegexTree } from './syntax-tree.ts';

/**
 * Parses RE2 syntax (https://github.com/google/re2/wiki/Syntax) as Go's regexp does with Perl flags. The pattern must
 * have been accepted by the validator: this parser decides what a pattern means, not whether it is one.
 */
export function parsePattern(pattern: string, options: { dotAll?: boolean } = {}): RegexTree {
  const parser = new PatternParser(pattern, options.dotAll ?? false);
  return { root: parser.parse(), names: parser.names };
}

interface Flags {
  readonly fold: boolean;
  readonly multiline: boolean;
  readonly dotAll: boolean;
  readonly ungreedy: boolean;
}

const NOT_NEWLINE: CodePoints = [0, 9, 11, MAX_CODE_POINT];
const ANYTHING: CodePoints = [0, MAX_CODE_POINT];
const CONTROL_ESCAPES: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

class PatternParser {
  readonly names: string[] = [''];
  readonly #text: string;
  #at = 0;
  #flags: Flags;

  constructor(text: string, dotAll: boolean) {
    this.#text = text;
    this.#flags = { fold: false, multiline: false, dotAll, ungreedy: false };
  }

  parse(): RegexNode {
    const root = this.#choice();
    if (this.#at < this.#text.length) throw new Error(`regex parser stopped at ${this.#at} of ${this.#text}`);
    return root;
  }

  #choice(): RegexNode {
    const outer = this.#flags;
    const items: RegexNode[] = [this.#sequence()];
    while (this.#take('|')) items.push(this.#sequence());
    this.#flags = outer;
    return items.length === 1 ? items[0]! : { kind: 'choice', items };
  }

  #sequence(): RegexNode {
    const items: RegexNode[] = [];
    while (this.#at < this.#text.length) {
      const c = this.#text[this.#at]!;
      if (c === '|' || c === ')') break;
      if (this.#text.startsWith('\\Q', this.#at)) {
        this.#quoted(items);
      } else if (c !== '(' || !this.#flagGroup()) {
        items.push(this.#atom());
      }
      if (items.length > 0) items.push(this.#repeated(items.pop()!));
    }
    return items.length === 1 ? items[0]! : { kind: 'sequence', items };
  }

  /** `\Q…\E`: literal text; a repetition after it binds to its last character. */
  #quoted(items: RegexNode[]): void {
    const end = this.#text.indexOf('\\E', this.#at + 2);
    const text = this.#text.slice(this.#at + 2, end < 0 ? undefined : end);
    this.#at = end < 0 ? this.#text.length : end + 2;
    for (const c of text) items.push(this.#literal(c.codePointAt(0)!));
  }

  /** `(?i)`, `(?s-m)`: sets flags for the rest of the group. */
  #flagGroup(): boolean {
    const match = /\(\?([a-zA-Z-]*)\)/y;
    match.lastIndex = this.#at;
    const found = match.exec(this.#text);
    if (!found) return false;
    this.#flags = withFlags(this.#flags, found[1]!);
    this.#at += found[0].length;
    return true;
  }

  #atom(): RegexNode {
    const point = this.#text.codePointAt(this.#at)!;
    const c = String.fromCodePoint(point);
    switch (c) {
      case '(':
        return this.#group();
      case '[':
        return { kind: 'set', points: this.#class() };
      case '.':
        this.#at++;
        return { kind: 'set', points: this.#flags.dotAll ? ANYTHING : NOT_NEWLINE };
      case '^':
        this.#at++;
        return { kind: 'assertion', at: this.#flags.multiline ? 'line start' : 'text start' };
      case '$':
        this.#at++;
        return { kind: 'assertion', at: this.#flags.multiline ? 'line end' : 'text end' };
      case '\\':
        return this.#escape();
      default:
        this.#at += c.length;
        return this.#literal(point);
    }
  }

  #literal(point: number): RegexNode {
    const points = [point, point];
    return { kind: 'set', points: this.#flags.fold ? foldCase(points) : points };
  }

  #group(): RegexNode {
    const name = /\(\?P?<(\w+)>/y;
    name.lastIndex = this.#at;
    const named = name.exec(this.#text);
    const flags = /\(\?([a-zA-Z-]*):/y;
    flags.lastIndex = this.#at;
    const flagged = named ? null : flags.exec(this.#text);
    const outer = this.#flags;
    let index = 0;
    if (flagged) {
      this.#at += flagged[0].length;
      this.#flags = withFlags(outer, flagged[1]!);
    } else {
      this.#at += named ? named[0].length : 1;
      index = this.names.push(named?.[1] ?? '') - 1;
    }
    const item = this.#choice();
    this.#at++; // the closing parenthesis
    this.#flags = outer;
    return flagged ? item : { kind: 'capture', index, name: this.names[index]!, item };
  }

  #repeated(item: RegexNode): RegexNode {
    // As in Go, a count with a leading zero is none: the brace is then literal.
    const match = /(?:([*+?])|\{(0|[1-9]\d*)(?:(,)(0|[1-9]\d*)?)?\})(\??)/y;
    match.lastIndex = this.#at;
    const found = match.exec(this.#text);
    if (!found) return item;
    this.#at += found[0].length;
    const [, sign, count, comma, upper, lazy] = found;
    const greedy = (lazy === '') !== this.#flags.ungreedy;
    let min = sign === '+' ? 1 : 0;
    let max = sign === '?' ? 1 : Number.POSITIVE_INFINITY;
    if (count !== undefined) {
      min = Number(count);
      max = comma === undefined ? min : upper === undefined ? Number.POSITIVE_INFINITY : Number(upper);
    }
    return this.#repeated({ kind: 'repeat', item, min, max, greedy });
  }

  #escape(): RegexNode {
    const c = this.#text[this.#at + 1]!;
    const at = ({ A: 'text start', z: 'text end', b: 'word edge', B: 'no word edge' } as const)[c];
    if (at) {
      this.#at += 2;
      return { kind: 'assertion', at };
    }
    const set = this.#classEscape();
    if (set) return { kind: 'set', points: set };
    return this.#literal(this.#escapedPoint());
  }

  /** `\d`, `\pL`, `\P{Greek}`, … or null. */
  #classEscape(): CodePoints | null {
    const c = this.#text[this.#at + 1]!;
    if (/[dswDSW]/.test(c)) {
      this.#at += 2;
      const points = perlClass(c.toLowerCase());
      const folded = this.#flags.fold ? foldCase(points) : points;
      return c === c.toLowerCase() ? folded : complement(folded);
    }
    const match = /\\([pP])(?:\{(\^?)([^}]*)\}|(.))/y;
    match.lastIndex = this.#at;
    const found = match.exec(this.#text);
    if (!found) return null;
    this.#at += found[0].length;
    const points = unicodeClass(found[3] ?? found[4]!);
    const folded = this.#flags.fold ? foldCase(points) : points;
    return (found[1] === 'P') !== (found[2] === '^') ? complement(folded) : folded;
  }

  #escapedPoint(): number {
    const match = /\\(?:x\{([0-9A-Fa-f]+)\}|x([0-9A-Fa-f]{2})|([0-7]{1,3})|([afnrtv])|(.))/sy;
    match.lastIndex = this.#at;
    const found = match.exec(this.#text)!;
    this.#at += found[0].length;
    const hex = found[1] ?? found[2];
    if (hex !== undefined) return Number.parseInt(hex, 16);
    if (found[3] !== undefined) return Number.parseInt(found[3], 8);
    if (found[4] !== undefined) return CONTROL_ESCAPES[found[4]]!;
    return found[5]!.codePointAt(0)!;
  }

  #class(): CodePoints {
    this.#at++;
    const negated = this.#take('^');
    const pairs: number[] = [];
    let first = true;
    while (first || this.#text[this.#at] !== ']') {
      first = false;
      const named = /\[:(\^?)(\w+):\]/y;
      named.lastIndex = this.#at;
      const found = named.exec(this.#text);
      if (found) {
        this.#at += found[0].length;
        const points = this.#flags.fold ? foldCase(namedClass(found[2]!)) : namedClass(found[2]!);
        pairs.push(...(found[1] === '^' ? complement(points) : points));
        continue;
      }
      const escaped = this.#text[this.#at] === '\\' ? this.#classEscape() : null;
      if (escaped) {
        pairs.push(...escaped);
        continue;
      }
      const from = this.#classPoint();
      let to = from;
      if (this.#text[this.#at] === '-' && this.#text[this.#at + 1] !== ']') {
        this.#at++;
        to = this.#classPoint();
      }
      const range = [from, to];
      pairs.push(...(this.#flags.fold ? foldCase(range) : range));
    }
    this.#at++;
    const points = normalize(pairs);
    return negated ? complement(points) : points;
  }

  #classPoint(): number {
    if (this.#text[this.#at] === '\\') return this.#escapedPoint();
    const point = this.#text.codePointAt(this.#at)!;
    this.#at += point > 0xffff ? 2 : 1;
    return point;
  }

  #take(c: string): boolean {
    if (this.#text[this.#at] !== c) return false;
    this.#at++;
    return true;
  }
}

function withFlags(flags: Flags, letters: string): Flags {
  let on = true;
  let { fold, multiline, dotAll, ungreedy } = flags;
  for (const c of letters) {
    if (c === '-') on = false;
    else if (c === 'i') fold = on;
    else if (c === 'm') multiline = on;
    else if (c === 's') dotAll = on;
    else if (c === 'U') ungreedy = on;
  }
  return { fold, multiline, dotAll, ungreedy };
}
