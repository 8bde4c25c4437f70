/** An object store that fails where a test says, and does as the store below it everywhere else. */
import type { ByteRange, ObjectEntry, ObjectStore } from '../../storage/objectstore/index.ts';

export type StoreOperation = 'put' | 'get' | 'list' | 'delete' | 'head';

export interface Fault {
  readonly operation: StoreOperation;
  /** Keys (for a listing: prefixes) that it is about; every one when left out. */
  readonly key?: RegExp;
  /** The first matching call that it strikes, from 1; 1 when left out. */
  readonly nth?: number;
  /** How many matching calls in a row it strikes; 1 when left out. */
  readonly times?: number;
  readonly effect: FaultEffect;
}

export type FaultEffect =
  /** The call fails and has done nothing. */
  | { readonly kind: 'error'; readonly error: Error }
  /** The call is done and fails all the same: its answer was lost. */
  | { readonly kind: 'error_after'; readonly error: Error }
  /** The call waits for the promise: a test holds it back as long as it wants. */
  | { readonly kind: 'delay'; readonly until: Promise<void> }
  /** A get answers, and a put stores, the first `bytes` bytes alone. */
  | { readonly kind: 'cut'; readonly bytes: number };

export class FaultyStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #faults: { readonly fault: Fault; calls: number }[] = [];
  readonly #struck: { operation: StoreOperation; key: string }[] = [];

  constructor(store: ObjectStore, faults: readonly Fault[] = []) {
    this.#store = store;
    for (const fault of faults) this.addFault(fault);
  }

  /** Calls are counted from now on. */
  addFault(fault: Fault): void {
    this.#faults.push({ fault, calls: 0 });
  }

  clearFaults(): void {
    this.#faults.length = 0;
  }

  /** The calls that a fault struck, in order. */
  get struck(): readonly { readonly operation: StoreOperation; readonly key: string }[] {
    return this.#struck;
  }

  put(key: string, pieces: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
    return this.#run('put', key, (effect) => {
      const stored = effect?.kind === 'cut' ? [Buffer.concat(pieces).subarray(0, effect.bytes)] : pieces;
      return this.#store.put(key, stored, signal);
    });
  }

  get(key: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#run('get', key, async (effect) => {
      const bytes = await this.#store.get(key, range, signal);
      return effect?.kind === 'cut' ? bytes.subarray(0, effect.bytes) : bytes;
    });
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectEntry> {
    const entries = await this.#run('list', prefix, async () => {
      const all: ObjectEntry[] = [];
      for await (const entry of this.#store.list(prefix, signal)) all.push(entry);
      return all;
    });
    yield* entries;
  }

  delete(key: string, signal?: AbortSignal): Promise<void> {
    return this.#run('delete', key, () => this.#store.delete(key, signal));
  }

  head(key: string, signal?: AbortSignal): Promise<ObjectEntry> {
    return this.#run('head', key, () => this.#store.head(key, signal));
  }

  close(): void {
    this.#store.close();
  }

  async #run<T>(operation: StoreOperation, key: string, call: (effect: FaultEffect | null) => Promise<T>): Promise<T> {
    const effect = this.#strike(operation, key);
    if (effect?.kind === 'error') throw effect.error;
    if (effect?.kind === 'delay') await effect.until;
    const answer = await call(effect);
    if (effect?.kind === 'error_after') throw effect.error;
    return answer;
  }

  /** Every fault counts the call; the first one due strikes it. */
  #strike(operation: StoreOperation, key: string): FaultEffect | null {
    let effect: FaultEffect | null = null;
    for (const entry of this.#faults) {
      const { fault } = entry;
      if (fault.operation !== operation || (fault.key && !fault.key.test(key))) continue;
      entry.calls++;
      const first = fault.nth ?? 1;
      if (effect === null && entry.calls >= first && entry.calls < first + (fault.times ?? 1)) effect = fault.effect;
    }
    if (effect) this.#struck.push({ operation, key });
    return effect;
  }
}
