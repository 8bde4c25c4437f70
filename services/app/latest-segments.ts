import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { ObjectStoreError } from '../../storage/objectstore/index.ts';

export interface LatestSegmentsOptions {
  /** Lists the object store. Throws ObjectStoreError. */
  readonly list: (signal: AbortSignal) => Promise<void>;
  /** What was listed is named to others. */
  readonly name: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A start does not wait longer for a store that is slow or away. */
const FIRST_LISTING_MS = 10_000;
const RETRY_MS = 5_000;

/**
 * What an ingester that starts must learn from the object store before it may answer: others are to hear from it what was
 * stored right before it started. Pushes need nothing of this, so it can start while the store is away.
 */
export class LatestSegments {
  readonly #o: LatestSegmentsOptions;
  readonly #ending = new AbortController();
  #isNamed = false;
  #trying: Promise<void> = Promise.resolve();

  constructor(options: LatestSegmentsOptions) {
    this.#o = options;
  }

  /** Until then the ingester must not answer. */
  get isNamed(): boolean {
    return this.#isNamed;
  }

  /**
   * Resolves once they are named, or once it is clear that the store is away; then it is asked again and again. Throws
   * ObjectStoreError for what does not pass by itself: wrong credentials, no such bucket.
   */
  async start(): Promise<void> {
    const { clock, logger } = this.#o;
    const first = this.#try();
    const waiting = new AbortController();
    const patience = clock.sleep(FIRST_LISTING_MS, AbortSignal.any([waiting.signal, this.#ending.signal]));
    try {
      await Promise.race([first, patience]);
      if (this.#isNamed) return;
      logger.warn('the object store is slow to be listed: rows are taken, queries must wait');
    } catch (error: unknown) {
      if (error instanceof ObjectStoreError && (error.code === 'denied' || error.code === 'invalid')) throw error;
      logger.error('the object store cannot be listed: rows are taken, queries must wait', { err: error });
    } finally {
      waiting.abort(new Error('no need to wait'));
    }
    this.#trying = this.#tryAgain(first);
  }

  async stop(): Promise<void> {
    this.#ending.abort(new Error('the ingester has stopped'));
    await this.#trying;
  }

  async #try(): Promise<void> {
    await this.#o.list(this.#ending.signal);
    this.#o.name();
    this.#isNamed = true;
  }

  async #tryAgain(first: Promise<void>): Promise<void> {
    const { clock, logger } = this.#o;
    const { signal } = this.#ending;
    for (let attempt = first; ; attempt = this.#try()) {
      try {
        await attempt;
        logger.info('the object store has been listed; queries are answered');
        return;
      } catch (error: unknown) {
        if (signal.aborted) return;
        logger.debug('the object store cannot be listed', { err: error });
      }
      try {
        await clock.sleep(RETRY_MS, signal);
      } catch {
        return; // stopped
      }
    }
  }
}
