import { Counter, type Registry } from 'prom-client';
import type { CacheConfig, CacheObserver } from '../../storage/cache/index.ts';
import type { Config } from '../config/index.ts';

type CacheSettings = Config['chunk_store_config']['chunk_cache_config'];

const MB = 1024 * 1024;
/** Redis takes half a GB; a value of that size would hold up everybody else's. */
const MAX_REDIS_VALUE_BYTES = 8 * MB;

/** The cache of other processes that the settings name; undefined for none. */
export function remoteCacheOf(settings: CacheSettings): CacheConfig | undefined {
  const { redis, memcached, memcached_client: client } = settings;
  if (redis.endpoint !== '') {
    return {
      kind: 'redis',
      endpoint: redis.endpoint,
      timeoutMs: redis.timeout,
      ttlMs: redis.expiration,
      maxValueBytes: MAX_REDIS_VALUE_BYTES,
      db: redis.db,
      username: redis.username,
      password: redis.password,
      tls: redis.tls_enabled,
      tlsInsecure: redis.tls_insecure_skip_verify,
    };
  }
  if (client.addresses === '') return undefined;
  return {
    kind: 'memcached',
    addresses: client.addresses.split(',').map((address) => address.trim()),
    timeoutMs: client.timeout,
    ttlMs: memcached.expiration,
    maxValueBytes: client.max_item_size || MB,
  };
}

/** In the memory of the process; undefined where it is switched off. */
export function memoryCacheOf({ embedded_cache: embedded }: CacheSettings): CacheConfig | undefined {
  if (!embedded.enabled) return undefined;
  return { kind: 'memory', maxBytes: embedded.max_size_mb * MB, ttlMs: embedded.ttl };
}

/** Counts under Loki's names what a cache did. */
export function cacheMetrics(registry: Registry, name: string): CacheObserver {
  const counter = (metric: string, help: string) => {
    const options = { name: metric, help, labelNames: ['name'] as const, registers: [registry] };
    return new Counter(options).labels(name);
  };
  const fetched = counter('loki_cache_fetched_keys', 'Keys that were asked for.');
  const hits = counter('loki_cache_hits', 'Keys that were found.');
  const failures = counter('loptr_cache_failures_total', 'Requests to a cache that failed, and count as misses.');
  return {
    onHit: () => {
      fetched.inc();
      hits.inc();
    },
    onMiss: () => fetched.inc(),
    onFailure: () => failures.inc(),
  };
}
