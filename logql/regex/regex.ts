import type { RE2JS } from 're2js';
import type { TextCondition } from './required-text.ts';
import type { SimpleForm } from './simple-forms.ts';

/** What is known of a pattern beside its matches; used to choose the way a block is searched. */
export interface RegexTraits {
  /** The only text that matches, e.g. `error`; null when there are none or several. */
  readonly literal: string | null;
  /** Substrings that every match contains, longest first. */
  readonly requiredLiterals: readonly string[];
  /** Bound of a match's length in code points. */
  readonly maxLength: number;
  readonly isNullable: boolean;
  /** Every text of one line matches. */
  readonly matchesEverything: boolean;
  readonly hasAssertions: boolean;
  readonly hasLineAnchors: boolean;
  /** Every character that can be consumed is ASCII, so UTF-8 may be searched byte by byte. */
  readonly isAsciiOnly: boolean;
  /** The comparisons that Loki makes of the pattern, null when it runs it. Anchors of `anchored` do not count. */
  readonly simpleForms: readonly SimpleForm[] | null;
  /** What a text contains in which the pattern matches; null when nothing is known. */
  readonly requiredText: TextCondition | null;
  /** JavaScript finds the same extent and groups as RE2, not only the same texts. */
  readonly sameCaptures: boolean;
}

export interface RegexMatch {
  /** UTF-16 offset of the match. */
  readonly index: number;
  /** Group 0 is the match; a group that took no part is undefined. */
  readonly groups: readonly (string | undefined)[];
}

export interface RegexEngines {
  automaton(): RE2JS;
  v8(alphabet: 'ascii' | 'full', captures: boolean): RegExp | null;
}

const NON_ASCII = /[^\x00-\x7f]/;
const SURROGATE = /[\ud800-\udfff]/;
/** What JavaScript's `^` and `$` with the flag `m` take for the end of a line, of which RE2 knows only the first. */
const LINE_BREAK = /\n/;

/**
 * A pattern with RE2's meaning. V8 runs it where it can do so in linear time and means the same; re2js, which is
 * linear always but 3 to 130 times slower, runs the rest. Not reentrant, as RegExp is not.
 */
export class Regex {
  readonly source: string;
  /** Name by group number; '' where there is none. */
  readonly names: readonly string[];
  readonly traits: RegexTraits;
  readonly #engines: RegexEngines;
  #automaton: RE2JS | undefined;
  #asciiTest: RegExp | null | undefined;
  #fullTest: RegExp | null | undefined;
  #asciiExec: RegExp | null | undefined;
  #fullExec: RegExp | null | undefined;

  constructor(source: string, names: readonly string[], traits: RegexTraits, engines: RegexEngines) {
    this.source = source;
    this.names = names;
    this.traits = traits;
    this.#engines = engines;
  }

  test(text: string): boolean {
    return NON_ASCII.test(text) ? this.#testFull(text) : this.testAscii(text);
  }

  /** As `test`, for a text that has no code unit above 0x7f. */
  testAscii(text: string): boolean {
    if (this.#asciiTest === undefined) this.#asciiTest = this.#engines.v8('ascii', false);
    const regexp = this.#asciiTest;
    if (regexp === null || (this.traits.hasLineAnchors && LINE_BREAK.test(text))) return this.#re2().test(text);
    regexp.lastIndex = 0;
    return regexp.test(text);
  }

  #testFull(text: string): boolean {
    if (this.#fullTest === undefined) this.#fullTest = this.#engines.v8('full', false);
    const regexp = this.#fullTest;
    if (regexp === null || this.#isBeyondV8(text)) return this.#re2().test(text);
    regexp.lastIndex = 0;
    return regexp.test(text);
  }

  /** The leftmost match at or after `from`. */
  exec(text: string, from = 0): RegexMatch | null {
    return this.#exec(text, from, !NON_ASCII.test(text));
  }

  /** As `exec`, for a text that has no code unit above 0x7f. */
  execAscii(text: string): RegexMatch | null {
    return this.#exec(text, 0, true);
  }

  #exec(text: string, from: number, isAscii: boolean): RegexMatch | null {
    const regexp = this.#execRegExp(text, isAscii);
    if (regexp === null) return this.#execAutomaton(text, from);
    regexp.lastIndex = from;
    const match = regexp.exec(text);
    return match === null ? null : { index: match.index, groups: match };
  }

  /**
   * A RegExp with the flag `g` for searching a whole ASCII text that is many lines run together, or null. It sees no
   * ends of lines: the caller checks that a match lies within one.
   */
  runningAscii(): RegExp | null {
    if (this.traits.hasAssertions || this.traits.isNullable) return null;
    if (this.#asciiTest === undefined) this.#asciiTest = this.#engines.v8('ascii', false);
    return this.#asciiTest;
  }

  /** Go's `FindAllString`: matches do not overlap, and none is empty right after another. */
  count(text: string): number {
    let count = 0;
    let lastEnd = -1;
    for (let from = 0; from <= text.length; ) {
      const match = this.exec(text, from);
      if (match === null) break;
      const end = match.index + match.groups[0]!.length;
      if (end > match.index || match.index !== lastEnd) count++;
      lastEnd = end;
      from = end > match.index ? end : end + stepAt(text, end);
    }
    return count;
  }

  /** Go's `ReplaceAllString`: `$1`, `${1}`, `$name` and `${name}` stand for groups, `$$` for a dollar sign. */
  replaceAll(text: string, template: string): string {
    return this.#replace(text, (match) => this.#expand(template, match));
  }

  replaceAllLiteral(text: string, replacement: string): string {
    return this.#replace(text, () => replacement);
  }

  /** `template` with the groups of `match`, as Go's `Regexp.Expand`. */
  expand(template: string, match: RegexMatch): string {
    return this.#expand(template, match);
  }

  #replace(text: string, replacement: (match: RegexMatch) => string): string {
    let result = '';
    let copied = 0;
    for (let from = 0; from <= text.length; ) {
      const match = this.exec(text, from);
      if (match === null) break;
      const end = match.index + match.groups[0]!.length;
      // An empty match right after another one is none.
      if (end > copied || match.index === 0) {
        result += text.slice(copied, match.index) + replacement(match);
        copied = end;
      }
      from = end > from ? end : from + stepAt(text, from);
    }
    return result + text.slice(copied);
  }

  #expand(template: string, match: RegexMatch): string {
    return template.replace(TEMPLATE_REFERENCE, (all, braced: string | undefined, plain: string | undefined) => {
      if (all === '$$') return '$';
      const name = braced ?? plain!;
      const index = /^\d+$/.test(name) ? Number(name) : this.#groupNamed(name, match);
      return match.groups[index] ?? '';
    });
  }

  #groupNamed(name: string, match: RegexMatch): number {
    for (let i = 1; i < this.names.length; i++) {
      if (this.names[i] === name && match.groups[i] !== undefined) return i;
    }
    return -1;
  }

  #execRegExp(text: string, isAscii: boolean): RegExp | null {
    if (!this.traits.sameCaptures) return null;
    if (isAscii) {
      if (this.#asciiExec === undefined) this.#asciiExec = this.#engines.v8('ascii', true);
      return this.traits.hasLineAnchors && LINE_BREAK.test(text) ? null : this.#asciiExec;
    }
    if (this.#fullExec === undefined) this.#fullExec = this.#engines.v8('full', true);
    return this.#isBeyondV8(text) ? null : this.#fullExec;
  }

  /** V8 counts code units: between the halves of a surrogate pair it can see an empty match. */
  #isBeyondV8(text: string): boolean {
    if (this.traits.hasLineAnchors && LINE_BREAK.test(text)) return true;
    return (this.traits.isNullable || this.traits.hasAssertions) && SURROGATE.test(text);
  }

  #execAutomaton(text: string, from: number): RegexMatch | null {
    const matcher = this.#re2().matcher(text);
    if (!matcher.find(from)) return null;
    const groups: (string | undefined)[] = [];
    for (let i = 0; i < this.names.length; i++) groups.push(matcher.group(i) ?? undefined);
    return { index: matcher.start(), groups };
  }

  #re2(): RE2JS {
    this.#automaton ??= this.#engines.automaton();
    return this.#automaton;
  }
}

/** `$name` takes the longest run of word characters, as in Go. A `$` that starts no reference stays. */
const TEMPLATE_REFERENCE = /\$\$|\$\{([A-Za-z0-9_]+)\}|\$([A-Za-z0-9_]+)/g;

function stepAt(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
}
