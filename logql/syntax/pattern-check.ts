import { queryError } from './parse-error.ts';

const CAPTURE = /<([A-Za-z_][A-Za-z0-9_]*)>/g;

/**
 * Throws Loki's error for the pattern of a `pattern` stage that names no capture, has two captures without a literal
 * between them, or names one twice. What is not a capture is a literal.
 */
export function checkPatternStage(pattern: string): void {
  const mistake = patternMistake(pattern);
  if (mistake !== null) throw queryError(`invalid pattern parser: ${mistake}`);
}

function patternMistake(pattern: string): string | null {
  if (pattern === '') {
    return 'parse error at line 1, col 1: syntax error: unexpected $end, expecting IDENTIFIER or LITERAL';
  }
  const captures = [...pattern.matchAll(CAPTURE)];
  const named = captures.map((capture) => capture[1]!).filter((name) => name !== '_');
  if (named.length === 0) return 'at least one capture is required';
  for (const [i, capture] of captures.entries()) {
    const next = captures[i + 1];
    if (next !== undefined && next.index === capture.index + capture[0].length) {
      return `found consecutive capture '${capture[0]}${next[0]}': invalid expression`;
    }
  }
  const repeated = named.find((name, i) => named.indexOf(name) < i);
  return repeated === undefined ? null : `duplicate capture name (${repeated}): invalid expression`;
}
