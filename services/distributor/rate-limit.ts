import type { Clock } from '../../storage/host/clock.ts';

interface Bucket {
  tokens: number;
  atMs: number;
}

/** A token bucket per tenant: `burst` tokens at most, `rate` of them come back each second. All or nothing. */
export class RateLimiter {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes `amount`, or nothing and answers false. Rate and burst are asked each time, as they may have changed. */
  take(tenant: string, amount: number, rate: number, burst: number): boolean {
    const nowMs = this.#clock.nowMs();
    let bucket = this.#buckets.get(tenant);
    if (bucket === undefined) {
      bucket = { tokens: burst, atMs: nowMs };
      this.#buckets.set(tenant, bucket);
    }
    const elapsedSeconds = Math.max(0, nowMs - bucket.atMs) / 1000;
    bucket.tokens = Math.min(burst, bucket.tokens + elapsedSeconds * rate);
    bucket.atMs = nowMs;
    if (amount > bucket.tokens) return false;
    bucket.tokens -= amount;
    return true;
  }
}
