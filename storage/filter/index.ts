export {
  compileFilterSieve,
  compileFilterTest,
  encodeFilter,
  type FilterSieve,
  type FilterTest,
} from './block-filter.ts';
export { FilterSet } from './filter-set.ts';
