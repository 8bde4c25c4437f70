import type { Span } from './otlp-value.ts';

/** Texts one behind the other, as UTF-8. They are spoken of by where they will lie once the arena stands behind `base` other bytes. */
export class TextArena {
  readonly #base: number;
  #bytes: Buffer = Buffer.allocUnsafe(4096);
  #used = 0;

  constructor(base: number) {
    this.#base = base;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#used);
  }

  add(text: string): Span {
    const most = 3 * text.length;
    if (this.#used + most > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#used + most));
      larger.set(this.bytes);
      this.#bytes = larger;
    }
    const start = this.#base + this.#used;
    const length = writeText(text, this.#bytes, this.#used);
    this.#used += length;
    return { start, length };
  }
}

/** A short text of ASCII costs less byte by byte than the way out of JavaScript. */
const SHORT = 40;

function writeText(text: string, out: Buffer, at: number): number {
  if (text.length > SHORT) return out.write(text, at, 'utf8');
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c >= 0x80) return out.write(text, at, 'utf8');
    out[at + i] = c;
  }
  return text.length;
}
