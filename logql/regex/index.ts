export { foldCase } from './case-folding.ts';
export { compileRegex, MAX_PATTERN_LENGTH, type RegexOptions, validateRegex } from './compile.ts';
export { parsePattern } from './parse.ts';
export type { Regex, RegexMatch, RegexTraits } from './regex.ts';
export { RegexError } from './regex-error.ts';
export { requiredText, type TextCondition } from './required-text.ts';
export type { SimpleForm } from './simple-forms.ts';
export type { RegexNode, RegexTree } from './syntax-tree.ts';
