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
  familyOf,
  parseReplacementKey,
  type Replacement,
  type ReplacementClaim,
  type ReplacementNote,
  type ReplacementReason,
  readReplacements,
  wasReplaced,
} from './replacement.ts';
