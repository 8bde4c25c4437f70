import { Gauge, type Registry } from 'prom-client';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { channelSecurity, type GrpcClientTls } from './grpc-client-tls.ts';
import { type RemoteHealth, RemoteIngester, type RemoteIngesterSettings } from './remote-ingester.ts';

export type { GrpcClientTls };

export interface IngesterPoolOptions {
  /** Members whose connections are kept: all that the ring knows, whatever their state. */
  readonly members: () => Iterable<{ readonly id: string; readonly address: string }>;
  /** Plain text when absent. */
  readonly tls?: GrpcClientTls;
  /** Of each client. */
  readonly settings?: RemoteIngesterSettings;
  /** `ingester_client.pool_config.health_check_ingesters`; true by default. */
  readonly healthCheck?: boolean;
  /** `ingester_client.pool_config.client_cleanup_period`: also that of health checks. 15 s by default. */
  readonly periodMs?: number;
  /** `ingester_client.pool_config.remote_timeout`: time for an answer about health. 1 s by default. */
  readonly healthTimeoutMs?: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** After an ingester gave no answer, and until it gives one again. */
const RETRY_MS = 1000;

interface Entry {
  readonly client: RemoteIngester;
  readonly gone: AbortController;
  health: RemoteHealth;
}

/**
 * Clients of the ingesters of other processes, made when they are first asked for. Every period those of members that
 * left are closed, and the others are asked for their health: who gives no answer twice in a row is not called until he
 * does.
 */
export class IngesterPool {
  readonly #options: IngesterPoolOptions;
  readonly #periodMs: number;
  readonly #entries = new Map<string, Entry>();
  readonly #stopping = new AbortController();
  #tls: GrpcClientTls | undefined;
  #sweeping: Promise<void> = Promise.resolve();

  /** Throws when `tls` cannot be used. */
  constructor(options: IngesterPoolOptions) {
    this.#options = options;
    this.#periodMs = options.periodMs ?? 15_000;
    this.#tls = options.tls;
    channelSecurity(options.tls, ''); // what is wrong with it must be told now, not at the first push
    const entries = this.#entries;
    new Gauge({
      name: 'loki_distributor_ingester_clients',
      help: 'Connections to ingesters that are kept.',
      registers: [options.registry],
      collect() {
        this.set(entries.size);
      },
    });
  }

  /** Addresses with a client. */
  get addresses(): string[] {
    return [...this.#entries.values()].map(({ client }) => client.address);
  }

  start(): void {
    this.#sweeping = this.#every(() => this.sweep());
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the pool stops'));
    await this.#sweeping;
    for (const entry of this.#entries.values()) this.#drop(entry);
  }

  /** `address`: `host:port`. */
  client(id: string, address: string): RemoteIngester {
    const key = keyOf(id, address);
    const known = this.#entries.get(key);
    if (known !== undefined) return known.client;
    const client = new RemoteIngester({
      ...this.#options.settings,
      id,
      address,
      ...(this.#tls && { tls: this.#tls }),
    });
    const entry: Entry = { client, gone: new AbortController(), health: 'serving' };
    this.#entries.set(key, entry);
    if (this.#options.healthCheck ?? true) void this.#watch(entry);
    return client;
  }

  /** Closes the clients of those who left. */
  sweep(): void {
    const members = new Set([...this.#options.members()].map(({ id, address }) => keyOf(id, address)));
    for (const [key, entry] of this.#entries) if (!members.has(key)) this.#drop(entry);
  }

  /**
   * The member has started again: what was found out of it before, and the connection, are of the process before. Without
   * this it would be left out until its next health check, in a time in which others may be restarted.
   */
  renew(id: string, address: string): void {
    const entry = this.#entries.get(keyOf(id, address));
    if (entry !== undefined) this.#drop(entry);
  }

  /** New connections are made with this; calls under way come to their end on the old ones. Throws when it cannot be used. */
  replaceTls(tls: GrpcClientTls): void {
    channelSecurity(tls, '');
    this.#tls = tls;
    for (const entry of this.#entries.values()) this.#drop(entry);
  }

  #drop({ client, gone }: Entry): void {
    this.#entries.delete(keyOf(client.id, client.address));
    gone.abort(new Error('the client was closed'));
    client.close();
  }

  async #every(work: () => void): Promise<void> {
    while (await this.#pause(this.#periodMs, this.#stopping.signal)) work();
  }

  async #watch(entry: Entry): Promise<void> {
    const { gone } = entry;
    for (let wait = this.#periodMs; await this.#pause(wait, gone.signal); ) {
      const { healthTimeoutMs = 1000 } = this.#options;
      let health = await entry.client.checkHealth(healthTimeoutMs);
      // One answer may be late for reasons of its own.
      if (health === 'unreachable' && entry.health !== 'unreachable') {
        health = await entry.client.checkHealth(healthTimeoutMs);
      }
      if (gone.signal.aborted) return;
      this.#note(entry, health);
      wait = health === 'serving' ? this.#periodMs : Math.min(RETRY_MS, this.#periodMs);
    }
  }

  #note(entry: Entry, health: RemoteHealth): void {
    if (health === entry.health) return;
    entry.health = health;
    entry.client.setHealth(health);
    const { id, address } = entry.client;
    if (health === 'serving') this.#options.logger.info('an ingester serves again', { ingester: id, address });
    else this.#options.logger.warn('an ingester is left out until it serves', { ingester: id, address, health });
  }

  /** False when it was cut short. */
  async #pause(ms: number, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#options.clock.sleep(ms, signal);
      return true;
    } catch (error: unknown) {
      if (signal.aborted) return false;
      throw error;
    }
  }
}

const keyOf = (id: string, address: string): string => `${id}\n${address}`;
