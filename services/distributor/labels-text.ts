import type { Label } from '../../logql/labels.ts';
import { quoteGo, unquoteGo } from '../../logql/units/go-quote.ts';
import { PushError } from './push-error.ts';

/**
 * Stream labels as text, `{a="b", c="d"}`: the labels in order of name, empty values left out, and names that came
 * twice kept twice, so that validation can name them. Syntax and texts are those of Prometheus' metric selector.
 */
export function parseStreamLabels(text: string): Label[] {
  const scanner = new SelectorScanner(text);
  const labels = scanner.labels().filter(([, value]) => value !== '');
  return labels.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
}

export function printStreamLabels(labels: Iterable<Label>): string {
  let text = '{';
  for (const [name, value] of labels) text += `${text.length > 1 ? ', ' : ''}${name}=${quoteGo(value)}`;
  return `${text}}`;
}

/** A token as Prometheus' error texts name it. */
interface Token {
  readonly kind: 'identifier' | 'string' | 'op' | 'comma' | 'close' | 'open' | 'end';
  readonly text: string;
  readonly at: number;
}

class SelectorScanner {
  readonly #text: string;
  #at = 0;
  #insideBraces = false;

  constructor(text: string) {
    this.#text = text;
  }

  labels(): Label[] {
    const labels: Label[] = [];
    if (this.#text.trim() === '') return labels;
    let token = this.#next();
    if (token.kind === 'identifier') {
      labels.push(['__name__', token.text]);
      token = this.#next();
      if (token.kind === 'end') return labels;
    }
    if (token.kind !== 'open') throw this.#unexpected(token, '');
    this.#insideBraces = true;
    token = this.#next();
    while (token.kind !== 'close') {
      if (token.kind !== 'identifier' && token.kind !== 'string') {
        throw this.#unexpected(token, ' in label set, expected identifier or "}"');
      }
      const name = token.kind === 'string' ? this.#unquote(token) : token.text;
      if (token.kind === 'string' && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
        throw this.#error(token.at, `unexpected character inside braces: '${firstBad(name)}'`);
      }
      const op = this.#next();
      if (op.kind !== 'op' || op.text !== '=') throw this.#unexpected(op, ' in label set, expected "="');
      const value = this.#next();
      if (value.kind !== 'string') throw this.#unexpected(value, ' in label set, expected string');
      labels.push([name, this.#unquote(value)]);
      token = this.#next();
      if (token.kind === 'comma') token = this.#next();
      else if (token.kind !== 'close') throw this.#unexpected(token, ' in label set, expected "," or "}"');
    }
    this.#insideBraces = false;
    token = this.#next();
    if (token.kind !== 'end') throw this.#unexpected(token, '');
    return labels;
  }

  #next(): Token {
    const text = this.#text;
    while (/[ \t\r\n]/.test(text[this.#at] ?? '')) this.#at++;
    const at = this.#at;
    const take = (kind: Token['kind'], length: number): Token => {
      this.#at += length;
      return { kind, text: text.slice(at, at + length), at };
    };
    if (at >= text.length) {
      if (this.#insideBraces) throw this.#error(at, 'unexpected end of input inside braces');
      return take('end', 0);
    }
    const identifier = /[A-Za-z_][A-Za-z0-9_]*/y;
    identifier.lastIndex = at;
    const word = identifier.exec(text);
    if (word !== null) return take('identifier', word[0].length);
    const character = String.fromCodePoint(text.codePointAt(at)!);
    switch (character) {
      case '{':
        return take('open', 1);
      case '}':
        return take('close', 1);
      case ',':
        return take('comma', 1);
      case '=':
        return take('op', text[at + 1] === '~' ? 2 : 1);
      case '!':
        return take('op', /[=~]/.test(text[at + 1] ?? '') ? 2 : 1);
      case '"':
      case "'":
      case '`':
        return this.#string(at, character);
    }
    throw this.#error(
      at,
      this.#insideBraces
        ? `unexpected character inside braces: '${character}'`
        : `unexpected character: '${character}'`,
    );
  }

  #string(at: number, quote: string): Token {
    const text = this.#text;
    let end = at + 1;
    for (; ; end++) {
      if (end >= text.length)
        throw this.#error(at, quote === '`' ? 'unterminated raw string' : 'unterminated quoted string');
      if (text[end] === quote) break;
      if (quote !== '`' && text[end] === '\n') throw this.#error(at, 'unterminated quoted string');
      if (quote !== '`' && text[end] === '\\') end++;
    }
    this.#at = end + 1;
    return { kind: 'string', text: text.slice(at, end + 1), at };
  }

  #unquote(token: Token): string {
    const inner = token.text.slice(1, -1);
    if (token.text[0] === '`') return inner;
    try {
      if (token.text[0] === '"') return unquoteGo(token.text);
      return unquoteGo(
        `"${inner.replace(/\\(.)|"/gs, (all, escaped?: string) => (escaped === "'" ? "'" : escaped === undefined ? '\\"' : all))}"`,
      );
    } catch (error: unknown) {
      throw this.#error(token.at, `error unquoting string ${quoteGo(token.text)}: ${(error as Error).message}`);
    }
  }

  #unexpected(token: Token, context: string): PushError {
    const names: Record<Token['kind'], string> = {
      identifier: `identifier "${token.text}"`,
      string: `string ${token.text}`,
      op: token.text === '=' ? '"="' : `<op:${token.text}>`,
      comma: '","',
      close: '"}"',
      open: '"{"',
      end: 'end of input',
    };
    return this.#error(token.at, `unexpected ${names[token.kind]}${context}`);
  }

  /** Positions are line and byte, from 1. */
  #error(at: number, message: string): PushError {
    const before = this.#text.slice(0, at);
    const line = before.split('\n').length;
    const column = Buffer.byteLength(before.slice(before.lastIndexOf('\n') + 1)) + 1;
    return new PushError(400, `couldn't parse labels: ${line}:${column}: parse error: ${message}`);
  }
}

const firstBad = (name: string): string => (/^[^A-Za-z_]/u.exec(name) ?? /[^A-Za-z0-9_]/u.exec(name))?.[0] ?? '';
