/** Whole numbers in a row that grows: a quarter of what an array of them takes once it has grown. */
export class IntList {
  length = 0;
  #numbers = new Int32Array(64);

  push(number: number): void {
    if (this.length === this.#numbers.length) {
      const numbers = new Int32Array(2 * this.length);
      numbers.set(this.#numbers);
      this.#numbers = numbers;
    }
    this.#numbers[this.length++] = number;
  }

  /** Of a place below `length`. */
  at(place: number): number {
    return this.#numbers[place]!;
  }
}
