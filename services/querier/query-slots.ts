/** A tenant has as many queries under way as it may (`max_outstanding_per_tenant`): 429. */
export class TooManyOutstandingError extends Error {
  readonly code = 'too_many_outstanding';
  constructor() {
    super('too many outstanding requests');
  }
}

/** Counts queries under way, those that wait for a worker included, so that what waits is bounded. */
export class QuerySlots {
  readonly #maxPerOwner: number;
  readonly #taken = new Map<string, number>();
  #total = 0;

  constructor(maxPerOwner: number) {
    this.#maxPerOwner = maxPerOwner;
  }

  get inProgress(): number {
    return this.#total;
  }

  /** Takes a slot until it is disposed of. Throws TooManyOutstandingError. */
  take(owner: string): Disposable {
    const taken = this.#taken.get(owner) ?? 0;
    if (taken >= this.#maxPerOwner) throw new TooManyOutstandingError();
    this.#taken.set(owner, taken + 1);
    this.#total++;
    let isTaken = true;
    return {
      [Symbol.dispose]: () => {
        if (!isTaken) return;
        isTaken = false;
        this.#total--;
        const left = this.#taken.get(owner)! - 1;
        if (left > 0) this.#taken.set(owner, left);
        else this.#taken.delete(owner);
      },
    };
  }
}
