export interface BucketRules {
  /** Refill, bytes a second. */
  readonly rateBytes: number;
  /** What a full bucket holds, and the most that one call can take. */
  readonly burstBytes: number;
  readonly nowMs: number;
}

/** Tokens that refill with time. Rate and burst are given each time, since limits change while running. */
export class TokenBucket {
  #tokens = Number.POSITIVE_INFINITY; // full, whatever the burst
  #atMs = 0;

  /** Takes `bytes` tokens when there are enough, else none. */
  allow(bytes: number, { rateBytes, burstBytes, nowMs }: BucketRules): boolean {
    // The clock was set back: tokens come again from there, not from the time that it showed before.
    if (nowMs < this.#atMs) this.#atMs = nowMs;
    const elapsedMs = nowMs - this.#atMs;
    const tokens = Math.min(burstBytes, this.#tokens + (elapsedMs / 1000) * rateBytes);
    if (bytes > tokens) return false;
    this.#tokens = tokens - bytes;
    this.#atMs = nowMs;
    return true;
  }
}
