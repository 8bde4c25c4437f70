export type * from './ast.ts';
export { explain } from './explain.ts';
export { parseLogSelector, parseMatchers, parseQuery } from './parse.ts';
export { ParseError } from './parse-error.ts';
export { formatQuery } from './pretty.ts';
export { printExpr, printLabels, printMatchers, printStage, printStages } from './print.ts';
