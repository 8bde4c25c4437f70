import { compileRegex } from '../../logql/regex/index.ts';
import { JsonTokenizer } from './json-tokenizer.ts';
import { LogfmtTokenizer } from './logfmt-tokenizer.ts';
import { PunctuationTokenizer, type Tokenizer } from './tokenizer.ts';

export type LogFormat = 'json' | 'logfmt' | 'unknown';

/** Pairs with one space between them: what Loki takes for logfmt. */
const LOGFMT = compileRegex('^(\\w+?=([^"]\\S*?|".+?") )*?(\\w+?=([^"]\\S*?|".+?"))+$');

/** Guesses from the first line of a stream. */
export function detectFormat(line: string): LogFormat {
  if (line.length < 2) return 'unknown';
  if (line.startsWith('{') && line.endsWith('}')) return 'json';
  return LOGFMT.test(line) ? 'logfmt' : 'unknown';
}

export function tokenizerFor(format: LogFormat, jsonFields: readonly string[], maxBytes: number): Tokenizer {
  switch (format) {
    case 'json':
      return new JsonTokenizer(jsonFields, maxBytes);
    case 'logfmt':
      return new LogfmtTokenizer(maxBytes);
    case 'unknown':
      return new PunctuationTokenizer(maxBytes);
    default:
      return format satisfies never;
  }
}
