import { foldCase, type SimpleForm } from '../regex/index.ts';
import type { BlockLines } from './block-lines.ts';
import { LineTest, markRunning } from './line-test.ts';
import { encodeUtf8, lowerAscii } from './text.ts';

/**
 * `|~ "(?i)text"`, as Loki compares it: places are found by the first byte of the lower-case text, where only A to Z
 * count in either case; from there on a character of the line matches if its lower case does. So `(?i)ω` does not
 * match Ω, and `(?i)xω` matches XΩ.
 */
export class FoldedTest extends LineTest {
  /** Runs over bytes. */
  readonly #bytes: RegExp;

  constructor(forms: readonly SimpleForm[]) {
    super();
    this.#bytes = new RegExp(forms.map(bytesPattern).join('|'), 'g');
  }

  test(source: string, start: number, end: number): boolean {
    this.#bytes.lastIndex = 0;
    return this.#bytes.test(source.slice(start, end));
  }

  override mark(lines: BlockLines, _rows: Uint32Array, _count: number, marks: Uint8Array): void {
    markRunning(lines, this.#bytes, this, marks);
  }
}

function bytesPattern({ text, foldsCase }: SimpleForm): string {
  const firstByte = encodeUtf8(text)[0]!;
  return [...text]
    .map((char, i) => {
      if (!foldsCase) return escapeBytes(encodeUtf8(char));
      const isThere = (bytes: string): boolean => i > 0 || lowerAscii(bytes[0]!) === firstByte;
      return `(?:${sameInLowerCase(char).map(encodeUtf8).filter(isThere).map(escapeBytes).join('|')})`;
    })
    .join('');
}

/** `char` and the characters that have it as their lower case in Go. */
function sameInLowerCase(char: string): string[] {
  const point = char.codePointAt(0)!;
  const orbit = foldCase([point, point]);
  const result = char === 'i' ? ['i', '\u0130'] : [char];
  for (let i = 0; i < orbit.length; i += 2) {
    for (let other = orbit[i]!; other <= orbit[i + 1]!; other++) {
      const text = String.fromCodePoint(other);
      if (other !== point && text.toLowerCase() === char) result.push(text);
    }
  }
  return result;
}

function escapeBytes(bytes: string): string {
  return [...bytes].map((byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
}
