import './engine-flags.ts';
import { LRUCache } from 'lru-cache';
import { RE2JS, RE2JSException } from 're2js';
import { hasCodePoint } from './code-points.ts';
import { longestMatch, onlyMatch, requiredLiterals } from './literals.ts';
import { parsePattern } from './parse.ts';
import { Regex, type RegexTraits } from './regex.ts';
import { RegexError } from './regex-error.ts';
import { requiredText } from './required-text.ts';
import { simpleForms } from './simple-forms.ts';
import type { RegexNode } from './syntax-tree.ts';
import { isNullable, someNode } from './syntax-tree.ts';
import { writeJavaScript } from './to-javascript.ts';
import { unrolledSize } from './unrolled-size.ts';

export interface RegexOptions {
  /** The whole text must match, as in label matchers: `^(?:pattern)$`. */
  readonly anchored?: boolean;
  /** `.` matches line feeds too, as in Prometheus' stream matchers. */
  readonly dotAll?: boolean;
}

/** Longest pattern, in UTF-16 code units. The time to compile and the size of the automaton grow with it. */
export const MAX_PATTERN_LENGTH = 65_536;

/**
 * Most states that counted repeats may add. Go allows some 300 times as many; compiling those takes a minute, and matching
 * one text of 2 kB another one. With these it is a tenth of a second and one second.
 */
export const MAX_UNROLLED_SIZE = 10_000;

/** Templates and queries bring the same patterns again and again; an entry is a few kilobytes. */
const cache = new LRUCache<string, Regex>({ max: 500 });

/** Compiles RE2 syntax as Go's `regexp.Compile` reads it. Throws `RegexError` in Go's words. */
export function compileRegex(pattern: string, options: RegexOptions = {}): Regex {
  const key = `${options.anchored ? 'a' : '-'}${options.dotAll ? 's' : '-'}${pattern}`;
  let regex = cache.get(key);
  if (!regex) {
    regex = compile(pattern, options);
    cache.set(key, regex);
  }
  return regex;
}

/** Throws `RegexError` if the pattern is not RE2 syntax. */
export function validateRegex(pattern: string): void {
  compileRegex(pattern);
}

function compile(pattern: string, options: RegexOptions): Regex {
  if (pattern.length > MAX_PATTERN_LENGTH || unrolledSize(pattern) > MAX_UNROLLED_SIZE) {
    throw new RegexError('error parsing regexp: expression too large');
  }
  const wrapped = options.dotAll ? `(?s:${pattern})` : pattern;
  const re2Source = options.anchored ? `^(?:${wrapped})$` : wrapped;
  validate(pattern);
  if (re2Source !== pattern) validate(re2Source);
  const tree = parsePattern(pattern, options);
  let root = tree.root;
  if (options.anchored) {
    const inner: RegexNode = root.kind === 'choice' ? { kind: 'sequence', items: [root] } : root;
    root = {
      kind: 'sequence',
      items: [{ kind: 'assertion', at: 'text start' }, inner, { kind: 'assertion', at: 'text end' }],
    };
  }
  return new Regex(
    pattern,
    tree.names,
    {
      ...traitsOf(root),
      matchesEverything: matchesEverything(tree.root, options),
      simpleForms: simpleForms(tree.root),
      requiredText: requiredText(tree.root),
    },
    {
      automaton: () => RE2JS.compile(re2Source),
      v8: (alphabet, captures) => compileForV8(root, alphabet, captures),
    },
  );
}

function validate(pattern: string): void {
  try {
    RE2JS.compile(pattern);
  } catch (error: unknown) {
    if (error instanceof RE2JSException) throw new RegexError(error.message, { cause: error });
    throw error;
  }
}

/** A RegExp that never takes more than linear time, or null. */
function compileForV8(root: RegexNode, alphabet: 'ascii' | 'full', captures: boolean): RegExp | null {
  const source = writeJavaScript(root, { alphabet, captures });
  if (source === null) return null;
  try {
    new RegExp(source, 'l');
  } catch (error: unknown) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  return new RegExp(source, 'g');
}

function traitsOf(root: RegexNode): Omit<RegexTraits, 'matchesEverything' | 'simpleForms' | 'requiredText'> {
  return {
    literal: onlyMatch(root),
    requiredLiterals: requiredLiterals(root),
    maxLength: longestMatch(root),
    isNullable: isNullable(root),
    hasAssertions: someNode(root, (node) => node.kind === 'assertion'),
    hasLineAnchors: someNode(
      root,
      (node) => node.kind === 'assertion' && (node.at === 'line start' || node.at === 'line end'),
    ),
    isAsciiOnly: !someNode(root, (node) => node.kind === 'set' && (node.points.at(-1) ?? 0) > 0x7f),
    sameCaptures: !someNode(root, losesCaptures),
  };
}

/**
 * Where JavaScript's match can differ from RE2's in extent or groups: it forgets a group at each turn of a repeat and
 * never takes an empty turn.
 */
function losesCaptures(node: RegexNode): boolean {
  if (node.kind !== 'repeat') return false;
  const captures = someNode(node.item, (inner) => inner.kind === 'capture');
  return (captures && node.max > 1) || isNullable(node.item);
}

/** Whether each text without a line feed matches: any nullable pattern, but only `.*` when anchored. */
function matchesEverything(root: RegexNode, options: RegexOptions): boolean {
  if (!options.anchored) return isNullable(root) && !someNode(root, (node) => node.kind === 'assertion');
  if (root.kind === 'capture') return matchesEverything(root.item, options);
  if (root.kind !== 'repeat' || root.min > 0 || root.max !== Number.POSITIVE_INFINITY) return false;
  const item = root.item;
  return item.kind === 'set' && item.points.length <= 4 && item.points[0] === 0 && hasCodePoint(item.points, 0x10ffff);
}
