/**
 * Keeps the k best of values that come one after the other, in the way in which Loki (Go's `container/heap`) does: an
 * equal value never displaces one that is there, and which of equal ones has to go is decided by the shape of the heap.
 * So with series in order of labels, the same ones stay of a tie.
 */
export class BestK {
  readonly #k: number;
  readonly #largest: boolean;
  readonly #values: number[] = [];
  readonly #items: number[] = [];

  /** `largest`: as topk, else as bottomk. */
  constructor(k: number, largest: boolean) {
    this.#k = k;
    this.#largest = largest;
  }

  /** What was kept, in no particular order. */
  get items(): readonly number[] {
    return this.#items;
  }

  /** The worst that was kept, once there are k; NaN before, and when it is NaN. */
  get worst(): number {
    return this.#items.length === this.#k && this.#k > 0 ? this.#values[0]! : Number.NaN;
  }

  add(item: number, value: number): void {
    if (this.#k < 1) return;
    if (this.#items.length === this.#k) {
      const worst = this.#values[0]!;
      if (!(Number.isNaN(worst) || (this.#largest ? worst < value : worst > value))) return;
      this.#dropWorst();
    }
    this.#items.push(item);
    this.#values.push(value);
    this.#up(this.#items.length - 1);
  }

  /** NaN is the worst of all. */
  #worse(i: number, j: number): boolean {
    const a = this.#values[i]!;
    const b = this.#values[j]!;
    return Number.isNaN(a) || (this.#largest ? a < b : a > b);
  }

  #dropWorst(): void {
    const last = this.#items.length - 1;
    this.#swap(0, last);
    this.#items.pop();
    this.#values.pop();
    let i = 0;
    for (;;) {
      const left = 2 * i + 1;
      if (left >= last) return;
      const right = left + 1;
      const child = right < last && this.#worse(right, left) ? right : left;
      if (!this.#worse(child, i)) return;
      this.#swap(i, child);
      i = child;
    }
  }

  #up(j: number): void {
    while (j > 0) {
      const parent = (j - 1) >> 1;
      if (!this.#worse(j, parent)) return;
      this.#swap(parent, j);
      j = parent;
    }
  }

  #swap(i: number, j: number): void {
    const value = this.#values[i]!;
    this.#values[i] = this.#values[j]!;
    this.#values[j] = value;
    const item = this.#items[i]!;
    this.#items[i] = this.#items[j]!;
    this.#items[j] = item;
  }
}
