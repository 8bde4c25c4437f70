export type { Cache, CacheFailure, CacheObserver } from './cache.ts';
export { MemoryCache, type MemoryCacheConfig } from './memory-cache.ts';
