export {
  type CatalogOptions,
  SegmentCatalog,
  type SelectRequest,
  type SeriesBlocks,
  type StoredFigures,
} from './catalog.ts';
export { type CompiledMatcher, compileSelector, matchSeries } from './match-series.ts';
export {
  activeKey,
  activePrefix,
  CorruptReplacementError,
  createdMs,
  doneKey,
  donePrefix,
  encodeReplacement,
  parseReplacementKey,
  type Replacement,
  type ReplacementReason,
  readReplacements,
  wasReplaced,
} from './replacement.ts';
