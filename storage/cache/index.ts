export type { Cache, CacheFailure, CacheObserver } from './cache.ts';
export { type CacheConfig, createCache } from './create.ts';
export type { MemcachedConfig } from './memcached-store.ts';
export { MemoryCache, type MemoryCacheConfig } from './memory-cache.ts';
export type { RedisConfig } from './redis-store.ts';
