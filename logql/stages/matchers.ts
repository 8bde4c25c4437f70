import type { Labels } from '../labels.ts';
import type { Matcher } from '../syntax/ast.ts';
import { compileMatch } from './label-filter.ts';

/** A stream selector: every matcher must match, a label that the stream lacks counts as ''. Throws `RegexError`. */
export function compileMatchers(matchers: readonly Matcher[]): (labels: Labels) => boolean {
  const tests = matchers.map((matcher) => [matcher.name, compileMatch(matcher, { dotAll: true })] as const);
  return (labels) => tests.every(([name, match]) => match(labelValue(labels, name)));
}

function labelValue(labels: Labels, name: string): string {
  for (const label of labels) if (label[0] === name) return label[1];
  return '';
}
