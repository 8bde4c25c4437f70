import { StageError } from './stage-error.ts';
import { encodeUtf8 } from './text.ts';

/** `<name>` (name `_`: not kept) or literal text, as a byte string. */
export type PatternPart =
  | { readonly kind: 'literal'; readonly bytes: string }
  | { readonly kind: 'capture'; readonly name: string };

const CAPTURE = /<([A-Za-z_][A-Za-z0-9_]*)>/g;

/** Cuts a pattern into literals and captures. Throws `StageError` when two captures touch. */
export function parsePatternParts(pattern: string): readonly PatternPart[] {
  const parts: PatternPart[] = [];
  let at = 0;
  for (const match of pattern.matchAll(CAPTURE)) {
    if (match.index > at) parts.push({ kind: 'literal', bytes: encodeUtf8(pattern.slice(at, match.index)) });
    const before = parts.at(-1);
    if (before?.kind === 'capture') {
      throw new StageError(`found consecutive capture '<${before.name}><${match[1]}>': invalid expression`);
    }
    parts.push({ kind: 'capture', name: match[1]! });
    at = match.index + match[0].length;
  }
  if (at < pattern.length) parts.push({ kind: 'literal', bytes: encodeUtf8(pattern.slice(at)) });
  return parts;
}

/** The operand of `|>`. */
export interface LinePattern {
  matches(source: string, start: number, end: number): boolean;
}

/**
 * Literals are found one after the other, each at its first place; a `<_>` covers at least one character. The end of
 * the pattern is held to the end of the line, its beginning is not (as in Loki).
 */
export function compileLinePattern(pattern: string): LinePattern {
  const parts = parsePatternParts(pattern);
  for (const part of parts) {
    if (part.kind === 'capture' && part.name !== '_') {
      throw new StageError(`named captures are not allowed: found '<${part.name}>'`);
    }
  }
  const literals = parts.flatMap((part) => (part.kind === 'literal' ? [part.bytes] : []));
  const startsWithLiteral = parts[0]?.kind === 'literal';
  const endsWithCapture = parts.at(-1)?.kind === 'capture';
  return {
    matches(source, start, end) {
      if (start === end || parts.length === 0) return start === end && parts.length === 0;
      const line = source.slice(start, end);
      let at = 0;
      for (let i = 0; i < literals.length; i++) {
        const found = line.indexOf(literals[i]!, at);
        if (found < 0 || (found === at && (i > 0 || !startsWithLiteral))) return false;
        at = found + literals[i]!.length;
      }
      return endsWithCapture === at < line.length;
    },
  };
}
