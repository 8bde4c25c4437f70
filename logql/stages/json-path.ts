import { StageError } from './stage-error.ts';

/** A step into a JSON value: the key of an object or the index of an array. */
export type JsonStep = string | number;

type Token =
  | { readonly kind: 'FIELD' | 'STRING'; readonly text: string }
  | { readonly kind: 'INDEX'; readonly index: number }
  | { readonly kind: 'DOT' | 'LSB' | 'RSB' | '$end' };

/**
 * Parses `a.b["c d"][0]`. Throws `StageError` with the text of Loki's parser:
 * `cannot parse expression [a b]: syntax error: unexpected FIELD`.
 */
export function parseJsonPath(expression: string): readonly JsonStep[] {
  const { tokens, strange } = tokenize(expression);
  try {
    const steps = parseSteps(tokens);
    if (strange !== '') throw new PathError(`unexpected char ${strange}`);
    return steps;
  } catch (error: unknown) {
    if (!(error instanceof PathError)) throw error;
    throw new StageError(`cannot parse expression [${expression}]: ${error.message}`, { cause: error });
  }
}

class PathError extends Error {}

function parseSteps(tokens: readonly Token[]): readonly JsonStep[] {
  const steps: JsonStep[] = [];
  let at = 0;
  const unexpected = (expected: readonly string[]): PathError => {
    const hint = expected.length > 0 ? `, expecting ${expected.join(' or ')}` : '';
    return new PathError(`syntax error: unexpected ${tokens[at]!.kind}${hint}`);
  };
  const first = tokens[0]!;
  if (first.kind === 'FIELD') {
    steps.push(first.text);
    at++;
  } else if (first.kind !== 'LSB') {
    throw unexpected(['LSB', 'FIELD']);
  }
  for (;;) {
    const token = tokens[at]!;
    if (token.kind === '$end') return steps;
    if (token.kind === 'DOT') {
      at++;
      const field = tokens[at]!;
      if (field.kind !== 'FIELD') throw unexpected(['FIELD']);
      steps.push(field.text);
      at++;
    } else if (token.kind === 'LSB') {
      at++;
      const inner = tokens[at]!;
      if (inner.kind === 'STRING') steps.push(inner.text);
      else if (inner.kind === 'INDEX') steps.push(inner.index);
      else throw unexpected(['STRING', 'INDEX']);
      at++;
      if (tokens[at]!.kind !== 'RSB') throw unexpected(['RSB']);
      at++;
    } else {
      throw unexpected([]);
    }
  }
}

/** A character that belongs to no token ends the expression; it is the error only when nothing is missing before it. */
function tokenize(expression: string): { readonly tokens: readonly Token[]; readonly strange: string } {
  const tokens: Token[] = [];
  const token = /\s*(?:([A-Za-z_][A-Za-z0-9_]*)|(\d+)|"([^"]*)"|([.[\]])|(\S))/suy;
  for (;;) {
    const found = token.exec(expression);
    const [, field, index, string, sign, strange = ''] = found ?? [];
    if (field !== undefined) tokens.push({ kind: 'FIELD', text: field });
    else if (index !== undefined) tokens.push({ kind: 'INDEX', index: Number(index) });
    else if (string !== undefined) tokens.push({ kind: 'STRING', text: string });
    else if (sign !== undefined) tokens.push({ kind: sign === '.' ? 'DOT' : sign === '[' ? 'LSB' : 'RSB' });
    else {
      tokens.push({ kind: '$end' });
      return { tokens, strange };
    }
  }
}
