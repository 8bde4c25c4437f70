import { decodeUtf8, LogfmtScanner } from '../../logql/stages/index.ts';
import { countedTokens, PLACEHOLDER, type SkipReason, type TokenizedLine, type Tokenizer } from './tokenizer.ts';

const NO_SPACES: readonly number[] = [];

/** Keys and values in turn; fields that are different in every line are placeholders from the start. */
export class LogfmtTokenizer implements Tokenizer {
  readonly #maxBytes: number;
  readonly #scanner = new LogfmtScanner();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  tokenize(lines: Buffer, start: number, end: number): TokenizedLine | SkipReason {
    if (end - start > this.#maxBytes) return 'line_too_long';
    const source = lines.toString('latin1', start, end); // what the scanner reads: one character a byte
    const scanner = this.#scanner;
    scanner.reset(source, 0, source.length, lines.subarray(start, end));
    const tokens: string[] = [];
    for (;;) {
      const found = scanner.next();
      if (found < 0) return 'not_in_format';
      if (found === 0) return countedTokens({ tokens, spaces: NO_SPACES });
      const key = decodeUtf8(source.slice(scanner.keyStart, scanner.keyEnd));
      tokens.push(key, isVariable(key) ? PLACEHOLDER : scanner.value());
    }
  }

  join(tokens: readonly string[]): string {
    let text = '';
    for (let i = 0; i < tokens.length; i += 2) {
      text += `${i === 0 ? '' : ' '}${tokens[i]}=${quoted(tokens[i + 1] ?? '')}`;
    }
    return text;
  }
}

/** Time and trace of a line. `t` only in this spelling. */
function isVariable(key: string): boolean {
  switch (key.length) {
    case 1:
      return key === 't';
    case 2:
    case 4:
    case 7:
    case 9:
      return ['ts', 'time', 'traceid', 'timestamp'].includes(key.toLowerCase());
    default:
      return false;
  }
}

/** A value as logfmt writes it: in quotes when it could not be read back without them. */
function quoted(value: string): string {
  if (!/[\0- ="\ufffd]/.test(value)) return value;
  return JSON.stringify(value).replace(/\\[bf]/g, (text) => (text === '\\b' ? '\\u0008' : '\\u000c'));
}
