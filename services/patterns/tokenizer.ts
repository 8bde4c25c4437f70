/** What stands in a pattern for text that differs from line to line. */
export const PLACEHOLDER = '<_>';

/** A line as Drain compares it. */
export interface TokenizedLine {
  readonly tokens: readonly string[];
  /** Index of the token before each space of the line, -1 before the first; empty where the format has its own spaces. */
  readonly spaces: readonly number[];
}

/** Why a line has no pattern; label `reason` of the metric. */
export type SkipReason = 'line_too_long' | 'too_few_tokens' | 'too_many_tokens' | 'not_in_format';

/** Cuts the lines of one stream into tokens, and puts tokens together again. */
export interface Tokenizer {
  tokenize(lines: Buffer, start: number, end: number): TokenizedLine | SkipReason;
  join(tokens: readonly string[], spaces: readonly number[]): string;
}

/** Fewer tokens say nothing, more are no message of a program. Both as Loki has them. */
const MIN_TOKENS = 4;
const MAX_TOKENS = 80;

export function countedTokens(line: TokenizedLine): TokenizedLine | SkipReason {
  if (line.tokens.length < MIN_TOKENS) return 'too_few_tokens';
  if (line.tokens.length > MAX_TOKENS) return 'too_many_tokens';
  return line;
}

/** `a <_><_> b` → `a <_> b`: nobody can tell where one placeholder ends and the next begins. */
export function mergePlaceholders(text: string): string {
  return text.replace(/(?:<_>){2,}/g, PLACEHOLDER);
}

const WORD = 1;
const PUNCTUATION = 2;
const SPACE = 3;

/** Kind of each ASCII character: letters, digits, `_-.:/` and symbols belong to a word, `=` and punctuation are tokens. */
const KINDS = Uint8Array.from({ length: 128 }, (_, code) => {
  const char = String.fromCharCode(code);
  if (char === ' ') return SPACE;
  if ('_-.:/'.includes(char)) return WORD;
  return char === '=' || /\p{P}/u.test(char) ? PUNCTUATION : WORD;
});
const WIDE_PUNCTUATION = /\p{P}/u;

/** Words and punctuation, for lines of no known format. */
export class PunctuationTokenizer implements Tokenizer {
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  tokenize(lines: Buffer, start: number, end: number): TokenizedLine | SkipReason {
    if (end - start > this.#maxBytes) return 'line_too_long';
    return countedTokens(splitWords(lines.toString('utf8', start, end)));
  }

  join(tokens: readonly string[], spaces: readonly number[]): string {
    return joinWords(tokens, spaces);
  }
}

/** Stops soon after `MAX_TOKENS`: the rest of such a line is of no interest. */
export function splitWords(text: string): TokenizedLine {
  const tokens: string[] = [];
  const spaces: number[] = [];
  let start = 0;
  for (let i = 0; i < text.length && tokens.length <= MAX_TOKENS; i++) {
    const code = text.charCodeAt(i);
    const kind = code < 128 ? KINDS[code]! : WIDE_PUNCTUATION.test(text[i]!) ? PUNCTUATION : WORD;
    if (kind === WORD) continue;
    if (i > start) tokens.push(text.slice(start, i));
    if (kind === SPACE) spaces.push(tokens.length - 1);
    else tokens.push(text[i]!);
    start = i + 1;
  }
  if (start < text.length) tokens.push(text.slice(start));
  return { tokens, spaces };
}

export function joinWords(tokens: readonly string[], spaces: readonly number[]): string {
  let text = '';
  let next = 0;
  for (; spaces[next] === -1; next++) text += ' ';
  for (let i = 0; i < tokens.length; i++) {
    text += tokens[i]!;
    for (; spaces[next] === i; next++) text += ' ';
  }
  return text;
}
