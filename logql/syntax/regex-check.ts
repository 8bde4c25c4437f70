import { compileRegex, RegexError, validateRegex } from '../regex/index.ts';
import { queryError } from './parse-error.ts';

/** What is wrong with a pattern, in Go's words; null when RE2 accepts it. */
export function regexMistake(pattern: string): string | null {
  try {
    validateRegex(pattern);
    return null;
  } catch (error: unknown) {
    if (error instanceof RegexError) return error.message;
    throw error;
  }
}

/** Throws Loki's error for a matcher whose pattern is not RE2 syntax. */
export function checkMatcherRegex(pattern: string): void {
  regexMatchesEmpty(pattern);
}

/** Whether a matcher's pattern, which is anchored on both sides, matches the empty value. Throws on a bad pattern. */
export function regexMatchesEmpty(pattern: string): boolean {
  try {
    return compileRegex(pattern, { anchored: true, dotAll: true }).test('');
  } catch (error: unknown) {
    if (error instanceof RegexError) throw queryError(error.message);
    throw error;
  }
}

/** Throws Loki's error unless the pattern of a `regexp` stage names at least one capture, and each name once. */
export function checkRegexpStage(pattern: string): void {
  const repeated = repeatedGroupName(pattern);
  // Go accepts a name that stands twice, re2js does not: Loki's refusal is worded by Loki.
  const mistake =
    repeated === null
      ? regexMistake(pattern)
      : regexMistake(pattern.replace(NAMED_GROUP, (text, name) => (name ? '(' : text)));
  if (mistake !== null) throw queryError(`invalid regexp parser: ${mistake}`);
  if (repeated !== null) throw queryError(`invalid regexp parser: duplicate extracted label name '${repeated}'`);
  if (compileRegex(pattern).names.every((name) => name === '')) {
    throw queryError('invalid regexp parser: at least one named capture must be supplied');
  }
}

/** Escapes, quoted runs and classes, in which a parenthesis means itself, or the start of a named group. */
const NAMED_GROUP = /\\Q[\s\S]*?(?:\\E|$)|\\[\s\S]|\[\^?\]?(?:\[:\w+:\]|\\[\s\S]|[^\]\\])*\]|\(\?P?<(\w+)>/g;

function repeatedGroupName(pattern: string): string | null {
  const seen = new Set<string>();
  for (const [, name] of pattern.matchAll(NAMED_GROUP)) {
    if (name === undefined) continue;
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return null;
}
