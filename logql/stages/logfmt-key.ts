import { StageError } from './stage-error.ts';

/**
 * The key that `| logfmt label="expression"` names: a plain name, or any text in quotes. Throws `StageError` with the
 * text of Loki's parser: `cannot parse expression [b c]: syntax error: unexpected KEY`. As there, a character that
 * belongs to no token ends the expression.
 */
export function parseLogfmtKey(expression: string): string {
  const fail = (what: string): never => {
    throw new StageError(`cannot parse expression [${expression}]: ${what}`);
  };
  const token = /\s*(?:([A-Za-z_][A-Za-z0-9_]*)|"([^"]*)"|(\S))/suy;
  const next = () => {
    const [, key, string, strange] = token.exec(expression) ?? [];
    if (key !== undefined) return { kind: 'KEY', text: key, strange: '' };
    if (string !== undefined) return { kind: 'STRING', text: string, strange: '' };
    return { kind: '$end', text: '', strange: strange ?? '' };
  };
  const first = next();
  if (first.kind === '$end') return fail('syntax error: unexpected $end, expecting STRING or KEY');
  const second = next();
  if (second.kind !== '$end') return fail(`syntax error: unexpected ${second.kind}`);
  if (second.strange !== '') return fail(`unexpected char ${second.strange}`);
  return first.text;
}
