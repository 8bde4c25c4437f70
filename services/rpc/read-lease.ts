/**
 * How long somebody looks at memory that its owner wants to use again: from the answer until `end`. Shared memory that is
 * left to the garbage collector instead piles up, since V8 does not count it.
 */
export class ReadLease {
  #ends: (() => void)[] = [];
  #isEnded = false;

  /** `letGo` is called once, when nobody looks any more; at once when that is so already. */
  onEnd(letGo: () => void): void {
    if (this.#isEnded) letGo();
    else this.#ends.push(letGo);
  }

  end(): void {
    this.#isEnded = true;
    const ends = this.#ends;
    this.#ends = [];
    for (const letGo of ends) letGo();
  }

  [Symbol.dispose](): void {
    this.end();
  }
}
