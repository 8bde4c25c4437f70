import type { Clock } from '../../../storage/host/clock.ts';
import type { EtcdChange, EtcdClient, EtcdCondition, EtcdItem, EtcdOperation, WatchHandlers } from '../etcd-client.ts';

interface Lease {
  readonly ttlMs: number;
  renewedAtMs: number;
}

/** etcd as far as a ring uses it: revisions, transactions, watches, and leases that end by a clock. */
export class FakeEtcd implements EtcdClient {
  readonly #clock: Clock;
  readonly #items = new Map<string, EtcdItem>();
  readonly #leases = new Map<string, Lease>();
  readonly #watches = new Set<{ readonly prefix: string; readonly handlers: WatchHandlers }>();
  #revision = 1;
  #leaseCount = 0;
  #state: 'up' | 'down' | 'frozen' = 'up';
  /** Commits that are done although their answer gets lost. */
  lostAnswers = 0;
  commits = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  keys(): string[] {
    this.expire();
    return [...this.#items.keys()].sort();
  }

  /** Ends connections, and refuses all until `goUp`. */
  goDown(): void {
    this.#state = 'down';
    for (const { handlers } of [...this.#watches]) handlers.onEnd(new Error('14 UNAVAILABLE'));
    this.#watches.clear();
  }

  /** No answers and no watch events, as when its process is stopped. */
  freeze(): void {
    this.#state = 'frozen';
  }

  /** `renews`: a new leader gives all leases their whole time again. */
  goUp({ renews = false } = {}): void {
    this.#state = 'up';
    if (renews) for (const lease of this.#leases.values()) lease.renewedAtMs = this.#clock.nowMs();
    this.expire();
  }

  /** Its data are gone. */
  wipe(): void {
    this.#items.clear();
    this.#leases.clear();
    this.#revision = 1;
  }

  /** Ends all watches, as a compaction does with those that are behind. */
  cancelWatches(): void {
    const watches = [...this.#watches];
    this.#watches.clear();
    for (const { handlers } of watches) handlers.onEnd(new Error('mvcc: required revision has been compacted'));
  }

  /** Changes what no watch tells. */
  silently(change: () => void): void {
    const watches = [...this.#watches];
    this.#watches.clear();
    change();
    for (const watch of watches) this.#watches.add(watch);
  }

  put(key: string, value: string, lease = '0'): void {
    this.#change([{ kind: 'put', key, value, lease }]);
  }

  delete(key: string): void {
    this.#change([{ kind: 'delete', key }]);
  }

  /** Removes what hangs on leases that have ended; etcd does that by itself. */
  expire(): void {
    if (this.#state !== 'up') return;
    for (const [id, { renewedAtMs, ttlMs }] of this.#leases) {
      if (this.#clock.nowMs() - renewedAtMs >= ttlMs) this.#endLease(id);
    }
  }

  /** Ends all leases before their time. */
  endLeases(): void {
    for (const id of [...this.#leases.keys()]) this.#endLease(id);
  }

  async load(prefix: string) {
    await this.#reached();
    const items = [...this.#items.values()].filter(({ key }) => key.startsWith(prefix));
    return { revision: this.#revision, items };
  }

  async watch(prefix: string, revision: number, handlers: WatchHandlers) {
    await this.#reached();
    if (revision <= this.#revision) throw new Error('the fake keeps no history');
    const watch = { prefix, handlers };
    this.#watches.add(watch);
    return { close: () => void this.#watches.delete(watch) };
  }

  async commit(conditions: readonly EtcdCondition[], operations: readonly EtcdOperation[]) {
    await this.#reached();
    const isDone = conditions.every(({ key, revision }) => (this.#items.get(key)?.revision ?? 0) === revision);
    for (const operation of operations) {
      if (operation.kind === 'put' && operation.lease !== undefined && !this.#leases.has(operation.lease)) {
        throw new Error('etcdserver: requested lease not found');
      }
    }
    this.commits++;
    if (isDone) this.#change(operations);
    if (this.lostAnswers > 0) {
      this.lostAnswers--;
      throw new Error('4 DEADLINE_EXCEEDED');
    }
    return { isDone, revision: this.#revision };
  }

  async probe(): Promise<void> {
    await this.#reached();
  }

  async grantLease(ttlSeconds: number): Promise<string> {
    await this.#reached();
    const id = String(++this.#leaseCount);
    this.#leases.set(id, { ttlMs: ttlSeconds * 1000, renewedAtMs: this.#clock.nowMs() });
    return id;
  }

  async renewLease(id: string): Promise<boolean> {
    await this.#reached();
    const lease = this.#leases.get(id);
    if (lease !== undefined) lease.renewedAtMs = this.#clock.nowMs();
    return lease !== undefined;
  }

  async revokeLease(id: string): Promise<void> {
    await this.#reached();
    this.#endLease(id);
  }

  async leaseAgeMs(id: string): Promise<number | undefined> {
    await this.#reached();
    const lease = this.#leases.get(id);
    return lease && this.#clock.nowMs() - lease.renewedAtMs;
  }

  close(): void {
    this.goDown();
  }

  async #reached(): Promise<void> {
    await Promise.resolve();
    if (this.#state === 'down') throw new Error('14 UNAVAILABLE: connect ECONNREFUSED');
    if (this.#state === 'frozen') throw new Error('4 DEADLINE_EXCEEDED');
    this.expire();
  }

  #endLease(id: string): void {
    this.#leases.delete(id);
    const keys = [...this.#items.values()].filter(({ lease }) => lease === id).map(({ key }) => key);
    if (keys.length > 0) this.#change(keys.map((key) => ({ kind: 'delete', key })));
  }

  #change(operations: readonly EtcdOperation[]): void {
    const revision = this.#revision + 1;
    const changes: EtcdChange[] = [];
    for (const operation of operations) {
      const { key } = operation;
      if (operation.kind === 'put') {
        const item = { key, value: Buffer.from(operation.value), revision, lease: operation.lease ?? '0' };
        this.#items.set(key, item);
        changes.push(item);
      } else if (this.#items.delete(key)) {
        changes.push({ key, value: undefined, revision, lease: '0' });
      }
    }
    if (changes.length === 0) return;
    this.#revision = revision;
    for (const { prefix, handlers } of [...this.#watches]) {
      const seen = changes.filter(({ key }) => key.startsWith(prefix));
      if (seen.length > 0) handlers.onChanges(seen, revision);
    }
  }
}
