import { systemClock } from '../../storage/host/clock.ts';
import { RpcError } from './rpc-error.ts';

export interface PushQueueOptions {
  /** For error texts. */
  readonly name: string;
  /** A push that takes longer has failed. */
  readonly timeoutMs: number;
  /** Of one call; a batch that is larger goes in a call by itself. */
  readonly maxCallBytes: number;
  /** Of batches that wait or are on their way; beyond it pushes fail at once. */
  readonly maxBytes: number;
  /**
   * Sends batches in one call and resolves with what became of each: null when it was stored. It may look at them until it
   * returns. `deadlineMs`: since 1970.
   */
  readonly call: (batches: readonly Uint8Array[], deadlineMs: number) => Promise<readonly (Error | null)[]>;
}

interface Waiting {
  readonly batch: Uint8Array;
  readonly deadlineMs: number;
  settle(error: Error | null): void;
}

/** From here on a call costs little more than its bytes: about 0.5 ms of CPU on each side is its own. */
const WORTH_A_CALL_BYTES = 512 * 1024;

/**
 * Pushes to one ingester. While a call is under way, small batches gather and go in one: the more there are, the less each
 * costs. What is worth a call does not wait.
 */
export class PushQueue {
  readonly #o: PushQueueOptions;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #calls = 0;
  #bytes = 0;
  #idle: PromiseWithResolvers<void> | null = null;

  constructor(options: PushQueueOptions) {
    this.#o = options;
  }

  /** Of batches that wait or are on their way. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves when no call is under way, and nothing waits for one. */
  async idle(): Promise<void> {
    if (this.#calls === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  /** `batch` is the caller's again once this has settled. */
  async push(batch: Uint8Array, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { name, timeoutMs, maxBytes } = this.#o;
    if (this.#bytes > 0 && this.#bytes + batch.length > maxBytes) {
      throw new RpcError('resource_exhausted', `${this.#bytes} bytes wait for ${name}, which is too slow`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const settle = (error: Error | null): void => (error === null ? resolve() : reject(error));
    const own: Waiting = { batch, deadlineMs: systemClock.nowMs() + timeoutMs, settle };
    const onAbort = (): void => {
      const place = this.#waiting.indexOf(own);
      if (place >= 0) this.#take(place, 1);
      reject(signal!.reason as Error);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#bytes += batch.length;
    this.#waiting.push(own);
    this.#waitingBytes += batch.length;
    try {
      if (this.#calls === 0 || this.#waitingBytes >= WORTH_A_CALL_BYTES) this.#send();
      await promise;
    } finally {
      this.#bytes -= batch.length;
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #take(start: number, count: number): Waiting[] {
    const taken = this.#waiting.splice(start, count);
    for (const { batch } of taken) this.#waitingBytes -= batch.length;
    return taken;
  }

  /** Sends what waits, in as many calls as it takes. */
  #send(): void {
    while (this.#waiting.length > 0) {
      let count = 0;
      for (let bytes = 0; count < this.#waiting.length; count++) {
        bytes += this.#waiting[count]!.batch.length;
        if (count > 0 && bytes > this.#o.maxCallBytes) break;
      }
      void this.#sendTogether(this.#take(0, count));
    }
  }

  async #sendTogether(sent: readonly Waiting[]): Promise<void> {
    this.#calls++;
    let failure: Error | null = null;
    try {
      const batches = sent.map(({ batch }) => batch);
      const answers = await this.#o.call(batches, sent[0]!.deadlineMs);
      sent.forEach(({ settle }, i) => {
        settle(answers[i] ?? null);
      });
    } catch (error: unknown) {
      failure = error as Error;
      for (const { settle } of sent) settle(failure);
    }
    this.#calls--;
    // Who waited behind a call that came to nothing has waited long enough.
    if (failure instanceof RpcError && (failure.code === 'deadline_exceeded' || failure.code === 'unavailable')) {
      for (const { settle } of this.#take(0, this.#waiting.length)) settle(failure);
    } else if (this.#calls === 0) this.#send();
    if (this.#calls > 0) return;
    this.#idle?.resolve();
    this.#idle = null;
  }
}
