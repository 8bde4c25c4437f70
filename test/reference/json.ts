import { encodedLength } from './text.ts';

/*
 * JSON as Loki's scanner takes it, read with the plainest means: a cursor over text. A string ends at the first quote
 * that is not escaped, a bracketed value where its brackets balance outside of strings, anything else at a separator.
 */

export type JsonNode =
  | { readonly type: 'string' | 'number' | 'boolean' | 'null'; readonly raw: string; readonly text: string }
  | { readonly type: 'array' | 'object'; readonly raw: string };

/** A line that is not what it should be, with Loki's words for it. */
export class JsonTrouble extends Error {}

export class JsonCursor {
  at = 0;
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** Moves to the next character that is no space; '' at the end. */
  peek(): string {
    while (/^[ \t\r\n]$/.test(this.text[this.at] ?? '')) this.at++;
    return this.text[this.at] ?? '';
  }

  /** The raw content of the string at the cursor. */
  string(unclosed: string): string {
    const found = /"((?:[^"\\]|\\[\s\S])*)"/y;
    found.lastIndex = this.at;
    const match = found.exec(this.text);
    if (match === null) throw new JsonTrouble(unclosed);
    this.at = found.lastIndex;
    return match[1]!;
  }

  value(): JsonNode {
    const first = this.peek();
    const start = this.at;
    if (first === '') throw new JsonTrouble('Malformed JSON error');
    if (first === '"') {
      const raw = this.string(`Value is string, but can't find closing '"' symbol`);
      return { type: 'string', raw, text: unescapeText(raw) ?? '' };
    }
    if (first === '{' || first === '[') {
      const close = first === '{' ? '}' : ']';
      const broken =
        first === '{'
          ? "Value looks like object, but can't find closing '}' symbol"
          : "Value is array, but can't find closing ']' symbol";
      let level = 0;
      do {
        const c = this.text[this.at];
        if (c === undefined) throw new JsonTrouble(broken);
        if (c === '"') {
          this.string(broken);
          continue;
        }
        if (c === first) level++;
        if (c === close) level--;
        this.at++;
      } while (level > 0);
      return { type: first === '{' ? 'object' : 'array', raw: this.text.slice(start, this.at) };
    }
    while (!/^[ \t\r\n,}\]]?$/.test(this.text[this.at] ?? '')) this.at++;
    const raw = this.text.slice(start, this.at);
    if (/^[-0-9]/.test(raw)) return { type: 'number', raw, text: raw };
    if (raw === 'true' || raw === 'false') return { type: 'boolean', raw, text: raw };
    if (raw === 'null') return { type: 'null', raw, text: '' };
    throw new JsonTrouble('Unknown value type');
  }
}

/** Text of a string's content; null when an escape is none. */
export function unescapeText(raw: string): string | null {
  if (!/^(?:[^\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*$/.test(raw)) return null;
  const simple: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
  return raw.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, hex: string | undefined, c: string) =>
    hex !== undefined ? String.fromCharCode(Number.parseInt(hex, 16)) : (simple[c] ?? c),
  );
}

export interface FlattenOptions {
  /** Whether labels that begin with this name and `_` are of interest; other objects are skipped unseen. */
  readonly entersBelow: (name: string) => boolean;
}

/** Leaves of the object in order, as label names and values. Throws `JsonTrouble` where the text breaks. */
export function* flatten(text: string, options: FlattenOptions): Generator<readonly [name: string, value: string]> {
  yield* members(new JsonCursor(text), '', options);
}

function* members(cursor: JsonCursor, prefix: string, options: FlattenOptions): Generator<readonly [string, string]> {
  const noObject = "Value looks like object, but can't find closing '}' symbol";
  if (cursor.peek() !== '{') throw new JsonTrouble(noObject);
  cursor.at++;
  if (cursor.peek() === '') throw new JsonTrouble('Malformed JSON error');
  while (cursor.peek() !== '}') {
    if (cursor.peek() !== '"') throw new JsonTrouble(noObject);
    const key = unescapeText(cursor.string('Malformed JSON error'));
    if (key === null) throw new JsonTrouble('Encountered an invalid escape sequence in a string');
    if (cursor.peek() !== ':') throw new JsonTrouble('Malformed JSON error');
    cursor.at++;
    const name = labelName(prefix, key);
    if (cursor.peek() === '{' && (name === '' || options.entersBelow(name))) {
      const start = cursor.at;
      cursor.value();
      cursor.at = start;
      yield* members(cursor, name, options);
    } else {
      const value = cursor.value();
      if ('text' in value && value.type !== 'null' && name !== '') yield [name, visible(value.text)];
    }
    const next = cursor.peek();
    if (next === '') throw new JsonTrouble("Value is array, but can't find closing ']' symbol");
    if (next === '}') break;
    if (next !== ',') throw new JsonTrouble(noObject);
    cursor.at++;
    if (cursor.peek() === '') throw new JsonTrouble("Value is array, but can't find closing ']' symbol");
  }
  cursor.at++;
}

function labelName(prefix: string, key: string): string {
  const clean = key.trim().replaceAll(/[^A-Za-z0-9_]/gu, '_');
  if (prefix === '') return /^[0-9]/.test(clean) ? `_${clean}` : clean;
  return clean === '' ? prefix : `${prefix}_${clean}`;
}

export { labelName };

/** Label values show U+FFFD, which stands for what is not UTF-8, as a space. */
export function visible(text: string): string {
  return text.replaceAll('\ufffd', ' ');
}

/**
 * The value at the end of a path (keys and indexes) in well-formed JSON, as a label shows it; undefined when there is
 * none. Of several values at one path the first counts.
 */
export function valueAt(text: string, path: readonly (string | number)[]): string | undefined {
  const cursor = new JsonCursor(text);
  const value = cursor.value();
  if (path.length === 0) return 'text' in value ? visible(value.text) : visible(value.raw);
  const step = path[0]!;
  if (value.type !== (typeof step === 'number' ? 'array' : 'object')) return undefined;
  for (const [key, item] of entries(value.raw)) {
    const found = key === step ? valueAt(item, path.slice(1)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Members of an object, items of an array, in order: key or index and the text of the value. */
function entries(raw: string): [key: string | number, value: string][] {
  const inner = new JsonCursor(raw);
  const isObject = raw[0] === '{';
  const found: [string | number, string][] = [];
  inner.at = 1;
  while (!['}', ']'].includes(inner.peek())) {
    let key: string | number = found.length;
    if (isObject) {
      key = unescapeText(inner.string('')) ?? '';
      inner.peek();
      inner.at++;
      inner.peek();
    }
    const start = inner.at;
    inner.value();
    found.push([key, raw.slice(start, inner.at)]);
    if (inner.peek() === ',') inner.at++;
  }
  return found;
}

export function isWellFormed(text: string): boolean {
  try {
    JSON.parse(text);
    return encodedLength(text) > 0;
  } catch (error: unknown) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
