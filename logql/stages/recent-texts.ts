import { detach } from './text.ts';

const PLACES = 256;
/** Longer pieces are rarely the same again. */
const MAX_BYTES = 24;

/**
 * Texts of pieces of ASCII bytes that come again and again (levels, methods, routes): finding one costs a fifth of making a
 * string, and leaves no garbage.
 */
export class RecentTexts {
  readonly #texts = new Array<string>(PLACES).fill('');
  readonly #bytes = new Uint8Array(PLACES * MAX_BYTES);
  /** 0 where there is none. */
  readonly #lengths = new Uint8Array(PLACES);

  /** The text of `[start, end)`, if it is remembered. */
  find(bytes: Uint8Array, start: number, end: number): string | undefined {
    const length = end - start;
    if (length === 0) return '';
    const place = placeOf(bytes, start, end);
    if (this.#lengths[place] !== length) return undefined;
    const known = this.#bytes;
    for (let i = start, k = place * MAX_BYTES; i < end; i++, k++) if (bytes[i] !== known[k]) return undefined;
    return this.#texts[place];
  }

  keep(bytes: Uint8Array, start: number, end: number, text: string): void {
    const length = end - start;
    if (length === 0 || length > MAX_BYTES) return;
    const place = placeOf(bytes, start, end);
    this.#lengths[place] = length;
    this.#texts[place] = detach(text);
    const known = this.#bytes;
    for (let i = start, k = place * MAX_BYTES; i < end; i++, k++) known[k] = bytes[i]!;
  }
}

function placeOf(bytes: Uint8Array, start: number, end: number): number {
  return (7 * (end - start) + bytes[end - 1]! + 3 * bytes[(start + end) >> 1]! + 5 * bytes[start]!) & (PLACES - 1);
}
