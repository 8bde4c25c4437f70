import type { Matcher } from '../../logql/syntax/ast.ts';
import { parseMatchers } from '../../logql/syntax/index.ts';

/** A selector that may be left out. Empty and absent mean all streams. */
export function optionalMatchers(text: string | null): readonly Matcher[] {
  return text === null || text === '' ? [] : parseMatchers(text);
}
