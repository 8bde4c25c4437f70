import type { Cache, CacheObserver } from './cache.ts';
import type { MemcachedConfig } from './memcached-store.ts';
import { MemoryCache, type MemoryCacheConfig } from './memory-cache.ts';
import type { RedisConfig } from './redis-store.ts';
import { RemoteCache } from './remote-cache.ts';

/** Plain data, so that a worker thread can be handed it and make a cache of its own. */
export type CacheConfig = MemoryCacheConfig | MemcachedConfig | RedisConfig;

/** Waits for no server. Clients are loaded only where they are asked for: a thread's memory is dear. */
export async function createCache(config: CacheConfig, observer: CacheObserver = {}): Promise<Cache> {
  switch (config.kind) {
    case 'memory':
      return new MemoryCache(config, observer);
    case 'memcached': {
      const { MemcachedStore } = await import('./memcached-store.ts');
      return new RemoteCache(new MemcachedStore(config), config, observer);
    }
    case 'redis': {
      const { RedisStore } = await import('./redis-store.ts');
      return new RemoteCache(new RedisStore(config), config, observer);
    }
    default:
      throw new TypeError(`no such cache: ${JSON.stringify(config satisfies never)}`);
  }
}
