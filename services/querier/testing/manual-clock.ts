import type { Clock } from '../../../storage/host/clock.ts';

interface Sleeper {
  atMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #ms: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(ms = Date.UTC(2026, 2, 1, 12)) {
    this.#ms = ms;
  }

  nowMs(): number {
    return this.#ms;
  }

  nowNs(): bigint {
    return BigInt(this.#ms) * 1_000_000n;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const sleeper = { atMs: this.#ms + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      signal?.addEventListener(
        'abort',
        () => {
          this.#sleepers.delete(sleeper);
          reject(signal.reason as Error);
        },
        { once: true },
      );
    });
  }

  /** How many wait for the time to pass. */
  get sleepers(): number {
    return this.#sleepers.size;
  }

  /** Somebody corrects it; who sleeps sleeps no longer for that. */
  putBack(ms: number): void {
    this.#ms -= ms;
    for (const sleeper of this.#sleepers) sleeper.atMs -= ms;
  }

  /** Lets time pass, and everything happen that waited for it. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#ms + ms;
    for (;;) {
      const next = [...this.#sleepers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#sleepers.delete(next);
      this.#ms = Math.max(this.#ms, next.atMs);
      next.wake();
      await settled();
    }
    this.#ms = endMs;
    await settled();
  }
}

/** Everything that waits for nothing but promises has happened. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
