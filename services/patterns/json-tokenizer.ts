import {
  countedTokens,
  joinWords,
  PLACEHOLDER,
  type SkipReason,
  splitWords,
  type TokenizedLine,
  type Tokenizer,
} from './tokenizer.ts';

/** The message in a JSON object: the words of the first of some fields that is there and is a text. */
export class JsonTokenizer implements Tokenizer {
  readonly #fields: readonly string[];
  readonly #maxBytes: number;

  /** `fields`: the first that a line has wins. `maxBytes` bounds the message, not the line around it. */
  constructor(fields: readonly string[], maxBytes: number) {
    this.#fields = fields;
    this.#maxBytes = maxBytes;
  }

  tokenize(lines: Buffer, start: number, end: number): TokenizedLine | SkipReason {
    const message = findText(lines.toString('utf8', start, end), this.#fields);
    if (message === null) return 'not_in_format';
    if (Buffer.byteLength(message) > this.#maxBytes) return 'line_too_long';
    return countedTokens(splitWords(message));
  }

  /** What stands before and behind the message is open. */
  join(tokens: readonly string[], spaces: readonly number[]): string {
    return `${PLACEHOLDER}${joinWords(tokens, spaces)}${PLACEHOLDER}`;
  }
}

/**
 * The text of a field of the object, with its escapes as they stand: a pattern is matched against lines as they were
 * pushed. Goes through what is no JSON as far as quotes and brackets let it.
 */
export function findText(json: string, fields: readonly string[]): string | null {
  const found: (string | null | undefined)[] = fields.map(() => undefined);
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const char = json[i];
    if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    if (char !== '"') continue;
    const close = endOfString(json, i);
    if (close < 0) break;
    const colon = depth === 1 ? afterColon(json, close + 1) : -1;
    const field = colon < 0 ? -1 : fields.indexOf(json.slice(i + 1, close));
    i = close;
    if (field < 0 || found[field] !== undefined) continue;
    if (json[colon] !== '"') {
      found[field] = null;
      continue;
    }
    const end = endOfString(json, colon);
    if (end < 0) break;
    found[field] = json.slice(colon + 1, end);
    if (field === 0) break;
    i = end;
  }
  return found.find((text) => typeof text === 'string') ?? null;
}

/** Index of the quote that ends the string that starts at `quote`; -1 when there is none. */
function endOfString(json: string, quote: number): number {
  for (let i = quote + 1; i < json.length; i++) {
    if (json[i] === '\\') i++;
    else if (json[i] === '"') return i;
  }
  return -1;
}

/** Index of the value after `"key"   :  `, -1 when no colon follows. */
function afterColon(json: string, at: number): number {
  while (isSpace(json[at])) at++;
  if (json[at] !== ':') return -1;
  at++;
  while (isSpace(json[at])) at++;
  return at;
}

const isSpace = (char: string | undefined): boolean => char === ' ' || char === '\t' || char === '\n' || char === '\r';
