import { CompareResult, CompareTarget, type Etcd3, EtcdLeaseInvalidError, type IRequestOp, Range } from 'etcd3';
import { connectionsTo, type EtcdOptions } from './etcd-connections.ts';

export interface EtcdItem {
  readonly key: string;
  readonly value: Buffer;
  /** The change that wrote it. */
  readonly revision: number;
  /** '0': none. */
  readonly lease: string;
}

/** `value` undefined: removed, also with its lease. */
export interface EtcdChange {
  readonly key: string;
  readonly value: Buffer | undefined;
  readonly revision: number;
  readonly lease: string;
}

export type EtcdOperation =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease?: string }
  | { readonly kind: 'delete'; readonly key: string };

/** `revision` of the key; 0: there is none. */
export interface EtcdCondition {
  readonly key: string;
  readonly revision: number;
}

export interface WatchHandlers {
  /** In the order of revisions; what one transaction changed comes together. */
  readonly onChanges: (changes: readonly EtcdChange[], revision: number) => void;
  /** Once, when nothing more will come; not after `close`. */
  readonly onEnd: (error: Error) => void;
}

/** What a membership asks of etcd. Every call ends by its deadline; nothing is tried again here. */
export interface EtcdClient {
  /** Every key that begins with `prefix`, as of `revision`. */
  load(prefix: string, timeoutMs: number): Promise<{ readonly revision: number; readonly items: readonly EtcdItem[] }>;
  /** Changes from `revision` on, this one included. Resolves when etcd has taken the watch. */
  watch(
    prefix: string,
    revision: number,
    handlers: WatchHandlers,
    timeoutMs: number,
  ): Promise<{ readonly close: () => void }>;
  /** Does all operations if all conditions hold, else none. */
  commit(
    conditions: readonly EtcdCondition[],
    operations: readonly EtcdOperation[],
    timeoutMs: number,
  ): Promise<{ readonly isDone: boolean; readonly revision: number }>;
  /** Answers when a majority of etcd's servers is there. */
  probe(key: string, timeoutMs: number): Promise<void>;
  grantLease(ttlSeconds: number, timeoutMs: number): Promise<string>;
  /** False when etcd does not know the lease, or not any more. */
  renewLease(lease: string, timeoutMs: number): Promise<boolean>;
  revokeLease(lease: string, timeoutMs: number): Promise<void>;
  /** Time since the lease was renewed, to the second; undefined when there is none. */
  leaseAgeMs(lease: string, timeoutMs: number): Promise<number | undefined>;
  close(): void;
}

/** Reads the certificates; does not connect yet. One client serves all rings of a process. */
export async function createEtcdClient(options: EtcdOptions): Promise<EtcdClient> {
  return new Etcd3Client(await connectionsTo(options));
}

/**
 * Stays with one server of etcd as long as that answers, and goes on to the next when it does not. Its watches end with
 * it: a server that has lost the others takes calls no more, but keeps its watches open and silent.
 */
class Etcd3Client implements EtcdClient {
  readonly #connections: readonly Etcd3[];
  #current: number;
  readonly #watches = new Set<{ readonly connection: Etcd3; readonly ended: (error: Error) => void }>();

  constructor(connections: readonly Etcd3[]) {
    if (connections.length === 0) throw new Error('no endpoints of etcd');
    this.#connections = connections;
    this.#current = Math.floor(Math.random() * connections.length);
  }

  async load(prefix: string, timeoutMs: number) {
    const { start, end } = Range.prefix(prefix);
    const request = { key: start, range_end: end };
    const found = await this.#ask(timeoutMs, ({ kv }, options) => kv.range(request, options));
    const items = found.kvs.map(({ key, value, mod_revision, lease }) => ({
      key: key.toString(),
      value,
      revision: Number(mod_revision),
      lease,
    }));
    return { revision: Number(found.header.revision), items };
  }

  /**
   * A stream of its own: etcd3's watchers follow by themselves, but begin again at the revision that was current when
   * the last stream began, also when they had not got there.
   */
  async watch(prefix: string, revision: number, handlers: WatchHandlers, timeoutMs: number) {
    const { start, end } = Range.prefix(prefix);
    const connection = this.#connections[this.#current]!;
    const stream = await connection.watchClient.watch();
    const created = Promise.withResolvers<void>();
    let isOpen = true;
    const close = (): void => {
      isOpen = false;
      this.#watches.delete(watch);
      stream.cancel();
    };
    const ended = (error: Error): void => {
      if (!isOpen) return;
      close();
      created.reject(error);
      handlers.onEnd(error);
    };
    const watch = { connection, ended };
    this.#watches.add(watch);
    stream.on('error', ended);
    stream.on('end', () => ended(new Error('etcd ended the watch')));
    stream.on('data', (response) => {
      if (!isOpen) return;
      if (response.canceled) {
        const compacted = response.compact_revision === '0' ? '' : ` (compacted at ${response.compact_revision})`;
        ended(new Error(`etcd cancelled the watch: ${response.cancel_reason || 'no reason given'}${compacted}`));
      } else if (response.created) {
        created.resolve();
      } else if (response.events.length > 0) {
        const changes = response.events.map(({ type, kv }) => ({
          key: kv.key.toString(),
          // Its types say `Delete`, the protocol `DELETE`.
          value: type.toUpperCase() === 'DELETE' ? undefined : kv.value,
          revision: Number(kv.mod_revision),
          lease: kv.lease,
        }));
        handlers.onChanges(changes, Number(response.header.revision));
      }
    });
    const timer = setTimeout(() => ended(new Error('etcd does not take the watch')), timeoutMs);
    stream.write({ create_request: { key: start, range_end: end, start_revision: revision } });
    try {
      await created.promise;
    } finally {
      clearTimeout(timer);
    }
    return { close };
  }

  async commit(conditions: readonly EtcdCondition[], operations: readonly EtcdOperation[], timeoutMs: number) {
    const compare = conditions.map(({ key, revision }) => ({
      target: CompareTarget.Mod,
      result: CompareResult.Equal,
      key: Buffer.from(key),
      mod_revision: revision,
    }));
    const success = operations.map(
      (operation): IRequestOp =>
        operation.kind === 'delete'
          ? { request_delete_range: { key: Buffer.from(operation.key) } }
          : {
              request_put: {
                key: Buffer.from(operation.key),
                value: Buffer.from(operation.value),
                ...(operation.lease !== undefined && { lease: operation.lease }),
              },
            },
    );
    const { succeeded, header } = await this.#ask(timeoutMs, ({ kv }, options) =>
      kv.txn({ compare, success }, options),
    );
    return { isDone: succeeded, revision: Number(header.revision) };
  }

  async probe(key: string, timeoutMs: number): Promise<void> {
    const request = { key: Buffer.from(key), count_only: true };
    await this.#ask(timeoutMs, ({ kv }, options) => kv.range(request, options));
  }

  async grantLease(ttlSeconds: number, timeoutMs: number): Promise<string> {
    const request = { TTL: ttlSeconds };
    return (await this.#ask(timeoutMs, ({ leaseClient }, options) => leaseClient.leaseGrant(request, options))).ID;
  }

  async renewLease(lease: string, timeoutMs: number): Promise<boolean> {
    return this.#ask(timeoutMs, async ({ leaseClient }, options) => {
      const stream = await leaseClient.leaseKeepAlive(options);
      return new Promise((resolve, reject) => {
        stream.on('error', reject);
        stream.on('end', () => reject(new Error('etcd did not renew the lease')));
        stream.on('data', ({ TTL }) => {
          resolve(TTL !== '0');
          stream.end();
        });
        stream.write({ ID: lease });
      });
    });
  }

  async revokeLease(lease: string, timeoutMs: number): Promise<void> {
    try {
      await this.#ask(timeoutMs, ({ leaseClient }, options) => leaseClient.leaseRevoke({ ID: lease }, options));
    } catch (error: unknown) {
      if (!(error instanceof EtcdLeaseInvalidError)) throw error; // gone is what was wanted
    }
  }

  async leaseAgeMs(lease: string, timeoutMs: number): Promise<number | undefined> {
    const { TTL, grantedTTL } = await this.#ask(timeoutMs, ({ leaseClient }, options) =>
      leaseClient.leaseTimeToLive({ ID: lease }, options),
    );
    return Number(TTL) < 0 ? undefined : (Number(grantedTTL) - Number(TTL)) * 1000;
  }

  close(): void {
    for (const { ended } of [...this.#watches]) ended(new Error('the client of etcd is closed'));
    for (const connection of this.#connections) connection.close();
  }

  /** Every server gets its part of the time. Which of the errors would be the same elsewhere is not worth to know. */
  async #ask<T>(
    timeoutMs: number,
    call: (connection: Etcd3, options: { readonly deadline: number }) => Promise<T>,
  ): Promise<T> {
    const partMs = timeoutMs / this.#connections.length;
    for (let tries = 1; ; tries++) {
      const asked = this.#current;
      const connection = this.#connections[asked]!;
      try {
        return await call(connection, { deadline: Date.now() + partMs });
      } catch (error: unknown) {
        if (error instanceof EtcdLeaseInvalidError) throw error;
        if (this.#current === asked) this.#leave(connection, error);
        if (tries === this.#connections.length) throw error;
      }
    }
  }

  #leave(connection: Etcd3, cause: unknown): void {
    if (this.#connections.length === 1) return;
    this.#current = (this.#current + 1) % this.#connections.length;
    for (const watch of [...this.#watches]) {
      if (watch.connection === connection)
        watch.ended(new Error('the server of this watch does not answer', { cause }));
    }
  }
}
