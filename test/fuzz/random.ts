/** A small generator of random numbers (xorshift128), the same ones for the same seed and input number. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number, input: number) {
    this.#a = (seed ^ 0x9e3779b9) | 0;
    this.#b = (input ^ 0x243f6a88) | 0;
    this.#c = Math.imul(input + 1, 0x85ebca6b) | 0;
    this.#d = Math.imul(seed + 1, 0xc2b2ae35) | 1;
    for (let i = 0; i < 8; i++) this.next();
  }

  /** 32 random bits. */
  next(): number {
    const t = this.#a ^ (this.#a << 11);
    this.#a = this.#b;
    this.#b = this.#c;
    this.#c = this.#d;
    this.#d = this.#d ^ (this.#d >>> 19) ^ t ^ (t >>> 8);
    return this.#d >>> 0;
  }

  /** A whole number, `0 <= n < bound`. */
  below(bound: number): number {
    return this.next() % bound;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}
