export { compileFilterTest, encodeFilter, type FilterTest } from './block-filter.ts';
