import { compileRegex, type Regex, RegexError } from '../../regex/index.ts';
import { utf8Length, utf8Slice } from '../../units/index.ts';
import { toLower, toTitle, toUpper, trimSpace } from '../casing.ts';
import { characterCount } from '../format.ts';
import { FunctionError } from '../function-error.ts';
import { checkLength } from '../limits.ts';
import { type Integer, int, type Value } from '../value.ts';
import { define, type FunctionTable, ofStrings, type TemplateFunction } from './signature.ts';

export const stringFunctions: FunctionTable = {
  ToLower: ofStrings(1, toLower),
  ToUpper: ofStrings(1, toUpper),
  lower: ofStrings(1, toLower),
  upper: ofStrings(1, toUpper),
  title: ofStrings(1, toTitle),
  Replace: define(['string', 'string', 'string', 'int'], ([text, old, by, count]) =>
    replace(text as string, old as string, by as string, number(count)),
  ),
  replace: ofStrings(3, (old, by, text) => replace(text, old, by, -1)),
  Trim: ofStrings(2, (text, cutset) => trimStart(trimEnd(text, cutset), cutset)),
  TrimLeft: ofStrings(2, trimStart),
  TrimRight: ofStrings(2, trimEnd),
  trimAll: ofStrings(2, (cutset, text) => trimStart(trimEnd(text, cutset), cutset)),
  TrimPrefix: ofStrings(2, trimPrefix),
  TrimSuffix: ofStrings(2, trimSuffix),
  trimPrefix: ofStrings(2, (prefix, text) => trimPrefix(text, prefix)),
  trimSuffix: ofStrings(2, (suffix, text) => trimSuffix(text, suffix)),
  TrimSpace: ofStrings(1, trimSpace),
  trim: ofStrings(1, trimSpace),
  contains: ofStrings(2, (part, text) => text.includes(part)),
  hasPrefix: ofStrings(2, (prefix, text) => text.startsWith(prefix)),
  hasSuffix: ofStrings(2, (suffix, text) => text.endsWith(suffix)),
  trunc: define(['int', 'string'], ([count, text]) => truncate(number(count), text as string)),
  substr: define(['int', 'int', 'string'], ([start, end, text]) =>
    substring(number(start), number(end), text as string),
  ),
  repeat: define(['int', 'string'], ([count, text]) => repeat(text as string, number(count))),
  indent: define(['int', 'string'], ([spaces, text]) => indent(number(spaces), text as string)),
  nindent: define(['int', 'string'], ([spaces, text]) => `\n${indent(number(spaces), text as string)}`),
  alignLeft: define(['int', 'string'], ([width, text]) => align(number(width), text as string, 'left')),
  alignRight: define(['int', 'string'], ([width, text]) => align(number(width), text as string, 'right')),
  regexReplaceAll: ofRegex(3, (pattern, text, by) => {
    const regex = compile(pattern);
    checkReplacement(regex, text, by!);
    return regex.replaceAll(text, by!);
  }),
  regexReplaceAllLiteral: ofRegex(3, (pattern, text, by) => {
    const regex = compile(pattern);
    checkReplacement(regex, text, by!);
    return regex.replaceAllLiteral(text, by!);
  }),
  count: ofRegex(2, (pattern, text) => int(compile(pattern).count(text))),
};

/** A pattern may be new on each call, and costs most of all then. */
function ofRegex(count: 2 | 3, call: (pattern: string, text: string, by?: string) => Value): TemplateFunction {
  return { ...ofStrings(count, call as (...args: string[]) => Value), cost: 100 };
}

/** Counts beyond 2^53 act as 2^53. */
function number(value: Value): number {
  return Number((value as Integer).value);
}

/** Patterns are mostly constants of the query, but may be made of labels: the oldest ones go. */
const regexes = new Map<string, Regex>();
const MAX_REGEXES = 256;

function compile(pattern: string): Regex {
  let regex = regexes.get(pattern);
  if (regex !== undefined) return regex;
  try {
    regex = compileRegex(pattern);
  } catch (error: unknown) {
    if (error instanceof RegexError) throw new FunctionError(error.message, { cause: error });
    throw error;
  }
  if (regexes.size >= MAX_REGEXES) regexes.delete(regexes.keys().next().value!);
  regexes.set(pattern, regex);
  return regex;
}

/**
 * Groups of different matches don't overlap, so what `$1` brings is at most the text, once for each reference; the
 * rest of the replacement comes once for each match.
 */
function checkReplacement(regex: Regex, text: string, by: string): void {
  const references = by.split('$').length - 1;
  if ((text.length + 1) * by.length + references * text.length < 1_000_000) return;
  checkLength(text.length * (references + 1) + regex.count(text) * by.length);
}

function replace(text: string, old: string, by: string, count: number): string {
  if (old === by || count === 0) return text;
  if (old === '') return replaceEmpty(text, by, count);
  let found = 0;
  for (let at = text.indexOf(old); at >= 0 && found !== count; at = text.indexOf(old, at + old.length)) found++;
  if (found === 0) return text;
  checkLength(text.length + found * (by.length - old.length));
  if (count < 0) return text.split(old).join(by);
  let out = '';
  let from = 0;
  for (let i = 0; i < found; i++) {
    const at = text.indexOf(old, from);
    out += text.slice(from, at) + by;
    from = at + old.length;
  }
  return out + text.slice(from);
}

/** An empty text is found before each character and at the end. */
function replaceEmpty(text: string, by: string, count: number): string {
  const chars = [...text];
  const places = count < 0 ? chars.length + 1 : Math.min(count, chars.length + 1);
  checkLength(text.length + places * by.length);
  let out = '';
  for (const [i, char] of chars.entries()) out += i < places ? by + char : char;
  return places > chars.length ? out + by : out;
}

function trimStart(text: string, cutset: string): string {
  const cut = new Set(cutset);
  let start = 0;
  while (start < text.length) {
    const char = String.fromCodePoint(text.codePointAt(start)!);
    if (!cut.has(char)) break;
    start += char.length;
  }
  return text.slice(start);
}

function trimEnd(text: string, cutset: string): string {
  const cut = new Set(cutset);
  let end = text.length;
  while (end > 0) {
    const isPair = end > 1 && text.codePointAt(end - 2)! > 0xffff;
    const width = isPair ? 2 : 1;
    if (!cut.has(text.slice(end - width, end))) break;
    end -= width;
  }
  return text.slice(0, end);
}

function trimPrefix(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}

function trimSuffix(text: string, suffix: string): string {
  return suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
}

function truncate(count: number, text: string): string {
  const length = utf8Length(text);
  if (count < 0 && length + count > 0) return utf8Slice(text, length + count, length);
  return count >= 0 && length > count ? utf8Slice(text, 0, count) : text;
}

function substring(start: number, end: number, text: string): string {
  const length = utf8Length(text);
  if (start < 0) return cutBytes(text, length, null, end);
  if (end < 0 || end > length) return cutBytes(text, length, start, null);
  return cutBytes(text, length, start, end);
}

/** Go's `text[start:end]`, where null is the beginning or the end, with the runtime's words when out of bounds. */
export function cutBytes(text: string, length: number, start: number | null, end: number | null): string {
  const bounds = 'runtime error: slice bounds out of range';
  if (end !== null && end < 0) throw new FunctionError(`${bounds} [:${end}]`);
  if (end !== null && end > length) throw new FunctionError(`${bounds} [:${end}] with length ${length}`);
  const from = start ?? 0;
  const to = end ?? length;
  if (from > to) throw new FunctionError(`${bounds} [${from}:${to}]`);
  return utf8Slice(text, from, to);
}

function repeat(text: string, count: number): string {
  if (count < 0) throw new FunctionError('strings: negative Repeat count');
  checkLength(text.length * count);
  return text.repeat(count);
}

function indent(spaces: number, text: string): string {
  const pad = repeat(' ', spaces);
  return pad + replace(text, '\n', `\n${pad}`, -1);
}

/** Pads to a width in characters, or cuts to it: `right` keeps the tail. A negative width does nothing. */
function align(width: number, text: string, side: 'left' | 'right'): string {
  const length = characterCount(text);
  if (width < 0 || width === length) return text;
  if (width > length) {
    checkLength(width);
    const pad = ' '.repeat(width - length);
    return side === 'left' ? text + pad : pad + text;
  }
  const chars = [...text];
  return (side === 'left' ? chars.slice(0, width) : chars.slice(length - width)).join('');
}
