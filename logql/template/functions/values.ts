import { isPrintable } from '../../units/index.ts';
import { MAX_JSON_DEPTH } from '../limits.ts';
import { GoTime } from '../time.ts';
import { isTrue, type Value } from '../value.ts';
import { decodeBase64 } from './base64.ts';
import { define, type FunctionTable, ofStrings } from './signature.ts';
import { queryEscape, queryUnescape } from './url.ts';

export const valueFunctions: FunctionTable = {
  __line__: define([], (_, data) => data.line()),
  __timestamp__: define([], (_, data) => new GoTime(data.timestampNs())),
  default: define(['interface {}'], ([fallback, given]) => (isTrue(given) ? given : fallback), 'interface {}'),
  fromJson: ofStrings(1, fromJson),
  b64enc: ofStrings(1, (text) => Buffer.from(text, 'utf8').toString('base64')),
  b64dec: ofStrings(1, decodeBase64),
  urlencode: ofStrings(1, queryEscape),
  urldecode: ofStrings(1, queryUnescape),
};

/** Numbers that are too large for a float64 read as nil, as does a text that is no JSON. */
function fromJson(text: string): Value {
  if (jsonDepth(text) > MAX_JSON_DEPTH) return null;
  try {
    const value = /[0-9.]{300}|[eE]\+?[0-9]{3}/.test(text) ? JSON.parse(text, finiteOnly) : JSON.parse(text);
    return value as Value;
  } catch (error: unknown) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function finiteOnly(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? null : value;
}

/** At most the real depth of nesting: brackets in strings do not count. */
function jsonDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (inString) {
      if (unit === 0x5c) i++;
      else if (unit === 0x22) inString = false;
    } else if (unit === 0x22) inString = true;
    else if (unit === 0x5b || unit === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (unit === 0x5d || unit === 0x7d) depth--;
  }
  return deepest;
}

const HTML: Readonly<Record<string, string>> = {
  '"': '&#34;',
  "'": '&#39;',
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '\0': '\ufffd',
};

export function escapeHtml(text: string): string {
  return text.replace(/["'&<>\0]/g, (char) => HTML[char]!);
}

const JS: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
  '<': '\\u003C',
  '>': '\\u003E',
  '&': '\\u0026',
  '=': '\\u003D',
};

export function escapeJs(text: string): string {
  let out = '';
  for (const char of text) {
    const short = JS[char];
    const code = char.codePointAt(0)!;
    if (short !== undefined) out += short;
    else if (code < 0x20 || (code >= 0x80 && !isPrintable(char))) {
      out += `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`;
    } else out += char;
  }
  return out;
}
