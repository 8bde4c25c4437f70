export type * from './ast.ts';
export { parseLabelPairs, parseLabelsString } from './labels-string.ts';
export { parseLogSelector, parseMatchers, parseQuery } from './parse.ts';
export { ParseError } from './parse-error.ts';
export { formatQuery } from './pretty.ts';
export {
  printExpr,
  printLabelFilter,
  printLabels,
  printMatcher,
  printMatchers,
  printStage,
  printStages,
  printUnwrap,
} from './print.ts';
