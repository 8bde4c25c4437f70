export { checkStages } from './check-stages.ts';
export { type LineField, type LineFields, readLineFields } from './line-fields.ts';
export { LogfmtScanner } from './logfmt-scan.ts';
export { parsePatternParts } from './line-pattern.ts';
export { compileMatchers } from './matchers.ts';
export { compilePipeline, type PipelineOptions } from './pipeline.ts';
export { StageError } from './stage-error.ts';
export { decodeUtf8, encodeUtf8 } from './text.ts';
export type { GroupingMode, GroupLabels, Pipeline } from './types.ts';
