const PAUSE_MS = 10 * 60_000;

/**
 * Stops looking for patterns in lines that have none: when more than a share of the lines pushed another pattern out,
 * nothing is looked at for ten minutes.
 */
export class EvictionLimiter {
  readonly #maxRatio: number;
  #lines = 0;
  #evictions = 0;
  #pausedUntilMs = 0;

  constructor(maxRatio: number) {
    this.#maxRatio = maxRatio;
  }

  allow(nowMs: number): boolean {
    if (this.#pausedUntilMs > 0) {
      if (nowMs < this.#pausedUntilMs) return false;
      this.#lines = 0;
      this.#evictions = 0;
      this.#pausedUntilMs = 0;
    }
    if (this.#lines > 0 && this.#evictions / this.#lines > this.#maxRatio) {
      this.#pausedUntilMs = nowMs + PAUSE_MS;
      return false;
    }
    this.#lines++;
    return true;
  }

  evicted(): void {
    this.#evictions++;
  }
}
