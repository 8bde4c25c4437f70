export {
  compileFilterSieve,
  compileFilterTest,
  encodeFilter,
  type FilterSieve,
  type FilterTest,
  letterGramsOf,
} from './block-filter.ts';
export { FilterSet } from './filter-set.ts';
