import { Redis, type RedisOptions } from 'ioredis';
import type { RemoteStore } from './remote-cache.ts';

export interface RedisConfig {
  readonly kind: 'redis';
  /** `host:port` */
  readonly endpoint: string;
  readonly timeoutMs: number;
  readonly ttlMs: number;
  readonly maxValueBytes: number;
  readonly db: number;
  /** Empty: none. */
  readonly username: string;
  readonly password: string;
  readonly tls: boolean;
  /** Takes any certificate. */
  readonly tlsInsecure: boolean;
}

const DEFAULT_PORT = 6379;
const MIN_RECONNECT_MS = 100;
const MAX_RECONNECT_MS = 10_000;

/** One server of Redis. */
export class RedisStore implements RemoteStore {
  readonly #client: Redis;

  constructor(config: Omit<RedisConfig, 'kind' | 'ttlMs' | 'maxValueBytes'>) {
    const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(config.endpoint.trim());
    if (match === null) throw new RangeError(`${config.endpoint} is not host:port`);
    const host = (match[1] ?? match[2])!;
    const port = match[3] === undefined ? DEFAULT_PORT : Number(match[3]);
    const options = {
      db: config.db,
      ...(config.username !== '' && { username: config.username }),
      ...(config.password !== '' && { password: config.password }),
      ...(config.tls && { tls: { rejectUnauthorized: !config.tlsInsecure } }),
      connectTimeout: config.timeoutMs,
      commandTimeout: config.timeoutMs,
      // A question without a connection fails at once; nobody waits for the server to come back.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      retryStrategy: (times: number) => Math.min(MIN_RECONNECT_MS * 2 ** Math.min(times, 10), MAX_RECONNECT_MS),
    } satisfies RedisOptions;
    this.#client = new Redis(port, host, options);
    this.#client.on('error', () => {}); // questions fail as well, and are counted
  }

  get(key: string): Promise<Buffer | null> {
    return this.#client.getBuffer(key);
  }

  async set(key: string, value: Buffer, ttlMs: number): Promise<void> {
    if (ttlMs > 0) await this.#client.set(key, value, 'PX', Math.max(1, Math.round(ttlMs)));
    else await this.#client.set(key, value);
  }

  async close(): Promise<void> {
    this.#client.disconnect();
  }
}
