import { FunctionError } from './function-error.ts';

/**
 * Bounds of one execution, so that no template can hang a worker or eat its memory. Loki has none of them; each is far
 * above what a line can use, as an answer over gRPC has to fit 4 MiB.
 */
export const MAX_TEXT_LENGTH = 4 * 1024 * 1024;

/** Nodes and calls that one execution may visit; a text or list of n elements
 * that goes through a call counts n/64. */
export const MAX_STEPS = 1_000_000;

/** Depth of `{{template}}` calls. Go allows 100000 and says so in this text. */
export const MAX_TEMPLATE_DEPTH = 500;

/** Depth of blocks and `{{template}}` calls together at execution: each takes some of the stack. */
export const MAX_NESTING = 1000;

/** Operands of one command. */
export const MAX_OPERANDS = 1000;

/** Depth of arrays and objects that `fromJson` takes; Go takes 10000. */
export const MAX_JSON_DEPTH = 500;

/** Checks a length before a text is made. */
export function checkLength(length: number): void {
  if (length > MAX_TEXT_LENGTH) throw new FunctionError(`text is longer than ${MAX_TEXT_LENGTH} characters`);
}
