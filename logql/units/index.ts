export { formatBinaryBytes, formatBytes, parseBytes } from './bytes.ts';
export { formatGoFloat, formatSampleValue, parseGoFloat } from './float.ts';
export { formatGoDuration, parseGoDuration } from './go-duration.ts';
export { isPrintable, quoteGo, quoteGoAscii, quoteGoRune, unquoteGo } from './go-quote.ts';
export { formatPrometheusDuration, parsePrometheusDuration } from './prometheus-duration.ts';
export { StacklessError } from './stackless-error.ts';
export { UnitError } from './unit-error.ts';
export { decodeUtf8, utf8At, utf8Length, utf8Slice } from './utf8.ts';
