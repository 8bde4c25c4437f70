import type { Clock } from '../../storage/host/clock.ts';
import type { IngesterClient } from '../rpc/ingester.ts';

export interface FollowOptions {
  /** Those that can be reached now, by id; the same client for the same ingester. */
  readonly clients: () => ReadonlyMap<string, IngesterClient>;
  readonly clock: Clock;
  /** Begins to follow one; returns how to end it. `onClosed` is called when that has ended by itself. */
  readonly follow: (client: IngesterClient, onClosed: (error: Error) => void) => () => void;
}

/** How often the ring is looked at for those who came and went. */
const LOOK_MS = 1000;
/** Until one that could not be followed is tried again, twice as long each time. */
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;

interface Followed {
  readonly client: IngesterClient;
  /** Null while it waits to be tried again. */
  stop: (() => void) | null;
  retryAtMs: number;
  retryMs: number;
}

/**
 * Follows every ingester that can be reached, those that come later from then on, and those that broke off again after
 * a while. Returns how to end all of it.
 */
export function followIngesters({ clients, clock, follow }: FollowOptions): () => void {
  const followed = new Map<string, Followed>();
  const ending = new AbortController();
  const begin = (one: Followed): void => {
    const sinceMs = clock.nowMs();
    let isOver = false;
    const stop = follow(one.client, () => {
      isOver = true;
      one.stop = null;
      const now = clock.nowMs();
      if (now - sinceMs > MAX_RETRY_MS) one.retryMs = FIRST_RETRY_MS;
      one.retryAtMs = now + one.retryMs;
      one.retryMs = Math.min(2 * one.retryMs, MAX_RETRY_MS);
    });
    one.stop = isOver ? null : stop;
  };
  const look = (): void => {
    const now = clock.nowMs();
    const gone = new Set(followed.keys());
    for (const [id, client] of clients()) {
      gone.delete(id);
      const known = followed.get(id);
      if (known?.client === client) {
        if (known.stop === null && now >= known.retryAtMs) begin(known);
        continue;
      }
      known?.stop?.();
      const one: Followed = { client, stop: null, retryAtMs: now, retryMs: FIRST_RETRY_MS };
      followed.set(id, one);
      begin(one);
    }
    for (const id of gone) {
      followed.get(id)!.stop?.();
      followed.delete(id);
    }
  };
  const watch = async (): Promise<void> => {
    for (;;) {
      try {
        await clock.sleep(LOOK_MS, ending.signal);
      } catch {
        return; // the tail has ended
      }
      look();
    }
  };
  look();
  void watch();
  return () => {
    ending.abort(new Error('the tail has ended'));
    for (const { stop } of followed.values()) stop?.();
    followed.clear();
  };
}
