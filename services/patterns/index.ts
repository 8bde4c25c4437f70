export type { PatternConfig } from './config.ts';
export { PatternIngester, type PatternIngesterOptions, PatternsUnavailableError } from './service.ts';
