import { TooManyOutstandingError } from '../querier/query-slots.ts';

interface Waiting<T> {
  readonly item: T;
  readonly sinceMs: number;
  isGone: boolean;
}

/** A tenant's items, first in, first out. Those that were taken back stay until they come to the front. */
interface Line<T> {
  items: Waiting<T>[];
  next: number;
  length: number;
}

/** What has left the queue, and how long it was in it. */
export interface Dequeued<T> {
  readonly item: T;
  readonly waitedMs: number;
}

/** Requests that wait for a querier: a line a tenant, tenants by turns, so that none waits for all of another's. */
export class RequestQueue<T> {
  readonly #maxPerTenant: number;
  readonly #nowMs: () => number;
  /** Tenants with a line, in the order of their turns. */
  readonly #lines = new Map<string, Line<T>>();
  #length = 0;

  /** `maxPerTenant`: `frontend.max_outstanding_per_tenant`. */
  constructor(maxPerTenant: number, nowMs: () => number = () => performance.now()) {
    this.#maxPerTenant = maxPerTenant;
    this.#nowMs = nowMs;
  }

  get length(): number {
    return this.#length;
  }

  lengthOf(tenant: string): number {
    return this.#lines.get(tenant)?.length ?? 0;
  }

  /** Returns how to take it back, which does nothing once it has left the queue. Throws TooManyOutstandingError. */
  add(tenant: string, item: T): () => void {
    let line = this.#lines.get(tenant);
    if (line !== undefined && line.length >= this.#maxPerTenant) throw new TooManyOutstandingError();
    if (line === undefined) this.#lines.set(tenant, (line = { items: [], next: 0, length: 0 }));
    const waiting: Waiting<T> = { item, sinceMs: this.#nowMs(), isGone: false };
    line.items.push(waiting);
    line.length++;
    this.#length++;
    return () => {
      if (waiting.isGone) return;
      this.#left(tenant, line, waiting);
    };
  }

  /** The next item of the tenant whose turn it is; null when nothing waits. */
  take(): Dequeued<T> | null {
    for (const [tenant, line] of this.#lines) {
      const waiting = nextOf(line);
      this.#left(tenant, line, waiting);
      // To the end of the turns.
      if (this.#lines.delete(tenant)) this.#lines.set(tenant, line);
      return { item: waiting.item, waitedMs: this.#nowMs() - waiting.sinceMs };
    }
    return null;
  }

  #left(tenant: string, line: Line<T>, waiting: Waiting<T>): void {
    waiting.isGone = true;
    line.length--;
    this.#length--;
    if (line.length === 0) this.#lines.delete(tenant);
  }
}

/** The first item that is still there; the line has one. */
function nextOf<T>(line: Line<T>): Waiting<T> {
  for (;;) {
    const waiting = line.items[line.next++]!;
    if (line.next > 32 && line.next * 2 > line.items.length) {
      line.items = line.items.slice(line.next);
      line.next = 0;
    }
    if (!waiting.isGone) return waiting;
  }
}
