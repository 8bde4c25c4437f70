export {
  type CatalogOptions,
  SegmentCatalog,
  type SelectRequest,
  type SeriesBlocks,
  type StoredFigures,
} from './catalog.ts';
export { type CompiledMatcher, compileSelector, matchSeries } from './match-series.ts';
