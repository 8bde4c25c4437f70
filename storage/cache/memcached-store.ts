import { createHash } from 'node:crypto';
import memjs, { type Client } from 'memjs';
import type { RemoteStore } from './remote-cache.ts';

export interface MemcachedConfig {
  readonly kind: 'memcached';
  /** `host:port`, each; a key lies on one of them. */
  readonly addresses: readonly string[];
  readonly timeoutMs: number;
  readonly ttlMs: number;
  /** What the servers take (`-I`, 1 MB by default), with the key. */
  readonly maxValueBytes: number;
}

/** Longer times are taken for a date. */
const MAX_TTL_SECONDS = 30 * 24 * 3600;
const DEFAULT_PORT = 11211;
/** The client's own messages say nothing that the errors do not. */
const silent = { log: () => {} };

interface Server {
  readonly address: string;
  client: Client;
}

/** Some servers of memcached. */
export class MemcachedStore implements RemoteStore {
  readonly #timeoutMs: number;
  readonly #servers: Server[];

  constructor({ addresses, timeoutMs }: Pick<MemcachedConfig, 'addresses' | 'timeoutMs'>) {
    if (addresses.length === 0) throw new RangeError('memcached without a server');
    this.#timeoutMs = timeoutMs;
    this.#servers = addresses.map((address) => ({ address, client: this.#connect(address) }));
  }

  async get(key: string): Promise<Buffer | null> {
    return (await this.#serverOf(key).client.get(key)).value;
  }

  async set(key: string, value: Buffer, ttlMs: number): Promise<void> {
    const expires = ttlMs === 0 ? 0 : Math.min(Math.max(1, Math.round(ttlMs / 1000)), MAX_TTL_SECONDS);
    await this.#serverOf(key).client.set(key, value, { expires });
  }

  /**
   * The library mixes up its sockets after a failure: the end of the old one is taken for the end of the new one, and
   * questions are then never answered. A new client has none.
   */
  reset(): void {
    for (const server of this.#servers) {
      server.client.close();
      server.client = this.#connect(server.address);
    }
  }

  async close(): Promise<void> {
    for (const { client } of this.#servers) client.close();
  }

  #connect(address: string): Client {
    const { host, port } = parseAddress(address);
    const seconds = this.#timeoutMs / 1000;
    const options = { timeout: seconds, conntimeout: seconds, keepAlive: true };
    return new memjs.Client([new memjs.Server(host, port, '', '', options)], { retries: 1, logger: silent });
  }

  /** The one with the highest rank for this key: when one is added or removed, only its share of the keys moves. */
  #serverOf(key: string): Server {
    let best = this.#servers[0]!;
    if (this.#servers.length === 1) return best;
    let bestRank = -1;
    for (const server of this.#servers) {
      const rank = createHash('sha1').update(`${server.address} ${key}`).digest().readUIntBE(0, 6);
      if (rank > bestRank) [best, bestRank] = [server, rank];
    }
    return best;
  }
}

function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(address.trim());
  if (match === null) throw new RangeError(`${address} is not host:port`);
  return { host: (match[1] ?? match[2])!, port: match[3] === undefined ? DEFAULT_PORT : Number(match[3]) };
}
