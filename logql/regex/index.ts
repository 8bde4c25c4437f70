export { compileRegex, MAX_PATTERN_LENGTH, type RegexOptions, validateRegex } from './compile.ts';
export type { Regex, RegexMatch, RegexTraits } from './regex.ts';
export { RegexError } from './regex-error.ts';
