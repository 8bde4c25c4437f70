export type { PatternConfig } from './config.ts';
export { PatternIngester, type PatternIngesterOptions } from './service.ts';
