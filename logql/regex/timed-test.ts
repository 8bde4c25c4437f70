import type { Regex } from './regex.ts';
import { RegexError } from './regex-error.ts';

/** Far more than a sensible pattern takes for a million values. */
const MAX_MATCHING_MS = 1000;

/**
 * `regex.test` for the many values of a label, in a thread where others wait: linear time a value can still add up. Throws
 * `RegexError` once all calls together have taken longer than `maxMs`.
 */
export function timedTest(regex: Regex, maxMs = MAX_MATCHING_MS): (value: string) => boolean {
  let spentMs = 0;
  return (value) => {
    const began = performance.now();
    const matches = regex.test(value);
    spentMs += performance.now() - began;
    if (spentMs > maxMs) {
      throw new RegexError(`regular expression takes longer than ${maxMs} ms for the values of a label`);
    }
    return matches;
  };
}
