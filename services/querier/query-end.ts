/** A query took longer than `query_timeout`: 504. */
export class QueryTimeoutError extends Error {
  readonly code = 'query_timeout';
  constructor() {
    super(
      'request timed out, decrease the duration of the request or add more label matchers (prefer exact match over ' +
        'regex match) to reduce the amount of data processed',
    );
  }
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/** Ends a query when its client is gone or its time is over. To be disposed of once there is an answer. */
export class QueryEnd implements Disposable {
  readonly #ending = new AbortController();
  readonly #client: AbortSignal;
  readonly #onGone = () => this.#ending.abort(this.#client.reason);
  readonly #timer: NodeJS.Timeout | undefined;

  /** `timeoutMs`: 0 for no bound. */
  constructor(timeoutMs: number, client: AbortSignal) {
    this.#client = client;
    // Not AbortSignal.timeout: that would keep all of a query until its time is over, long after its answer.
    if (timeoutMs > 0) {
      const onTime = () => this.#ending.abort(new QueryTimeoutError());
      this.#timer = setTimeout(onTime, Math.min(timeoutMs, MAX_TIMER_MS));
    }
    client.addEventListener('abort', this.#onGone, { once: true });
    if (client.aborted) this.#onGone();
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** From now on it may take any time. */
  stopClock(): void {
    clearTimeout(this.#timer);
  }

  /** What is still under way for the query is given up. */
  [Symbol.dispose](): void {
    this.stopClock();
    this.#client.removeEventListener('abort', this.#onGone);
    this.#ending.abort(new Error('the query has ended'));
  }
}
