import { PushError } from './push-error.ts';

/** A share of the bytes in flight; give it back with `using` or `release()`. */
export interface Admission extends Disposable {
  /** Takes `bytes` more, as when a body turns out larger once decompressed. Throws PushError 503 when there is no room. */
  grow(bytes: number): void;
  release(): void;
}

/**
 * Bounds the memory that pushes take at one time. A push that finds no room is turned away with 503, which clients send
 * again; alone, any push may pass, whatever its size.
 */
export class InflightBytes {
  readonly #limit: number;
  readonly #onShed: () => void;
  #total = 0;

  constructor(limitBytes: number, onShed: () => void) {
    this.#limit = limitBytes;
    this.#onShed = onShed;
  }

  get total(): number {
    return this.#total;
  }

  admit(bytes: number): Admission {
    let own = 0;
    const grow = (more: number): void => {
      if (this.#total > own && this.#total + more > this.#limit) {
        this.#onShed();
        throw new PushError(
          503,
          `too many bytes of pushes in flight (${this.#total} of ${this.#limit}), this push needs ${own + more}`,
        );
      }
      own += more;
      this.#total += more;
    };
    const release = (): void => {
      this.#total -= own;
      own = 0;
    };
    grow(bytes);
    return { grow, release, [Symbol.dispose]: release };
  }
}
